"""One customer: what happened to him, and why he is what he is, as text for people."""

from collections.abc import Iterator, Mapping

from ruleengine.cli.terminal import Terminal, columns, counted, plain
from ruleengine.cli.versions import given, moved
from ruleengine.store.records import GIVEN, Change, Setting
from ruleengine.verbs.by_hand import ByHandReport
from ruleengine.verbs.explain import Condition, Explanation, Line, RuleExplanation, TagMemory, TierMemory, said
from ruleengine.verbs.forget import ForgetReport
from ruleengine.verbs.history import History


def history(report: History, terminal: Terminal) -> Iterator[str]:
    yield terminal.bold(f"{plain(report.entity)} {plain(str(report.customer))}")
    if not report.entries:
        yield "  nothing ever changed"
    rows = [
        (
            entry.as_of.isoformat(),
            f"version {entry.version}" + ("" if entry.in_line else " (not in the line)"),
            _change(entry.change, terminal),
            ", ".join(_read(entry.change.evidence or {})),
        )
        for entry in report.entries
    ]
    yield from columns(rows, indent=2)


def _read(evidence: Mapping[str, object]) -> Iterator[str]:
    """What a rule read; of what is remembered, only what there was."""
    for name, value in evidence.items():
        if not (value in (None, False) and name.startswith(('tag "', "tier "))):
            yield f"{plain(name)} {_stored(value)}"


def _stored(value: object) -> str:
    match value:
        case None:
            return "missing"
        case bool():
            return str(value).lower()
        case _:
            return plain(str(value))


def _change(change: Change, terminal: Terminal) -> str:
    if change.kind == "tag":
        return given(change.name, change.new is not None, terminal)
    return moved(change.kind, change.name, change.old, change.new, terminal)


def set_by_hand(report: ByHandReport, terminal: Terminal) -> Iterator[str]:
    facts = (f"published version {report.version}", f"as of {report.as_of}")
    yield f"{terminal.yes} {terminal.dot.join(facts)}"
    if report.setting is not None:
        yield f"  {_by_hand(report.setting)}"
    for change in report.changes:
        yield f"  {_change(change, terminal)}"


def forgotten(report: ForgetReport, terminal: Terminal) -> Iterator[str]:
    facts = (f"published version {report.version}", f"as of {report.as_of}")
    yield f"{terminal.yes} {terminal.dot.join(facts)}"
    yield f"  {counted(len(report.customers), 'customer')} forgotten: in no version any more, and left out of every run"
    if report.pending:
        yield "  pending: remnants lie in the store's files while somebody reads them; the next write takes them away"


def explanation(report: Explanation, terminal: Terminal) -> Iterator[str]:
    yield terminal.dot.join(
        (
            terminal.bold(f"{plain(report.entity)} {plain(str(report.customer))}"),
            f"version {report.version}" + ("" if report.current else " (not the current one)"),
            f"as of {report.as_of}",
        )
    )
    for index, rule in enumerate(report.rules):
        if index:
            yield ""
        yield from rule_explanation(rule, terminal)


def rule_explanation(rule: RuleExplanation, terminal: Terminal) -> Iterator[str]:
    since = f" since {rule.since}" if rule.since else ""
    if rule.kind == "tag":
        given = rule.value == GIVEN
        verdict = f"given{since}" if given else "not given"
        yield f'{terminal.yes if given else terminal.no} tag "{plain(rule.name)}"  {verdict}'
        if rule.because:
            yield f"    {terminal.dash} {plain(rule.because)}"
    elif rule.value is None:
        yield f"{terminal.no} {rule.kind} {plain(rule.name)}  none"
    else:
        yield f'{terminal.yes} {rule.kind} {plain(rule.name)}  "{plain(rule.value)}"{since}'
    for fact in remembered(rule):
        yield f"    {terminal.dash} {fact}"
    rows: list[tuple[str, str]] = []
    if rule.when:
        rows += _conditions(rule.when, terminal, 1)
    for word, condition in (("unless", rule.unless), ("until", rule.until)):
        if condition:
            rows.append((f"  {word}", ""))
            rows += _conditions(condition, terminal, 2)
    decided = False
    for line in rule.lines:
        rows += _line(line, terminal, decided)
        decided = decided or line.decides
    if rule.lines and rule.otherwise is not None:
        rows.append((f'  {terminal.no if decided else terminal.yes} otherwise "{plain(rule.otherwise)}"', ""))
    yield from columns(rows)
    if len(rule.nearest) > 1 or (rule.nearest and rule.when and rule.when.kind != "condition"):
        ways = "; ".join(
            f"{plain(step.text)}{f' ({distance(step)})' if step.distance else ''}" for step in rule.nearest
        )
        yield f"  nearest: {ways}"


def remembered(rule: RuleExplanation) -> Iterator[str]:
    """What the answer has beside the conditions: from before, by others, or by hand."""
    if rule.by_hand is not None:
        yield _by_hand(rule.by_hand)
    match rule.memory:
        case TagMemory() as memory:
            if memory.suppressed_by:
                yield "suppressed: has " + ", ".join(f'tag "{plain(name)}"' for name in memory.suppressed_by)
            if memory.beyond_limit:
                yield "beyond its limit"
            if rule.value == GIVEN and rule.when is not None and rule.when.answer is not True:
                kept = f"kept: its condition held on {memory.last_match}"
                yield kept + (f", which keeps it to {memory.kept_to}" if memory.kept_to else "")
        case TierMemory() as memory:
            if rule.by_hand is not None:
                level = f'"{plain(memory.level)}"' if memory.level is not None else "no level"
                yield f"without that: {level}"
            if memory.below_since is not None:
                ways = "; ".join(_short(step) for step in memory.short_of)
                ends = f"held until {memory.held_until}" if memory.held_until else "never falls"
                yield f'{ends}; {ways} for "{plain(memory.level or "")}"'
        case None:
            pass


def _by_hand(setting: Setting) -> str:
    level = f' "{plain(setting.value)}"' if setting.kind == "tier" else ""
    ends = f", to the day before {setting.expires_on}" if setting.expires_on else ""
    why = f": {plain(setting.reason)}" if setting.reason else ""
    return f"set by hand{level} by {plain(setting.actor)}, since {setting.as_of}{ends}{why}"


def _short(step: Condition) -> str:
    """`1,250.00 short of monetary_12m >= 20_000`."""
    text = plain(step.text)
    if step.distance is None:
        return f"not {text}"
    return f"{distance(step)} of {text}" if step.distance.unit == "number" else f"{distance(step)} for {text}"


def _line(line: Line, terminal: Terminal, decided: bool) -> list[tuple[str, str]]:
    if decided:
        # A line above has spoken; this one is not asked any more.
        return [(f'  {terminal.faint(chr(0xB7) if terminal.unicode else ".")} "{plain(line.value)}"', "")]
    mark = _mark(line.condition, terminal)
    rows = [(f'  {mark} "{plain(line.value)}"', ""), *_conditions(line.condition, terminal, 2)]
    if line.keep_while is not None:
        rows += [("    keep while", ""), *_conditions(line.keep_while, terminal, 3)]
    return rows


def _mark(condition: Condition, terminal: Terminal) -> str:
    if condition.answer is None:
        return terminal.unknown
    return terminal.yes if condition.answer else terminal.no


def _conditions(condition: Condition, terminal: Terminal, depth: int) -> list[tuple[str, str]]:
    """A row for the condition and one for each beneath it: mark and text, then the customer's own values."""
    text = plain(condition.text) if condition.kind == "condition" else condition.kind
    rows = [("  " * depth + f"{_mark(condition, terminal)} {text}", _values(condition, terminal))]
    for part in condition.conditions:
        rows += _conditions(part, terminal, depth + 1)
    return rows


def _values(condition: Condition, terminal: Terminal) -> str:
    """The value that the text begins with, the others by their names, and how far it is from flipping."""
    reads = list(condition.reads)
    text = ""
    if reads and condition.text.startswith(reads[0].name):
        text = plain(said(reads.pop(0).value))
    others = ", ".join(f"{plain(read.name)} {plain(said(read.value))}" for read in reads)
    text += f" ({others})" if text and others else others
    if condition.distance:
        text += f" {terminal.dash} {distance(condition)}"
    return text


def condition_with_values(condition: Condition, terminal: Terminal) -> str:
    """`recency < 60: 75 — 15 days too late`."""
    values = _values(condition, terminal)
    return f"{plain(condition.text)}: {values}" if values else plain(condition.text)


def distance(condition: Condition) -> str:
    """`1,250.00 short`, `12 days too early`."""
    gap = condition.distance
    assert gap is not None
    amount = said(gap.amount)
    if not gap.amount:
        return "at the very edge"
    if gap.unit == "days":
        days = "day" if gap.amount == 1 else "days"
        return f"{amount} {days} too {'early' if gap.direction == 'more' else 'late'}"
    return f"{amount} {'short' if gap.direction == 'more' else 'over'}"
