"""Bodies of operating: versions published by people, and the server itself."""

from typing import Literal

from pydantic import ConfigDict

from ruleengine.store.records import VersionKind

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


class Alive(Shape):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "alive"}]})

    status: Literal["alive"]


class Ready(Provenance):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "ready", **PROVENANCE}]})

    status: Literal["ready"]
