"""What a check found, as text for people."""

from ruleengine.cli.terminal import Terminal, counted, plain
from ruleengine.verbs.check import CheckReport


def check(report: CheckReport, terminal: Terminal) -> str:
    parts = ((report.metrics, "metric"), (report.tags, "tag"), (report.ladders, "ladder"))
    found = [counted(report.files, "file"), *(counted(n, noun) for n, noun in parts if n)]
    verdict = [counted(n, noun) for n, noun in ((report.errors, "error"), (report.warnings, "warning")) if n]
    mark = terminal.no if report.errors else terminal.yes
    summary = terminal.dot.join((", ".join(found), ", ".join(verdict) or "no problems"))
    return f"{mark} {plain(report.ruleset)}: {summary}"
