"""A problem is a value: a code, the places involved and the facts its message names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ruleengine.source import Span


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Word(str):
    """A fact that is itself a word of the reader's language: a key of the messages' [words]."""

    __slots__ = ()


class Choices(str):
    """A fact that is one of several things, each a Word or as it stands."""

    items: tuple[str, ...]

    def __new__(cls, items: Iterable[str]) -> "Choices":
        listed = tuple(items)
        made = super().__new__(cls, ", ".join(listed))
        made.items = listed
        return made


@dataclass(frozen=True, slots=True)
class Place:
    """Another place that a problem speaks of; `note` is a key of the messages' [notes]."""

    span: Span
    note: str
    facts: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fix:
    """Text that would mend the problem if it stood at `span`."""

    span: Span
    replacement: str


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of problem: a stable slug. Its words stand in `messages/<language>.toml` under the same name."""

    name: str
    severity: Severity

    def __call__(
        self, span: Span | None, *places: Place, fix: Fix | None = None, **facts: str | int | None
    ) -> "Problem":
        return Problem(self, span, {k: v for k, v in facts.items() if v is not None}, places, fix)


@dataclass(frozen=True, slots=True)
class Problem:
    code: Code
    span: Span | None
    facts: Mapping[str, str | int]
    places: tuple[Place, ...] = ()
    fix: Fix | None = None

    @property
    def is_error(self) -> bool:
        return self.code.severity is Severity.ERROR


class Problems:
    """Where a pass puts what it finds; each problem once."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self._problems: list[Problem] = []
        self._seen: set[object] = set()
        self.extend(problems)

    def add(self, problem: Problem) -> None:
        key = (problem.code.name, problem.span, tuple(sorted(problem.facts.items())))
        if key not in self._seen:
            self._seen.add(key)
            self._problems.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.add(problem)

    @property
    def has_errors(self) -> bool:
        return any(problem.is_error for problem in self._problems)

    def __iter__(self) -> Iterator[Problem]:
        """In the order of files and places; those without a place come first."""
        return iter(
            sorted(
                self._problems,
                key=lambda p: (p.span.source.path, p.span.start) if p.span else ("", -1),
            )
        )

    def __len__(self) -> int:
        return len(self._problems)


class ProblemError(Exception):
    """Work that cannot go on because of problems that are the user's to mend."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(", ".join(problem.code.name for problem in problems))
        self.problems = problems
