"""What a run on any engine finds, beside its result tables."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounts:
    """The events of one source up to the run's date, and what was left out of them."""

    source: str
    events: int
    without_customer: int
    of_unknown_customers: int
    """Events whose customer the entity does not hold."""
    without_time: int
    unknown_filters: tuple[tuple[str, int], ...]
    """Filters, as written, and for how many events each is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftCount:
    """How many customers a draft would take."""

    kind: str
    name: str
    value: str | None
    customers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    customers: int
    sources: tuple[SourceCounts, ...]
    drafts: tuple[DraftCount, ...]
    unknown_classes: tuple[tuple[str, int], ...]
    """Classes, and how many customers got no value because a line was unknown."""
