"""What a run would do, for a terminal and for a pull request."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from ruleengine.cli.blocks import Block, Heading, Table
from ruleengine.cli.customers import condition_with_values, remembered
from ruleengine.cli.runs import forgotten
from ruleengine.cli.terminal import Terminal, counted
from ruleengine.store.records import GIVEN, Amount
from ruleengine.verbs.backtest import Backtest, Course
from ruleengine.verbs.explain import Condition, RuleExplanation, said
from ruleengine.verbs.guards import said as said_of_check
from ruleengine.verbs.plan import Against, Comparison, Move, PlanReport, RuleMoves
from ruleengine.verbs.rule_changes import RulesetDiff, StatementChange

MOST_REASONS = 3
"""So many conditions are told of a sample."""
WIDEST_MATRIX = 8
"""So many levels or values, at most, stand beside each other."""


def told(report: PlanReport | Backtest, terminal: Terminal) -> Iterator[Block]:
    return plan(report, terminal) if isinstance(report, PlanReport) else backtest(report, terminal)


def plan(report: PlanReport, terminal: Terminal) -> Iterator[Block]:
    partial = " (a part of that day)" if report.saw_part_of_day else ""
    yield Heading(f"{report.ruleset}: plan as of {report.as_of}{partial}", first=True)
    base = "no version was published by then"
    if report.base:
        base = f"compared with version {report.base}, as of {report.base_as_of}"
    yield f"{base}{terminal.dot}{_movement(report.compared)}"
    for reason in report.reasons:
        yield f"{terminal.no} a run would be held: {reason}"
    for check in report.checks:
        if check.outcome == "warned":
            yield f"! check {check.check}: {said_of_check(check)}"
    yield from forgotten(report.forgotten)
    compared = report.compared
    if report.against:
        yield from _against(report.against, report.compared, terminal)
        compared = report.against.by_rules
    yield from _comparison(compared, report.metric, report.total, terminal)


def _movement(compared: Comparison) -> str:
    moved = compared.movement
    parts = [
        counted(compared.customers, "customer"),
        f"{counted(moved.rows, 'change')} of {counted(moved.customers, 'customer')}",
    ]
    parts += [f"{moved.arrived:,} new"] * bool(moved.arrived)
    parts += [f"{moved.vanished:,} gone"] * bool(moved.vanished)
    return ", ".join(parts)


def backtest(report: Backtest, terminal: Terminal) -> Iterator[Block]:
    days = [step.as_of.isoformat() for step in report.steps]
    yield Heading(f"{report.ruleset}: {counted(len(days), 'day')} from {days[0]} to {days[-1]}", first=True)
    for step in report.steps:
        for reason in step.reasons:
            yield f"{terminal.no} as of {step.as_of} a run would be held: {reason}"
    yield Table(("", *days), (("customers", *(f"{step.customers:,}" for step in report.steps)),))
    for title, courses in groupby(report.courses, _group):
        yield Heading(title)
        yield Table(("", *days, "stay"), tuple(_course(each) for each in courses))


def _group(course: Course) -> str:
    return "Tags" if course.kind == "tag" else _rule(course.kind, course.name)


def _course(course: Course) -> tuple[str, ...]:
    """Sizes, with who came and went; and how many of those who hold it hold it on the next day too."""
    name = course.name if course.kind == "tag" else course.value
    points = []
    for point in course.points:
        moved = [f"+{point.gained:,}"] * bool(point.gained) + [f"-{point.lost:,}"] * bool(point.lost)
        points.append(" ".join([*moved, f"{point.customers:,}"]))
    return (f'"{name}"', *points, "" if course.stability is None else f"{100 * course.stability:.1f}%")


# -- who moves --------------------------------------------------------------------------------------------------


def _comparison(compared: Comparison, metric: str | None, total: Amount | None, terminal: Terminal) -> Iterator[Block]:
    moving = [rule for rule in compared.rules if rule.moves]
    tags = [rule for rule in moving if rule.kind == "tag"]
    if tags:
        yield Heading("Tags")
        amounts = (f"{metric} gained", f"{metric} lost") if metric else ()
        rows = tuple(_tag(rule, bool(metric)) for rule in tags)
        yield Table(("", "before", "after", "gain", "lose", *amounts), rows)
    for rule in moving:
        if rule.kind != "tag":
            yield Heading(_title(rule))
            if len(rule.sizes) <= WIDEST_MATRIX:
                yield _matrix(rule, terminal)
            if metric or len(rule.sizes) > WIDEST_MATRIX:
                amount = (metric,) if metric else ()
                rows = tuple(
                    (_step(move, terminal), f"{move.customers:,}", *((_amount(move.amount),) if metric else ()))
                    for move in rule.moves
                )
                yield Table(("", "customers", *amount), rows)
    still = len(compared.rules) - len(moving)
    if still:
        yield f"{counted(still, 'rule')} without a change"
    if metric and moving and total is not None:
        yield f"{metric} of all customers: {_amount(total)}"
    samples = tuple(_samples(moving, terminal))
    if samples:
        yield Heading("Examples")
        yield Table(("customer", "change", "why"), samples, left=frozenset({0, 1, 2}))


def _title(rule: RuleMoves) -> str:
    return _rule(rule.kind, rule.name)


def _rule(kind: str, name: str) -> str:
    return f'tag "{name}"' if kind == "tag" else f"{kind} {name}"


def _tag(rule: RuleMoves, measured: bool) -> tuple[str, ...]:
    gain = [move for move in rule.moves if move.new is not None]
    lose = [move for move in rule.moves if move.new is None]
    amounts = (_amounts(gain), _amounts(lose)) if measured else ()
    before, after = (sum(getattr(size, side) for size in rule.sizes) for side in ("before", "after"))
    return (f'"{rule.name}"', f"{before:,}", f"{after:,}", _signed("+", gain), _signed("-", lose), *amounts)


def _signed(sign: str, moves: Sequence[Move]) -> str:
    customers = sum(move.customers for move in moves)
    return f"{sign}{customers:,}" if customers else ""


def _amounts(moves: Sequence[Move]) -> str:
    return "".join(_amount(move.amount) for move in moves)


def _amount(amount: Amount | None) -> str:
    return "" if amount is None else said(amount)


def _matrix(rule: RuleMoves, terminal: Terminal) -> Table:
    """From where to where: who stays is on the diagonal."""
    customers = {(move.old, move.new): move.customers for move in rule.moves}
    for size in rule.sizes:
        left = sum(n for (old, _), n in customers.items() if old == size.value)
        customers[size.value, size.value] = size.before - left
    values: list[str | None] = [size.value for size in rule.sizes]
    nothing = [None] if any(None in pair for pair in customers) else []
    listed = [*values, *nothing]
    rows = tuple(
        (
            f"from {_value(old)}",
            *(f"{customers[old, new]:,}" if customers.get((old, new)) else "" for new in listed),
        )
        for old in listed
        if any(customers.get((old, new)) for new in listed)
    )
    return Table((f"{terminal.arrow} to", *map(_value, listed)), rows)


def _value(value: str | None) -> str:
    return "none" if value is None else f'"{value}"'


def _step(move: Move, terminal: Terminal) -> str:
    return f"{_value(move.old)} {terminal.arrow} {_value(move.new)}"


# -- why --------------------------------------------------------------------------------------------------------


def _samples(rules: Sequence[RuleMoves], terminal: Terminal) -> Iterator[tuple[str, str, str]]:
    for rule in rules:
        for move in rule.moves:
            if rule.kind == "tag":
                change = f"{'+' if move.new else '-'} {_title(rule)}"
            else:
                change = f"{_title(rule)} {_step(move, terminal)}"
            for sample in move.samples:
                if sample.explanation:
                    why = why_moved(sample.explanation, move.old, terminal)
                elif not sample.known:
                    why = "the customer is gone"
                else:
                    why = "by hand" if rule.declared else "no rule decides it any more"
                yield str(sample.customer), change, why


def why_moved(explanation: RuleExplanation, old: str | None, terminal: Terminal) -> str:
    """What speaks for the answer, or against the one before, on one line."""
    if explanation.because:
        return explanation.because
    if explanation.kind == "tag" and (beside := [*remembered(explanation)]):
        return "; ".join(beside)
    conditions: Sequence[Condition]
    before = next((line for line in explanation.lines if line.value == old), None)
    if explanation.kind == "tag" and explanation.value != GIVEN:
        conditions = explanation.nearest
    elif before and before.condition.answer is not True:
        conditions = [leaf for leaf in _leaves(before.condition) if leaf.answer is not leaf.wanted]
    else:
        parts = (
            [explanation.when] if explanation.when else [line.condition for line in explanation.lines if line.decides]
        )
        conditions = [leaf for part in parts for leaf in _leaves(part) if leaf.answer is leaf.wanted]
    if explanation.lines and not any(line.decides for line in explanation.lines) and not conditions:
        return "no line above holds" if explanation.value else "no line holds"
    told = [condition_with_values(condition, terminal) for condition in conditions[:MOST_REASONS]]
    return "; ".join([*told, *["…"] * (len(conditions) > MOST_REASONS)])


def _leaves(condition: Condition) -> Iterator[Condition]:
    if condition.kind == "condition":
        yield condition
    for part in condition.conditions:
        yield from _leaves(part)


# -- beside other rules -----------------------------------------------------------------------------------------


def _against(against: Against, compared: Comparison, terminal: Terminal) -> Iterator[Block]:
    yield Heading(f"Rules, against {against.path}")
    if against.changes:
        yield changes_table(against.changes)
    else:
        yield "no statement differs"
    by_time = {(rule.kind, rule.name): rule for rule in against.by_time.rules} if against.by_time else {}
    by_rules = {(rule.kind, rule.name): rule for rule in against.by_rules.rules}
    in_all = {(rule.kind, rule.name): rule for rule in compared.rules}
    if against.by_time:
        rows = []
        for key in dict.fromkeys((*in_all, *by_rules, *by_time)):
            sides = [each.get(key) for each in (by_time, by_rules, in_all)]
            if any(side and side.moves for side in sides):
                rows.append((_title(next(filter(None, sides))), *(_brief(side) for side in sides)))
        yield Heading("What moves, and by what")
        yield Table(("", "time and data", "the rules", "in all"), tuple(rows))
    yield Heading(f"By the rules alone: {_movement(against.by_rules)}")


def _brief(rule: RuleMoves | None) -> str:
    if rule is None or not rule.moves:
        return ""
    if rule.kind != "tag":
        return f"{sum(move.customers for move in rule.moves):,} move"
    signs = (("+", [m for m in rule.moves if m.new]), ("-", [m for m in rule.moves if not m.new]))
    return " ".join(filter(None, (_signed(sign, moves) for sign, moves in signs)))


def changes(report: RulesetDiff, terminal: Terminal) -> Iterator[Block]:
    verb = "differs" if len(report.changes) == 1 else "differ"
    found = f"{counted(len(report.changes), 'statement')} {verb}" if report.changes else "no statement differs"
    yield Heading(f"{report.a} {terminal.arrow} {report.b}: {found}", first=True)
    if report.changes:
        yield changes_table(report.changes)


def changes_table(changes: Sequence[StatementChange]) -> Table:
    """A row for each clause that differs."""
    rows: list[tuple[str, ...]] = []
    for change in changes:
        quoted = f'"{change.name}"' if change.kind in ("tag", "example") else change.name
        what = f"{change.kind} {quoted}"
        how = f'renamed from "{change.formerly}"' if change.formerly is not None else change.change
        reached = ", ".join(_rule(each.kind, each.name) for each in change.reaches)
        if not change.parts:
            rows.append((what, how, "", "", reached))
        for number, part in enumerate(change.parts):
            first = (what, f"{how}: {part.clause}") if not number else ("", part.clause)
            rows.append((*first, part.old or "", part.new or "", "" if number else reached))
    return Table(("statement", "change", "was", "is", "reaches"), tuple(rows), left=frozenset(range(5)))
