"""Keys of the API, as text for people."""

from collections.abc import Iterator

from ruleengine.cli.terminal import Terminal, columns, plain
from ruleengine.cli.versions import moment
from ruleengine.verbs.keys import CreatedKey, KeyInfo, KeyList


def created(report: CreatedKey, terminal: Terminal) -> Iterator[str]:
    yield report.secret
    yield f"{terminal.yes} key {report.key.id} for {plain(report.key.name)}: {', '.join(report.key.scopes)}"
    yield "  Keep it now: only its digest is stored, so it cannot be shown again."


def listed(report: KeyList, terminal: Terminal) -> Iterator[str]:
    if not report.keys:
        yield f"{plain(report.ruleset)}: no key was ever given"
    yield from columns(
        [
            (
                key.id,
                plain(key.name),
                ", ".join(key.scopes),
                f"given {moment(key.created_at)} by {plain(key.actor)}",
                _end(key),
            )
            for key in report.keys
        ]
    )


def revoked(key: KeyInfo, terminal: Terminal) -> Iterator[str]:
    yield f"{terminal.yes} key {key.id} of {plain(key.name)} does not count any more"


def _end(key: KeyInfo) -> str:
    if key.revoked_at is not None:
        return f"revoked {moment(key.revoked_at)}"
    return f"to the day before {key.expires_on}" if key.expires_on else ""
