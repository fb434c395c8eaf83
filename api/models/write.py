"""Bodies of writing: what people set."""

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from ruleengine.store.records import Kind

from .common import PROVENANCE, Provenance, Said, Shape, Who


class SetTag(Shape):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": "Asked on the phone", "actor": "ana", "expires_on": "2027-01-01"}]},
    )

    reason: Said
    actor: Who = None
    expires_on: Annotated[
        date | None, Field(description="The first day on which it does not count; without it, as the rules say.")
    ] = None


class SetLevel(SetTag):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"level": "Gold", "reason": "A promise kept", "actor": "ana"}]}
    )

    level: str


class Forgotten(Provenance):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{**PROVENANCE, "pending": False}]})

    pending: Annotated[
        bool, Field(description="Remnants lie in the store's files while somebody reads them; the next write clears.")
    ]


class Setting(Shape):
    kind: Literal["tag", "tier"]
    name: str
    value: Annotated[str, Field(description="`given` of a tag, or the level.")]
    expires_on: date | None
    actor: str
    reason: str | None


class Effect(Shape):
    kind: Kind
    name: str
    old: str | None
    new: str | None
    since: date | None


class SetByHand(Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "customer": "17",
                    **PROVENANCE,
                    "setting": {
                        "kind": "tag",
                        "name": "Do not contact",
                        "value": "given",
                        "expires_on": "2027-01-01",
                        "actor": "ana (crm)",
                        "reason": "Asked on the phone",
                    },
                    "changes": [
                        {"kind": "tag", "name": "Do not contact", "old": None, "new": "given", "since": "2026-03-31"}
                    ],
                }
            ]
        },
    )

    customer: str
    setting: Annotated[Setting | None, Field(description="What is set now; null where it was taken away.")]
    changes: Annotated[list[Effect], Field(description="All that changed for the customer.")]
