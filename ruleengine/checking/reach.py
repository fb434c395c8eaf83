"""What answers are made from: everything that rules read, beneath what is given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ruleengine.checking import expressions as checked
from ruleengine.checking.rules import reads
from ruleengine.checking.ruleset import Before, Metric, Parameter, ParameterConstant, Rule, Tag
from ruleengine.source import Span
from ruleengine.types import Value


@dataclass(frozen=True, slots=True)
class Givens:
    """What an example gives, by name."""

    attributes: dict[str, Value] = field(default_factory=dict)
    events: dict[str, tuple[Mapping[str, Value], ...]] = field(default_factory=dict)
    metrics: dict[str, Value] = field(default_factory=dict)
    """By the name of the instance."""
    history: dict[tuple[str, str], Before] = field(default_factory=dict)
    """By ("tag", name) or ("ladder", name)."""
    parameters: dict[str, tuple[ParameterConstant, ...]] = field(default_factory=dict)


class Reach:
    """Everything that rules read; a given metric hides what it would be computed from."""

    def __init__(
        self,
        givens: Givens,
        rules: Mapping[tuple[str, str], Rule],
        metrics: Mapping[str, Metric],
        parameters: Mapping[str, Parameter],
    ) -> None:
        self.metrics: dict[str, Span] = {}
        """With the place where each is read first; so are the others."""
        self.attributes: dict[str, Span] = {}
        self.parameters: dict[str, Span] = {}
        self.events: dict[str, Span] = {}
        self.history: set[tuple[str, str]] = set()
        """Tags and ladders, by their keys, of which it counts what the customer had before, or has by hand."""
        self.ranked: dict[str, Span] = {}
        """Metrics that rank a customer among all others, and are not given."""
        self.dated: list[Span] = []
        """What has another answer on another day."""
        self._givens = givens
        self._rules = rules
        self._all_metrics = metrics
        self._all_parameters = parameters
        self.rules: set[tuple[str, str]] = set()
        """Those followed, by their keys."""

    def names(self) -> list[str]:
        """What an example could give to have a part in the answer."""
        metrics = [name for name in self.metrics if " " not in name and "(" not in name]
        return [*metrics, *self.attributes, *self.parameters, *self.events]

    def follow(self, rules: Iterable[tuple[str, str]]) -> None:
        """Read what decides rules, by their keys."""
        for key in rules:
            if key not in self.rules and key in self._rules:
                self.rules.add(key)
                self._remember(key, self._rules[key])
                for condition in reads(self._rules[key]):
                    self._read(condition)
            elif key not in self._rules:  # a tag that people set
                self.history.add(key)

    def _remember(self, key: tuple[str, str], rule: Rule) -> None:
        """What a rule remembers counts; where it lasts for a time, so does the day."""
        if rule.remembers:
            self.history.add(key)
        lasts = rule.keep_for if isinstance(rule, Tag) else rule.hold or rule.grace or rule.review
        if lasts is not None and key in self._givens.history:
            self.dated.append(rule.span)
        if isinstance(rule, Tag):
            self.follow(("tag", other) for other in rule.preferred)
        elif rule.review is not None and rule.review.anniversary_of is not None:
            self.attributes.setdefault(rule.review.anniversary_of, rule.span)

    def follow_rankings(self) -> None:
        """Read what ranks customers among each other too, and who is among them."""
        followed = set[str]()
        while left := self.ranked.keys() - followed:
            for name in sorted(left):
                followed.add(name)
                self._read(self._all_metrics[name].expression)

    def follow_reasons(self) -> None:
        """Read what the reasons of those rules say."""
        for key in list(self.rules):
            rule = self._rules[key]
            if isinstance(rule, Tag) and rule.because is not None:
                for value in rule.because.values:
                    self._read(value)

    def _read(self, expression: checked.Expression) -> None:
        for part in checked.walk(expression):
            match part:
                case checked.MetricValue(metric=name):
                    self._read_metric(name, part.span)
                case checked.Attribute(column=name):
                    self.attributes.setdefault(name, part.span)
                case checked.ParameterValue(parameter=name) | checked.OneOf(choices=str(name)):
                    self.parameters.setdefault(name, part.span)
                    if len(self._all_parameters[name].steps) > 1 and name not in self._givens.parameters:
                        self.dated.append(part.span)
                case checked.Aggregate(source=name):
                    self.events.setdefault(name, part.span)
                    if name in self._givens.events:  # events after the date do not exist
                        self.dated.append(part.span)
                case checked.Days(operand=operand):
                    if self._can_be_known(operand):
                        self.dated.append(part.span)
                case checked.HasTag(tag=name):
                    self.follow([("tag", name)])
                case checked.LadderIs(ladder=name):
                    self.follow([("ladder", name)])
                case checked.HadTag(tag=name):
                    self.history.add(("tag", name))
                case checked.LadderWas(ladder=name):
                    self.history.add(("ladder", name))
                case _:
                    pass

    def _read_metric(self, name: str, span: Span) -> None:
        if name in self.metrics:
            return
        self.metrics[name] = span
        if name in self._givens.metrics:
            return
        expression = self._all_metrics[name].expression
        if isinstance(expression, checked.Ranking):
            self.ranked[name] = span
        else:
            self._read(expression)

    def _can_be_known(self, expression: checked.Expression) -> bool:
        """Whether an expression can have a value at all, with what is given."""
        match expression:
            case checked.Constant() | checked.ParameterValue():
                return True
            case checked.Attribute(column=name):
                return self._givens.attributes.get(name) is not None
            case checked.MetricValue(metric=name):
                if name in self._givens.metrics:
                    return self._givens.metrics[name] is not None
                return self._can_be_known(self._all_metrics[name].expression)
            case checked.Aggregate(source=name):
                return name in self._givens.events
            case _:
                return any(map(self._can_be_known, checked.children(expression)))
