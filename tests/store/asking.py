"""What a store answers, as tests compare it."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ruleengine.store.records import Key
from ruleengine.store.store import Store


def document(store: Store, key: Key, version: int | None = None) -> Any:
    content = store.customer(key, version).document
    return None if content is None else json.loads(content)


def exported(store: Store, path: Path, **what: Any) -> Sequence[Sequence[str]]:
    store.export(path, **what)
    with path.open(newline="") as file:
        return list(csv.reader(file))


def code_of(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value.problems[0].code.name)
