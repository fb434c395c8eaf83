"""Bodies of what takes its time: runs and plans."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from ruleengine.store.records import Counts, Movement, RunState, VersionKind
from ruleengine.verbs.plan import PlanReport

from .author import Files
from .common import Shape, Who

Day = Annotated[
    date | None,
    Field(description="The day that it is for; without it, today.", ge=date(1900, 1, 1), le=date(2999, 12, 31)),
]
Parameters = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=200)], Annotated[str, Field(max_length=1000, pattern=r"\S")]],
    Field(max_length=100, description="Parameters of the rules for this once, as texts: see `run --set`."),
]


class NewRun(Shape):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"as_of": "2026-03-31", "set": {"vip_floor": "9000"}, "actor": "ana"}]},
    )

    as_of: Day = None
    set: Parameters = Field(default_factory=dict)
    actor: Who = None


class NewPlan(Shape):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"files": {"value.rules": 'tag "VIP" when monetary_90d > 10_000'}, "as_of": "2026-03-31"}]
        },
    )

    files: Annotated[Files | None, Field(description="Other rules than those that lie on the server.")] = None
    as_of: Day = None
    set: Parameters = Field(default_factory=dict)
    metric: Annotated[str | None, Field(max_length=200, description="What to sum up over those who move.")] = None
    samples: Annotated[int, Field(ge=0, le=100, description="Customers of each move, each with the reason.")] = 3
    actor: Who = None


class Phase(Shape):
    name: str
    seconds: float


class _Job(Shape):
    phase: Annotated[str | None, Field(description="What it does now; null once it is over.")]
    step: Annotated[str | None, Field(description="Of the phase, in words.")]
    phases: Annotated[list[Phase], Field(description="What it has done.")]
    reasons: Annotated[list[str], Field(description="Why it was held, cancelled or failed.")]
    actor: str
    started_at: datetime
    finished_at: datetime | None


class ShortRun(_Job):
    id: str
    kind: VersionKind
    state: RunState
    as_of: date
    ruleset_hash: Annotated[str | None, Field(description="Null before the rules are checked.")]
    base: Annotated[int | None, Field(description="The version that it was compared with.")]
    version: Annotated[int | None, Field(description="That it made, or that it is the same as.")]


_RUN: dict[str, Any] = {
    "id": "20260401T020005Z-5f2b0c",
    "kind": "run",
    "state": "held",
    "phase": None,
    "step": None,
    "phases": [{"name": "checking", "seconds": 0.21}, {"name": "computing", "seconds": 3.5}],
    "as_of": "2026-03-31",
    "ruleset_hash": "5f2b0c…",
    "base": 6,
    "version": None,
    "reasons": ["check tag VIP covers 0.5% to 10%: 12.1%"],
    "actor": "scheduler",
    "started_at": "2026-04-01T02:00:05.010+00:00",
    "finished_at": "2026-04-01T02:00:09.120+00:00",
}
_WRONG = Annotated[
    list[dict[str, Any]], Field(description="What was wrong with rules or data, as `check --format json` prints it.")
]


class Runs(Shape):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"runs": [_RUN]}]})

    runs: list[ShortRun]


class RunInFull(ShortRun):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{**_RUN, "counts": None, "movement": None, "problems": [], "report": None}]},
    )

    counts: Counts | None
    movement: Annotated[Movement | None, Field(description="Against the version that it was compared with.")]
    problems: _WRONG
    report: Annotated[
        dict[str, Any] | None,
        Field(description="As `run --format json` prints it, without rows of the data; null where none is kept."),
    ]


class Plan(_Job):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "id": "20260401T020005Z-5f2b0c",
                    "state": "running",
                    "phase": "computing",
                    "step": "metrics",
                    "phases": [{"name": "checking", "seconds": 0.21}],
                    "as_of": "2026-03-31",
                    "reasons": [],
                    "actor": "ana (ops)",
                    "started_at": "2026-04-01T02:00:05.010+00:00",
                    "finished_at": None,
                    "problems": [],
                    "report": None,
                }
            ]
        },
    )

    id: str
    state: Literal["running", "done", "failed", "cancelled"]
    as_of: date
    problems: _WRONG
    report: Annotated[PlanReport | None, Field(description="As `plan --format json` prints it; null until it is done.")]
