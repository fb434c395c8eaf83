"""Bodies of authoring: rules, and what they would say."""

from datetime import date
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from ruleengine.verbs.explain import RuleExplanation
from ruleengine.verbs.what_if import Unanswered

from .common import PROVENANCE, Provenance, Shape

_FILES: dict[str, Any] = {"value.rules": 'tag "VIP" when monetary_90d > 10_000'}
Files = Annotated[
    dict[Annotated[str, Field(pattern=r"^[^/\\\x00]{1,100}\.rules$")], str],
    Field(min_length=1, max_length=100, description="Rule texts by the names of their files: all of the ruleset."),
]


class CurrentRules(Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {**PROVENANCE, "name": "retail", "timezone": "Asia/Shanghai", "parameters": {}, "files": _FILES}
            ]
        },
    )

    name: str
    timezone: str
    parameters: dict[str, Any]
    files: Annotated[dict[str, str], Field(description="Also those that were brought in by `use`.")]


class RulesToCheck(Shape):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"files": _FILES}]})

    files: Files
    proofs: Annotated[
        bool, Field(description="Also look for what can never hold, is hidden or is the same; takes longer.")
    ] = False


class CheckedRules(Shape):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"hash": "5f2b0c…", "errors": 0, "warnings": 0, "problems": []}]},
    )

    hash: Annotated[str | None, Field(description="Of the rules; null where there are errors.")]
    errors: int
    warnings: int
    problems: Annotated[list[dict[str, Any]], Field(description="As `check --format json` prints them.")]


class ToEvaluate(Shape):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"as_of": "2026-03-31", "attributes": {"country": "DE"}, "metrics": {"monetary_90d": "12000"}}]
        },
    )

    files: Annotated[Files | None, Field(description="Other rules than those in force.")] = None
    as_of: Annotated[date | None, Field(description="The day; without it, today.")] = None
    attributes: Annotated[dict[str, Any], Field(default_factory=dict, description="Columns of the customer.")]
    events: Annotated[dict[str, list[dict[str, Any]]], Field(default_factory=dict, description="Rows by their source.")]
    metrics: Annotated[
        dict[str, Any], Field(default_factory=dict, description="They replace what would be computed from events.")
    ]
    tags: Annotated[list[str], Field(default_factory=list, description="Manual tags that are set.")]


class Evaluated(Shape):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "as_of": "2026-03-31",
                    "ruleset_hash": "5f2b0c…",
                    "tags": ["VIP"],
                    "tiers": {"loyalty": "Gold"},
                    "classes": {},
                    "metrics": {"monetary_90d": "12000.0000"},
                    "unanswered": [],
                    "rules": [],
                }
            ]
        },
    )

    as_of: date
    ruleset_hash: str
    tags: list[str]
    tiers: dict[str, str]
    classes: dict[str, str]
    metrics: dict[str, Any]
    unanswered: Annotated[
        list[Unanswered], Field(description="What ranks customers among all others, and so has to be given.")
    ]
    rules: list[RuleExplanation]
