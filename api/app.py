"""The application: what is done to each request, the routes, and the document that describes them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

from fastapi import Depends, FastAPI

import ruleengine
from ruleengine.schema import Manifest
from ruleengine.store.store import Store

from . import (
    by_hand,
    changes,
    customers,
    evidence,
    health,
    members,
    metrics,
    openapi,
    problems,
    rulesets,
    runs,
    tags,
    versions,
)
from .access import Access
from .edge import Edge
from .provenance import Published
from .writing import Desk


def create_app(
    store: Store,
    manifest: Manifest,
    *,
    local: bool = True,
    rate: int | None = None,
    today: Callable[[], date] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Edge:
    """Answers from a store, which stays the caller's to close.

    `local`: only to clients on this machine, and without keys as long as none was ever given. `rate`: requests a second
    for each key. Answers without an end come to one once the server is `stopping`.
    """
    published = Published(store, manifest, today)
    access = Access(store, published.today, rate, required=not local)
    desk = Desk(published)
    figures = metrics.Metrics(published)
    customer_routes = customers.CustomerRoutes(published, access)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()
        published.close()

    app = FastAPI(
        title="ruleengine",
        version=ruleengine.__version__,
        # The pages that FastAPI offers for the document load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI would hand paths, which name customers, to whoever configures OpenTelemetry in the environment.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
        lifespan=lifespan,
        routes=customer_routes.routes,
        dependencies=[Depends(access.guard)],
    )
    problems.install(app)
    for module in (tags, members, evidence, versions, rulesets, health):
        app.include_router(module.router(published))
    app.include_router(changes.router(published, stopping))
    app.include_router(metrics.router(figures))
    for module in (by_hand, runs):
        app.include_router(module.router(published, desk))
    described: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not described:
            described.update(openapi.document([*customers.documented, *app.routes]))
        return described

    app.openapi = document  # type: ignore[method-assign]
    return Edge(app, customer_routes.quick, figures.answered, local=local)
