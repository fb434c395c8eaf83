"""The application: what is done to each request, the routes, and the document that describes them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

from fastapi import Depends, FastAPI
from starlette.routing import BaseRoute

import ruleengine
from ruleengine.schema import DEFAULT_PROFILE, Manifest
from ruleengine.store.store import Store
from ruleengine.verbs.jobs import Processes

from . import (
    by_hand,
    changes,
    customers,
    erasure,
    evidence,
    health,
    members,
    metrics,
    openapi,
    plans,
    problems,
    rulesets,
    runs,
    tags,
    versions,
)
from .access import Access, methods
from .aside import Aside
from .edge import Edge
from .logs import Log
from .once import Once
from .provenance import Published
from .quick import QuickRead
from .writing import Desk


class Application(FastAPI):
    """Serves a document of our own, in which plain routes are described, too."""

    def __init__(self, documented: Sequence[BaseRoute], **options: Any) -> None:
        super().__init__(**options)
        self._documented = documented

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.document([*self._documented, *self.routes])
        return self.openapi_schema


def create_app(
    store: Store,
    manifest: Manifest,
    *,
    profile: str = DEFAULT_PROFILE,
    local: bool = True,
    rate: int | None = None,
    today: Callable[[], date] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    log: Log | None = None,
) -> Edge | Aside:
    """Answers from a store, which stays the caller's to close. `profile` is the one that runs and plans are of.

    `local`: only to clients on this machine, and without keys as long as none was ever given. `rate`: requests a second
    for each key. Answers without an end come to one once the server is `stopping`. `log` is told of each request.
    """
    published = Published(store, manifest, today)
    access = Access(store, published.today, rate, required=not local)
    desk = Desk(published)
    once = Once(published)
    processes = Processes(store, manifest, profile)
    figures = metrics.Metrics(published)
    customer_routes = customers.CustomerRoutes(published, access)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(processes.stop)
        desk.close()
        published.close()

    app = Application(
        customer_routes.documented(),
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
    problems.install(app, methods)
    for module in (tags, members, evidence, versions, rulesets, health):
        app.include_router(module.router(published))
    app.include_router(changes.router(published, stopping))
    app.include_router(metrics.router(published, figures))
    app.include_router(by_hand.router(published, desk))
    app.include_router(erasure.router(published, desk))
    app.include_router(runs.router(published, desk, once, processes))
    app.include_router(plans.router(published, once, processes))
    listeners = [figures.answered] if log is None else [figures.answered, log.answered]
    edge = Edge(app, QuickRead(published, access, listeners, local=local), listeners, local=local)
    return edge if store.is_near else Aside(edge)
