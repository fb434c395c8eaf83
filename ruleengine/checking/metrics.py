"""Metric instances: each declared metric, and each window it is seen through, once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ruleengine.checking import expressions as checked
from ruleengine.checking import rankings
from ruleengine.checking.context import Context
from ruleengine.checking.ruleset import Metric
from ruleengine.checking.windowing import parts
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place
from ruleengine.source import Span
from ruleengine.syntax import nodes

if TYPE_CHECKING:
    from ruleengine.checking.typing import Typing

MAX_HEIGHT = 400
"""Of the tree of a metric with those of the metrics that it names: passes walk it by recursion."""
MAX_SEEN = 50_000
"""Operations of all metrics, counted once for each window that they are seen through: a few lines can ask for as many
windows as there are metrics beneath them, and each is computed."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a window needs to know of a metric."""

    events: bool
    """Whether an event aggregate stands beneath it."""
    window: Span | None
    """Where a window of its own, or of one beneath it, is declared."""
    whole: bool
    """Whether a score or a function of the population is part of it: these take no window."""


class MetricBook:
    """Makes instances on demand; `instances` holds them in an order in which each comes after those it reads."""

    def __init__(self, typing: "Typing") -> None:
        self.instances: dict[str, Metric] = {}
        self._typing = typing
        self._made: dict[tuple[str, checked.Window | None], Metric | None] = {}
        self._making: list[str] = []
        self._heights: dict[str, int] = {}
        """Of each metric that was looked at, how high its tree is with those of all that it names."""
        self._above = 0
        """How high the trees of the metrics are that are being made, one on another."""
        self._below: list[int] = [0]
        """Of the metrics that are being made, how high the highest is that each of them names."""
        self._traits: dict[str, Traits] = {}
        self._seen = 0
        """The operations of the metrics that were seen through a window so far."""

    def instance(self, declared: str, window: checked.Window | None, window_text: str) -> Metric | None:
        """A declared metric through a window; None where its definition has problems of its own.

        `window_text` is how the window is written (`during last 7 days`); only windows without a suffix keep it.
        """
        key = (declared, window)
        if key in self._made:
            self._below[-1] = max(self._below[-1], self._heights.get(declared, 0))
            return self._made[key]
        statement = self._typing.scope.metrics[declared]
        if declared in self._making:
            circle = [*self._making[self._making.index(declared) :], declared]
            self._typing.problems.add(
                codes.metric_cycle(
                    statement.name.span,
                    *(Place(self._typing.scope.metrics[name].name.span, "refers-here") for name in circle[1:-1]),
                    circle=" → ".join(circle),
                )
            )
            return None
        own = _height(statement)
        if self._above + own > MAX_HEIGHT:
            self._problem_of_height(self._typing.scope.metrics[self._making[0]] if self._making else statement)
            self._made[key] = None
            return None
        if window is not None and self._is_too_much(statement):
            self._made[key] = None
            return None
        self._making.append(declared)
        self._above += own
        self._below.append(0)
        context = Context(place="metric", window=window, window_text=window_text)
        expression = self._defined(statement, context)
        self._making.pop()
        self._above -= own
        below = self._below.pop()
        self._heights[declared] = own + below
        self._below[-1] = max(self._below[-1], own + below)
        if below <= MAX_HEIGHT < own + below:  # those that name this one are not told as well
            self._problem_of_height(statement)
            expression = None
        metric = None
        if expression is not None:
            metric = Metric(
                name=instance_name(declared, window, window_text),
                declared=declared,
                label=statement.label.value if statement.label else None,
                expression=expression,
                span=statement.span,
            )
            self.instances[metric.name] = metric
        self._made[key] = metric
        return metric

    def _is_too_much(self, statement: nodes.MetricStatement | nodes.ScoreStatement) -> bool:
        """Whether a metric, through one more window, is one too many; told for the first."""
        before = self._seen
        self._seen += sum(1 for _ in _nodes(statement))
        if before <= MAX_SEEN < self._seen:
            first = self._typing.scope.metrics[self._making[0]] if self._making else statement
            self._typing.problems.add(codes.metric_windows(first.name.span, name=first.name.text, most=f"{MAX_SEEN:_}"))
        return self._seen > MAX_SEEN

    def _problem_of_height(self, statement: nodes.MetricStatement | nodes.ScoreStatement) -> None:
        self._typing.problems.add(codes.metric_chain(statement.name.span, name=statement.name.text, most=MAX_HEIGHT))

    def _defined(
        self, statement: nodes.MetricStatement | nodes.ScoreStatement, context: Context
    ) -> checked.Expression | None:
        if isinstance(statement, nodes.ScoreStatement):
            return rankings.score(self._typing, statement, context)
        node = statement.expression
        if isinstance(node, nodes.Call | nodes.Top) and rankings.is_ranking(node):
            return rankings.ranking(self._typing, node, context)
        return self._typing.expression(node, context)

    def unnamed(self, name: str, expression: checked.Aggregate | checked.Ranking) -> Metric:
        """The instance of an aggregate, or of a function of the population, that has no name of its own."""
        metric = Metric(name=name, declared=None, label=None, expression=expression, span=expression.span)
        return self.instances.setdefault(name, metric)

    def traits(self, declared: str) -> Traits:
        metric = self._made.get((declared, None))
        if metric is None:
            return Traits(events=False, window=None, whole=False)
        return self._traits_of(metric)

    def _traits_of(self, metric: Metric) -> Traits:
        if metric.name not in self._traits:
            self._traits[metric.name] = self._look(metric.expression)
        return self._traits[metric.name]

    def _look(self, expression: checked.Expression) -> Traits:
        events, window, whole = False, None, False
        for part in checked.walk(expression):
            if isinstance(part, checked.Aggregate):
                events = True
                window = window or (part.span if part.window is not None else None)
            elif isinstance(part, checked.Ranking | checked.Points):
                whole = True
            elif isinstance(part, checked.MetricValue):
                inner = self._traits_of(self.instances[part.metric])
                events = events or inner.events
                window = window or (part.span if inner.window is not None else None)
                whole = whole or inner.whole
        return Traits(events, window, whole)

    def reads_events(self, expression: checked.Expression) -> bool:
        return self._look(expression).events


def _height(node: nodes.Node) -> int:
    return 1 + max(map(_height, parts(node)), default=0)


def _nodes(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for part in parts(node):
        yield from _nodes(part)


def instance_name(declared: str, window: checked.Window | None, window_text: str) -> str:
    """`monetary_90d` for a window that has a suffix, however it was written; else the words."""
    match window:
        case None:
            return declared
        case checked.Last(count=count, unit=unit, previous=False):
            return f"{declared}_{count}{unit[0]}"
        case checked.Calendar(unit=unit, previous=False):
            return f"{declared}_{unit[0]}td"
        case _:
            return f"{declared} {window_text}"
