"""Rules over the metrics, as SQL: who is given which tag, and stands where on which ladder."""

from sqlglot import exp

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import Ladder, Rule, Tag
from ruleengine.planning.plan import Plan
from ruleengine.sql import build
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.expressions import Lowering


class FrameLeaves:
    """Leaves of metrics and rules: columns of the frame, or of the scans that are being joined into it."""

    def __init__(self, answers: "Answers", *, joining: bool = False) -> None:
        self.answers, self.joining = answers, joining

    def leaf(self, node: checked.Expression) -> exp.Expression:
        plan = self.answers.plan
        match node:
            case checked.Attribute(column=column):
                return build.column(plan.attributes[column])
            case checked.MetricValue(metric=metric):
                return build.column(plan.metrics[metric])
            case checked.Aggregate():
                scan, measure = plan.measures[node]
                if not self.joining:
                    return build.column(measure.column)
                made: exp.Expression = build.column(measure.column, scan.name)
                if not node.nullable:
                    made = exp.Coalesce(this=made, expressions=[build.number(0)])
                return made
            case checked.HasTag(tag=tag):
                return build.column(self.answers.columns["tag", tag])
            case checked.LadderIs(ladder=ladder, values=values):
                known = plan.ruleset.ladders[ladder].values
                answer = build.column(self.answers.columns["ladder", ladder])
                indexes = [build.number(1 + known.index(value)) for value in values]
                if len(indexes) == 1:
                    return exp.EQ(this=answer, expression=indexes[0])
                return exp.In(this=answer, expressions=indexes)
            case _:
                raise AssertionError(f"not a leaf here: {node}")


class Answers:
    """Writes the answers of a plan's rules, over the table of its metrics."""

    def __init__(self, plan: Plan, dialect: Dialect) -> None:
        self.plan = plan
        self.columns: dict[tuple[str, str], str] = {}
        """Tags and ladders that others refer to → their column."""
        for index, rule in enumerate(rule for layer in plan.rule_layers for rule in layer):
            self.columns["tag" if isinstance(rule, Tag) else "ladder", rule.name] = f"answer {index}"
        self.frame = Lowering(dialect, plan.as_of, plan.parameters, FrameLeaves(self))

    def source(self) -> exp.Expression:
        """The metrics, with the answers of the rules that others refer to, layer on layer."""
        source: exp.Expression = build.table("metrics")
        for depth, layer in enumerate(self.plan.rule_layers):
            select = exp.Select(expressions=[exp.Star()])
            for rule in layer:
                if isinstance(rule, Tag):
                    answer = build.call("coalesce", self.given(rule), exp.Boolean(this=False))
                    made = build.named(answer, self.columns["tag", rule.name])
                else:
                    made = build.named(self.rung(rule), self.columns["ladder", rule.name])
                select = select.select(build.comment(made, spoken(rule)), copy=False)
            select = select.from_(source, copy=False)
            source = exp.Subquery(this=select, alias=exp.TableAlias(this=build.name(f"answers {depth}")))
        return source

    def given(self, tag: Tag) -> exp.Expression:
        """TRUE where the tag is given, FALSE or NULL where it is not."""
        when = self.frame.lower(tag.when)
        if tag.unless is None:
            return when
        made = build.all_of([when, build.negated(self.frame.lower(tag.unless))])
        assert made is not None
        return made

    def rung(self, ladder: Ladder) -> exp.Expression:
        """1 + the index of the customer's value, or 0."""
        branches = []
        for index, level in enumerate(ladder.levels):
            condition = self.frame.lower(level.when)
            branches.append((condition, build.number(1 + index)))
            if ladder.kind == "class" and level.when.nullable:
                # A line that cannot be told ends the search: a later one might be the wrong answer.
                branches.append((build.is_null(condition.copy()), build.number(0)))
        otherwise = 0 if ladder.otherwise is None else 1 + ladder.values.index(ladder.otherwise)
        return build.cast(build.case(*branches, otherwise=build.number(otherwise)), "SMALLINT")

    def unknown(self, ladder: Ladder) -> exp.Expression | None:
        """TRUE where a class gives no value because a line before the first TRUE one is unknown."""
        if not any(level.when.nullable for level in ladder.levels):
            return None
        branches = []
        for level in ladder.levels:
            condition = self.frame.lower(level.when)
            branches.append((condition, exp.Boolean(this=False)))
            if level.when.nullable:
                branches.append((build.is_null(condition.copy()), exp.Boolean(this=True)))
        return build.case(*branches, otherwise=exp.Boolean(this=False))

    def answer(self, rule: Rule) -> exp.Expression:
        """A rule's answer: its column where others refer to it, else its condition."""
        if isinstance(rule, Tag):
            known = self.columns.get(("tag", rule.name))
            return build.column(known) if known is not None else self.given(rule)
        known = self.columns.get(("ladder", rule.name))
        return build.column(known) if known is not None else self.rung(rule)


def spoken(rule: Rule) -> str:
    """How a comment names a rule, and where it stands."""
    what = f'tag "{rule.name}"' if isinstance(rule, Tag) else f"{rule.kind} {rule.name}"
    return f"{what} ({rule.span})"
