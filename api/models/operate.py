"""Bodies of operating: runs, versions published by people, and the server itself."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from ruleengine.store.records import Counts, Movement, RunState, VersionKind

from .common import PROVENANCE, Provenance, Shape


class Publication(Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{**PROVENANCE, "kind": "rollback", "actor": "ana (ops)", "reason": "Prices were wrong"}]
        },
    )

    kind: VersionKind
    actor: str
    reason: str | None


class _Run(Shape):
    id: str
    kind: VersionKind
    state: RunState
    as_of: date
    ruleset_hash: str
    base: Annotated[int | None, Field(description="The version that it was compared with.")]
    version: Annotated[int | None, Field(description="That it made, or that it is the same as.")]
    reasons: Annotated[list[str], Field(description="Why it was held, or failed.")]
    actor: str
    started_at: datetime
    finished_at: datetime | None


_RUN: dict[str, Any] = {
    "id": "20260401T020005Z-5f2b0c",
    "kind": "run",
    "state": "held",
    "as_of": "2026-03-31",
    "ruleset_hash": "5f2b0c…",
    "base": 6,
    "version": None,
    "reasons": ["check tag VIP covers 0.5% to 10%: 12.1%"],
    "actor": "scheduler",
    "started_at": "2026-04-01T02:00:05.010+00:00",
    "finished_at": "2026-04-01T02:00:09.120+00:00",
}


class Runs(Shape):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"runs": [_RUN]}]})

    runs: list[_Run]


class RunInFull(_Run):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{**_RUN, "counts": None, "movement": None}]}
    )

    counts: Counts | None
    movement: Annotated[Movement | None, Field(description="Against the version that it was compared with.")]


class Alive(Shape):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "alive"}]})

    status: Literal["alive"]


class Ready(Provenance):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "ready", **PROVENANCE}]})

    status: Literal["ready"]
