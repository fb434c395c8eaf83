"""What is installed, and in what state a ruleset's store is."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import ruleengine
from ruleengine import schema
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.schema import Manifest, Profile, tables
from ruleengine.verbs import published

PACKAGES = ("duckdb", "psycopg", "sqlglot", "lark", "pydantic", "fastapi", "uvicorn", "click", "rich", "tzdata")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    path: str
    exists: bool
    writable: bool | None
    """None, as below, of a store in a database."""
    free_bytes: int | None
    versions: int
    current: int | None
    held_runs: int
    erasing: bool
    """Remnants of somebody who was forgotten wait for the next writer: see `forget`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    ruleengine: str
    python: str
    platform: str
    language: int
    """The number of the rule language, and below of the layout of ruleset.toml, that this release reads."""
    format: int
    packages: dict[str, str | None]
    ruleset: str | None
    """None where there is no ruleset to look at."""
    timezone: str | None
    engine: str | None
    store: StoreState | None
    problems: tuple[Problem, ...]


def doctor(path: Path, profile: str) -> Diagnosis:
    """Look at everything; what is wrong is in the answer, not raised."""
    manifest: Manifest | None = None
    state: StoreState | None = None
    problems: tuple[Problem, ...] = ()
    try:
        manifest = schema.load(path)
        state, problems = _state(path, profile, manifest.profile(profile))
    except ProblemError as error:
        problems = error.problems
    return Diagnosis(
        ruleengine=ruleengine.__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        language=tables.LANGUAGE,
        format=tables.FORMAT,
        packages={name: _installed(name) for name in PACKAGES},
        ruleset=manifest.name if manifest else None,
        timezone=manifest.timezone if manifest else None,
        engine=manifest.profiles[profile].engine if manifest and profile in manifest.profiles else None,
        store=state,
        problems=problems,
    )


def _state(path: Path, name: str, profile: Profile) -> tuple[StoreState, tuple[Problem, ...]]:
    """What the store is like, and what is damaged in it."""
    store = profile.store
    around = next(folder for folder in (store, *store.absolute().parents) if folder.exists())
    inside = profile.schema is not None
    with published.opened(path, name) as (_, opened):
        empty = opened.identity() is None
        current = None if empty else opened.current()
        state = StoreState(
            path=f"schema {profile.schema}" if inside else str(store),
            exists=not empty if inside else store.exists(),
            writable=None if inside else os.access(around, os.W_OK | os.X_OK),
            free_bytes=None if inside else shutil.disk_usage(around).free,
            versions=0 if empty else len(opened.versions()),
            current=current.number if current else None,
            held_runs=0 if empty else sum(run.state == "held" for run in opened.runs()),
            erasing=not empty and opened.erasing(),
        )
        return state, opened.damage()


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
