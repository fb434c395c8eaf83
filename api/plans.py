"""Plans: what rules would change of what is published, for whom and why; with nothing written."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from ruleengine.store.jobs import BusyError
from ruleengine.store.refusals import NotThereError
from ruleengine.store.store import Store
from ruleengine.verbs import jobs
from ruleengine.verbs.jobs import PlanStatus, Processes
from ruleengine.verbs.shapes import as_json

from . import parameters, problems
from .models.common import Why
from .models.jobs import NewPlan, Plan
from .once import IdempotencyKey, Once
from .openapi import ACCEPTED, refusals
from .provenance import Published
from .runs import OF_BODIES
from .work import Work
from .writing import actor


def router(published: Published, once: Once, processes: Processes) -> APIRouter:
    routes = APIRouter(tags=["author"], dependencies=[Depends(parameters.only())])
    store = published.store

    work = Work("plan", _found, published, processes)

    @routes.post(
        "/v1/rulesets:plan",
        response_model=Plan,
        status_code=202,
        operation_id="planRules",
        summary="What rules would change",
        description=(
            "Computes every customer as a run would, by these rules or by those that lie on the server, and compares "
            "with what is published. Profile, data and what is brought in by a relative `use` are the server's own."
        ),
        responses=ACCEPTED | refusals(*OF_BODIES, problems.plan_busy),
    )
    async def start(request: Request, body: NewPlan, idempotency_key: IdempotencyKey = None) -> Response:
        async def answer() -> Response:
            try:
                job = await published.slowly(
                    jobs.ask_plan,
                    store,
                    body.as_of or published.today(),
                    body.set,
                    actor(request, body.actor),
                    files=body.files,
                    metric=body.metric,
                    samples=body.samples,
                )
            except BusyError as error:
                holder = {"actor": error.job.actor, "since": as_json(error.job.asked_at)}
                raise problems.busy(problems.plan_busy, holder) from None
            return await work.begun(job)

        return await once.answered(request, idempotency_key, answer)

    @routes.get(
        "/v1/plans/{plan:segment}",
        response_model=Plan,
        operation_id="readPlan",
        summary="One plan",
        description="How far it is, and what it told. It is kept for a day, and only the latest 50 are.",
        responses=refusals(
            problems.path_unreadable, problems.parameter_unknown, problems.parameter_invalid, problems.plan_unknown
        ),
    )
    async def read(plan: str) -> Response:
        return await work.told(plan)

    @routes.post(
        "/v1/plans/{plan:segment}:cancel",
        response_model=Plan,
        status_code=202,
        operation_id="cancelPlan",
        summary="End a plan",
        description="Whoever waits for it is told who ended it.",
        responses=ACCEPTED | refusals(*OF_BODIES, problems.path_unreadable, problems.plan_unknown, problems.too_late),
    )
    async def cancel(request: Request, plan: str, body: Why, idempotency_key: IdempotencyKey = None) -> Response:
        async def answer() -> Response:
            return await work.cancelled(plan, actor(request, body.actor), body.reason)

        return await once.answered(request, idempotency_key, answer)

    return routes


def _found(store: Store, plan_id: str) -> tuple[PlanStatus, Any]:
    try:
        return jobs.plan(store, plan_id)
    except NotThereError:
        raise problems.plan_unknown(plan=plan_id) from None
