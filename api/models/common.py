"""What the bodies of several groups have in common."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

PROVENANCE: dict[str, Any] = {
    "version": 7,
    "ruleset_hash": "5f2b0c…",
    "as_of": "2026-03-31",
    "evaluated_at": "2026-04-01T02:00:05Z",
    "stale": False,
}


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Provenance(Shape):
    """Which version the answer comes from. An answer comes from one version, whole."""

    version: Annotated[int, Field(ge=1, description="The number of the version.")]
    ruleset_hash: Annotated[str, Field(description="Of the rules that the version was computed by.")]
    as_of: Annotated[date, Field(description="The day that the version is for.")]
    evaluated_at: Annotated[datetime, Field(description="When its computation began, in UTC.")]
    stale: Annotated[bool, Field(description="Whether `as_of` is further back than `stale_after` of ruleset.toml.")]


WORDS = r"^[^\x00]*[^\s\x00][^\x00]*$"
"""Not blank, and without the one character that no database keeps."""
NAME = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
"""Neither blank nor of several lines."""

Said = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1000,
        pattern=WORDS,
        description="Why; it stays with the version.",
    ),
]
Who = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=100,
        pattern=NAME,
        description="Who, as the application knows its users; recorded with the key's name.",
    ),
]


class Why(Shape):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "Checked: a big promotion", "actor": "ana"}]}
    )

    reason: Said
    actor: Who = None


class Wrong(Shape):
    pointer: Annotated[str, Field(description="A JSON pointer into the body.")]
    detail: str


class Problem(BaseModel):
    """Problem details (RFC 9457). Programs tell problems apart by `code`."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    type: Annotated[str, Field(json_schema_extra={"format": "uri"})]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    code: str
    request_id: Annotated[str, Field(description="As in `X-Request-Id`, and in the server's log.")]
    errors: Annotated[list[Wrong], Field(description="Of a body: what is wrong where.")] = []
