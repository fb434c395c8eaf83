"""Rule files in the one layout that all of them have."""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ruleengine import schema
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.syntax.format import format_file
from ruleengine.syntax.parse import parse
from ruleengine.syntax.scan import read_source


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    changed: tuple[str, ...]
    """The files that were not in the layout; with `check` they still are not."""
    unchanged: tuple[str, ...]
    problems: tuple[Problem, ...]
    """What keeps other files from being read; those stay as they are."""


def fmt(paths: Iterable[Path], check: bool = False, language: str | None = None) -> Formatted:
    """Rewrite the named rule files, and those of the named rulesets; with `check` only tell which ones.

    Each file is written in the language named, `en` or `zh`, or else in that of most of its words.
    """
    changed: list[str] = []
    unchanged: list[str] = []
    problems: list[Problem] = []
    for path in _rule_files(paths):
        try:
            source = read_source(path)
            if isinstance(source, Problem):
                raise ProblemError(source)
            parsed = parse(source)
            errors = [problem for problem in parsed.problems if problem.is_error]
            if errors:
                raise ProblemError(*errors)
        except ProblemError as error:
            problems.extend(error.problems)
            continue
        text = format_file(parsed, language)
        if text.encode() == path.read_bytes():
            unchanged.append(str(path))
            continue
        changed.append(str(path))
        if not check:
            replace(path, text)
    return Formatted(changed=tuple(changed), unchanged=tuple(unchanged), problems=tuple(problems))


def _rule_files(paths: Iterable[Path]) -> Iterable[Path]:
    files: dict[Path, None] = {}
    for path in paths:
        if path.suffix == ".rules" and path.is_file():
            files[path] = None
        elif path.is_dir() or path.name == schema.MANIFEST:
            files |= dict.fromkeys(schema.load(path).rule_files())
        else:
            raise ProblemError(codes.not_formattable(None, path=str(path)))
    return files


def replace(path: Path, text: str) -> None:
    """Write a file anew so that a reader, or a crash, sees the old text or the new one and never a part."""
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, target.stat().st_mode & 0o7777)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
