"""Rules over the metrics, as SQL: who is given which tag, and stands where on which ladder.

Most rules are one expression. A rule that others refer to is a column, made in a layer of its own; so is one that takes
several steps: a tag with a budget ranks those who would be given it, and a tier goes from the level that is earned to
the one that is held.
"""

from collections.abc import Iterator, Sequence

from sqlglot import exp

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import Ladder, ManualTag, Rule, Tag
from ruleengine.planning.plan import Plan
from ruleengine.planning.recall import spoken
from ruleengine.sql import build, tiers
from ruleengine.sql.dates import later
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
                return self.answers.has(tag)
            case checked.HadTag() | checked.LadderWas():
                return build.column(self.answers.past[spoken(node)])
            case checked.LadderIs(ladder=ladder, values=values):
                known = plan.ruleset.ladders[ladder].values
                answer = build.column(self.answers.columns["ladder", ladder])
                indexes = [build.number(1 + known.index(value)) for value in values]
                if len(indexes) == 1:
                    return exp.EQ(this=answer, expression=indexes[0])
                return exp.In(this=answer, expressions=indexes)
            case _:
                raise AssertionError(f"not a leaf here: {node}")


Column = tuple[str, exp.Expression]


class Answers:
    """Writes the answers of a plan's rules, over the table of its metrics."""

    def __init__(self, plan: Plan, dialect: Dialect) -> None:
        self.plan = plan
        self.dialect = dialect
        self.columns: dict[tuple[str, str], str] = {}
        """Tags and ladders that others refer to, or that take steps → their column."""
        for index, rule in enumerate(rule for layer in plan.rule_layers for rule in layer):
            self.columns["tag" if isinstance(rule, Tag) else "ladder", rule.name] = f"answer {index}"
        memory = plan.memory
        self.held = {part.tag: part for part in memory.tags}
        self.standing = {part.tier: part for part in memory.tiers}
        self.by_hand = {(part.kind, part.name): part.column for part in memory.manual}
        self.past = {part.text: part.column for part in memory.past}
        self.frame = Lowering(dialect, plan.as_of, plan.parameters, FrameLeaves(self))

    def select(self, columns: Sequence[exp.Expression]) -> exp.Select:
        """SELECT columns FROM the metrics, with the answers of the rules that others refer to, layer on layer."""
        select = exp.Select(expressions=columns)
        source, number = "metrics", 0
        for layer in self.plan.rule_layers:
            ways = [list(self._steps(rule)) for rule in layer]
            for step in range(max(map(len, ways))):
                made = exp.Select(expressions=[exp.Star()])
                for rule, way in zip(layer, ways, strict=True):
                    for column, answer in way[step] if step < len(way) else ():
                        made = made.select(build.comment(build.named(answer, column), described(rule)), copy=False)
                made = made.from_(build.table(source), copy=False)
                source, number = f"answers {number}", number + 1
                select = select.with_(build.name(source), as_=self.dialect.layer(made), copy=False)
        return select.from_(build.table(source), copy=False)

    def answer(self, rule: Rule) -> exp.Expression:
        """A rule's answer: its column where it has one, else its condition."""
        known = self.columns.get(("tag" if isinstance(rule, Tag) else "ladder", rule.name))
        if known is not None:
            return build.column(known)
        return self.given(rule) if isinstance(rule, Tag) else self.rung(rule)

    def has(self, tag: str) -> exp.Expression:
        """Whether a customer is given a tag, or has it by hand; never NULL."""
        return build.column(self.by_hand.get(("tag", tag)) or self.columns["tag", tag])

    def left(self) -> Iterator[Column]:
        """What the next run has to remember."""
        for memory in self.plan.memory.tags:
            answer = self.columns["tag", memory.tag]
            matched = build.column(f"{answer} matched")
            kept = exp.And(this=build.column(answer), expression=build.negated(matched))
            yield memory.matched, build.case((kept, build.column(memory.matched)), otherwise=None)
        for standing in self.plan.memory.tiers:
            answer = self.columns["ladder", standing.tier]
            yield standing.level, build.column(f"{answer} level")
            yield standing.reached, build.column(f"{answer} reached")
            yield standing.below, build.column(f"{answer} below since")

    def _steps(self, rule: Rule) -> Iterator[list[Column]]:
        """The columns of a rule's layers, the last of them its answer."""
        column = self.columns["tag" if isinstance(rule, Tag) else "ladder", rule.name]
        if isinstance(rule, Tag):
            yield from self._tag_steps(rule, column)
        elif rule.name in self.standing:
            yield from tiers.steps(self, rule, column)
        else:
            yield [(column, self.overlaid(rule, self.rung(rule)))]

    # -- tags -----------------------------------------------------------------------------------------------

    def _tag_steps(self, tag: Tag, column: str) -> Iterator[list[Column]]:
        never = exp.Boolean(this=False)
        given = build.call("coalesce", self.given(tag), never)
        matched = []
        if tag.name in self.held:
            matched = [(f"{column} matched", build.call("coalesce", self.matches(tag), never.copy()))]
        if tag.limit is None:
            yield [*matched, (column, given)]
            return
        candidate = f"{column} candidate"
        yield [*matched, (candidate, given)]
        best = exp.Ordered(this=self.frame.lower(tag.limit.value), desc=not tag.limit.lowest, nulls_first=False)
        order = exp.Order(expressions=[best, exp.Ordered(this=build.column("customer"), nulls_first=False)])
        place = exp.Window(this=exp.RowNumber(), partition_by=[build.column(candidate)], order=order)
        yield [(f"{column} place", place)]
        within = exp.LTE(this=build.column(f"{column} place"), expression=build.number(tag.limit.count))
        yield [(column, exp.And(this=build.column(candidate), expression=within))]

    def matches(self, tag: Tag, *, preferred: bool = True) -> exp.Expression:
        """`when`, and not what takes the tag away."""
        return self._all([self.frame.lower(tag.when), *self._barred(tag, preferred)])

    def given(self, tag: Tag, *, preferred: bool = True) -> exp.Expression:
        """TRUE where the tag is given, FALSE or NULL where it is not, its budget aside; `preferred` says whether those
        count who have a tag that is preferred to it."""
        memory = self.held.get(tag.name)
        if memory is None:
            return self.matches(tag, preferred=preferred)
        reasons: list[exp.Expression] = []
        if tag.keep_for is not None:
            ends = later(build.column(memory.matched), tag.keep_for)
            reasons.append(exp.GT(this=ends, expression=build.day(self.plan.as_of)))
        if tag.until is not None:
            reasons.append(build.negated(self.frame.lower(tag.until)))
        when = self.frame.lower(tag.when)
        if reasons:
            kept = self._all([build.column(memory.held), self._any(reasons)])
            when = self._any([when, kept])
        made = self._all([when, *self._barred(tag, preferred)])
        if tag.if_unknown_keep:
            return build.call("coalesce", made, build.column(memory.held))
        return made

    def suppressed(self, tag: Tag) -> exp.Expression:
        """TRUE where the tag is not given for another one that is preferred, and otherwise would be."""
        has = self._any([self.has(other) for other in tag.preferred])
        return self._all([self.given(tag, preferred=False), has])

    def over_budget(self, tag: Tag) -> exp.Expression:
        """TRUE where the tag is not given for its budget alone."""
        column = self.columns["tag", tag.name]
        return self._all([build.column(f"{column} candidate"), build.negated(build.column(column))])

    def _barred(self, tag: Tag, preferred: bool) -> list[exp.Expression]:
        barred = [build.negated(self.frame.lower(tag.unless))] if tag.unless is not None else []
        if preferred:
            barred += [build.negated(self.has(other)) for other in tag.preferred]
        return barred

    def _all(self, parts: list[exp.Expression]) -> exp.Expression:
        made = build.all_of(parts)
        assert made is not None
        return made

    def _any(self, parts: list[exp.Expression]) -> exp.Expression:
        made = build.any_of(parts)
        assert made is not None
        return made

    # -- ladders --------------------------------------------------------------------------------------------

    def rung(self, ladder: Ladder) -> exp.Expression:
        """1 + the index of the customer's value, or 0; of a tier, what is earned by who held nothing before."""
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

    def overlaid(self, ladder: Ladder, rung: exp.Expression) -> exp.Expression:
        """A tier's level, unless one was set by hand."""
        column = self.by_hand.get(("tier", ladder.name))
        if column is None:
            return rung
        return build.cast(build.case(*tiers.positions(ladder, column), otherwise=rung), "SMALLINT")


def described(rule: Rule | ManualTag) -> str:
    """How a comment names a rule, and where it stands."""
    what = f"{rule.kind} {rule.name}" if isinstance(rule, Ladder) else f'tag "{rule.name}"'
    return f"{what} ({rule.span})"
