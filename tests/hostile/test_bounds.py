"""Hostile inputs by the megabyte, in a process that may use little memory and time: each is answered or told."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pytest

from tests.hostile.test_files import HEAD, row
from tests.hostile.test_texts import metrics

MEMORY = 1 << 30
"""Bytes beyond those that the libraries take when they are loaded."""
SECONDS = 120
"""Of the processor, for all inputs of a kind: what is not bounded takes hours."""

RULES = {
    "parentheses": 'tag "A" when ' + "(" * 100_000 + "n > 1",
    "nots": 'tag "A" when ' + "not " * 100_000 + "n > 1",
    "sums": 'tag "A" when n' + " + n" * 100_000 + " > 1",
    "ors": 'tag "A" when n = 1' + " or n = 1" * 20_000,
    "quotes": '"' * 500_000,
    "names": "metric " + "m" * 900_000,
    "statements": "metric m = 1\n" * 20_000,
    "words": "tag when " * 100_000,
    "signs": "<>=!" * 200_000,
    "text": 'tag "A" when t contains "' + "\u0301" * 400_000 + '"',
    "windows": "\n".join([*metrics(70), *(f'tag "T{days}" when m69_{days}d > 5' for days in range(1, 3_000))]),
    "rules": "\n".join(f'tag "T{i}" when n > {i} unless has tag "T{i - 1}"' for i in range(1, 5_000)),
    "circle": "".join(f"metric m{i} = m{(i + 1) % 5_000} + 1\n" for i in range(5_000)),
}
MANIFESTS = {
    "brackets": "a = " + "[" * 400_000,
    "dots": "a." * 300_000 + "a = 1",
    "tables": "".join(f"[profiles.p{i}]\nengine = 'duckdb'\n" for i in range(20_000)),
    "keys": "[ruleset]\n" + "".join(f"k{i} = 1\n" for i in range(50_000)),
    "digits": "[ruleset]\nname = " + "9" * 900_000,
    "quotes": "'" * 900_000,
}
CSV = {
    "one line": "id," + "n" * 17_000_000,
    "one quote": HEAD + '"' + "x\n" * 9_000_000,
    "columns": ",".join(f"c{i}" for i in range(200_000)) + "\n" + "," * 199_999,
    "rows": HEAD + "x\n" * 500_000,
    "numbers": HEAD + "".join(row(id=str(i), a="9" * 5_000) for i in range(1_000)),
    "empty": "\n" * 5_000_000,
    "cells": HEAD + "".join(row(id=str(i), t="x" * 10_000) for i in range(1_000)),
}
BODIES = {
    "brackets": "/v1/rulesets:evaluate\n" + "[" * 900_000,
    "keys": "/v1/rulesets:evaluate\n{" + ",".join(f'"k{i}":1' for i in range(60_000)) + "}",
    "events": '/v1/rulesets:evaluate\n{"events":{"orders":[' + ",".join(['{"amount":1}'] * 60_000) + "]}}",
    "digits": '/v1/rulesets:evaluate\n{"as_of":' + "9" * 900_000 + "}",
    "rules": '/v1/rulesets:check\n{"files":{"a.rules":"' + "(" * 900_000 + '"}}',
    "path": "/v1/customers/" + "%2F" * 20_000,
    "query": "/v1/tags/VIP/customers?" + "&".join(f"limit={i}" for i in range(5_000)),
    "cursor": "/v1/tags/VIP/customers?cursor=" + "A" * 60_000,
}


def parquet(folder: Path) -> dict[str, bytes]:
    """Files that say that more is in them than there is, and some that unpack to a thousand times their size."""
    found = {}
    for name, more in {
        "bomb": "repeat('x', 100_000) AS t FROM range(5_000) AS _(i)",
        "bomb of keys": "1 AS t FROM (SELECT repeat('x', 200_000) || n AS i FROM range(5_000) AS _(n))",
        "columns": ", ".join(f"{i} AS c{i}" for i in range(3_000)) + " FROM range(9) AS _(i)",
        "nested": f"{'[' * 60}1{']' * 60} AS t FROM range(9) AS _(i)",
    }.items():
        path = folder / f"{name}.parquet"
        rows = f"SELECT i::VARCHAR AS id, 1.0 AS a, NULL::TIMESTAMP AS s, {more}"
        duckdb.sql(f"COPY ({rows}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        found[name] = path.read_bytes()
    whole = found["bomb"]
    for number, at in enumerate(range(len(whole) - 400, len(whole) - 8, 9)):
        found[f"footer {number}"] = whole[:at] + b"\xff\xff\xff\xff\x7f" + whole[at + 5 :]
    found["length"] = whole[:-8] + b"\xff\xff\xff\x7fPAR1"
    return found


def answered(target: str, inputs: Mapping[str, str | bytes], folder: Path) -> None:
    for name, content in inputs.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    asked = [sys.executable, "-m", "tests.hostile.bounded", target, str(folder), str(MEMORY), str(SECONDS)]
    answer = subprocess.run(asked, capture_output=True, text=True)

    assert answer.returncode == 0, (answer.returncode, answer.stdout[-500:], answer.stderr[-3_000:])
    assert answer.stdout.split("\n")[:-1] == sorted(inputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "inputs"), [("rules", RULES), ("manifest", MANIFESTS), ("csv", CSV), ("request", BODIES)]
)
def test_megabytes(tmp_path: Path, target: str, inputs: Mapping[str, str]) -> None:
    answered(target, inputs, tmp_path)


@pytest.mark.slow
def test_parquet_files_that_promise_more_than_they_hold(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "asked").mkdir()
    answered("parquet", parquet(tmp_path / "made"), tmp_path / "asked")
