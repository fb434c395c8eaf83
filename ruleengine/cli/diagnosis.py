"""What the doctor found, as text for people."""

from collections.abc import Iterator

from ruleengine.cli.terminal import Terminal, columns, counted, plain
from ruleengine.verbs.doctor import Diagnosis, StoreState


def diagnosis(found: Diagnosis, terminal: Terminal) -> Iterator[str]:
    rows = [
        ("ruleengine", f"{found.ruleengine} (rule language {found.language}, ruleset.toml format {found.format})"),
        ("python", f"{found.python}, {found.platform}"),
        *((name, version or f"{terminal.no} not installed") for name, version in found.packages.items()),
    ]
    if found.ruleset is not None:
        rows.append(("ruleset", f"{plain(found.ruleset)}, days in {found.timezone}, engine {found.engine}"))
    if found.store is not None:
        rows.append(("store", _store(found.store)))
        if found.store.free_bytes is not None:
            writable = f"{terminal.yes} can be written" if found.store.writable else f"{terminal.no} cannot be written"
            rows.append(("", f"{writable}, {found.store.free_bytes / 1e9:,.1f} GB free"))
    yield from columns([(terminal.faint(name), what) for name, what in rows])


def _store(state: StoreState) -> str:
    if not state.versions:
        return f"{plain(state.path)}: nothing is published yet"
    held = f", {counted(state.held_runs, 'held run')}" if state.held_runs else ""
    pending = ", an erasure is pending until the next write" if state.erasing else ""
    return f"{plain(state.path)}: {counted(state.versions, 'version')}, current is {state.current}{held}{pending}"
