"""What the API's page shows is what the API does."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


@dataclass
class Block:
    """A request or an answer: its first line, headers and body."""

    first: str
    headers: dict[str, str]
    body: Any


def blocks() -> Iterator[Block]:
    for text in re.findall(r"^```http\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        head, _, body = text.partition("\n\n")
        first, *lines = head.splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        yield Block(first, headers, json.loads(body) if body else None)


def fits(shown: Any, found: Any) -> bool:
    """Equal, but that `…` stands for any text."""
    match shown:
        case str():
            pattern = ".*".join(re.escape(part) for part in shown.split("…"))
            return isinstance(found, str) and bool(re.fullmatch(pattern, found, re.DOTALL))
        case dict():
            # The order of members is shown too.
            return list(shown) == list(found) and all(fits(shown[name], found[name]) for name in shown)
        case list():
            return len(shown) == len(found) and all(map(fits, shown, found))
        case _:
            return bool(shown == found)


def test_every_example_is_answered_as_shown(client: TestClient) -> None:
    every = list(blocks())
    assert len(every) > 20
    for asked, shown in zip(every[::2], every[1::2], strict=True):
        method, path = asked.first.split()
        content = None if asked.body is None else json.dumps(asked.body)
        answer = client.request(method, path, content=content, headers=asked.headers)

        assert answer.status_code == int(shown.first), asked.first
        for name, value in shown.headers.items():
            assert fits(value, answer.headers[name]), (asked.first, name)
        found = answer.json() if answer.content else None
        assert fits(shown.body, found), (asked.first, found)


def test_every_code_is_listed() -> None:
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)
    kinds = import_module("ruleengine.api.problems").KINDS.values()

    assert [(int(status), code) for status, code in listed] == [(kind.status, kind.code) for kind in kinds]


def test_limits_are_those_that_are_told() -> None:
    assert f"{import_module('ruleengine.api.edge').LARGEST_BODY:,} bytes" in PAGE
    assert f"may have {import_module('ruleengine.api.protocol').LARGEST_HEAD:,}." in " ".join(PAGE.split())
    assert f"{import_module('ruleengine.api.models.read').MOST_IDS:,} at once" in PAGE
