"""Data files of every odd kind, and damaged ones: they are read, or a diagnostic says why not."""

import random
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleengine.checking.check import check
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.diagnostics.render import render_text
from ruleengine.engines import csv_files
from ruleengine.engines.duckdb import DuckDB
from ruleengine.planning.plan import plan
from ruleengine.schema import parse
from ruleengine.source import Source

MANIFEST = """\
[ruleset]
name = "files"
timezone = "Asia/Shanghai"
[profiles.default]
engine = "duckdb"
threads = 1
[profiles.default.sources]
customers = "customers.{kind}"
"""
COLUMNS = {"n": "integer", "a": "decimal", "t": "text", "b": "boolean", "d": "date", "s": "timestamp"}
HEAD = "id,n,a,t,b,d,s\n"
PARQUET = Path(__file__).parent / "parquet"


def computed(
    data: bytes, kind: str, columns: dict[str, str] = COLUMNS, problems: list[Problem] | None = None
) -> list[tuple[Any, ...]] | set[str]:
    """The values that rules read, by customer, or the codes of what is wrong; `problems` takes what is wrong itself."""
    declared = ", ".join(f"{name} {type}" for name, type in columns.items())
    read = " or ".join(f"{name} is missing" for name in columns)
    rules = f'entity customer from customers key id ({declared})\ntag "reads" when {read}\n'
    ruleset = check([Source("files.rules", rules)], "files", "Asia/Shanghai").ruleset
    assert ruleset is not None
    with TemporaryDirectory() as folder:
        directory, text = Path(folder), MANIFEST.format(kind=kind)
        (directory / f"customers.{kind}").write_bytes(data)
        try:
            with DuckDB(ruleset, parse(directory, Source("ruleset.toml", text), text).profile()) as engine:
                work = plan(ruleset, date(2026, 3, 31))
                engine.run(work)
                return engine.results(work.layout).execute("SELECT * FROM result_values ORDER BY 1").fetchall()
        except ProblemError as error:
            render_text(error.problems, colour=False)
            if problems is not None:
                problems.extend(error.problems)
            return {problem.code.name for problem in error.problems}


# -- CSV -------------------------------------------------------------------------------------------------------


def row(id: str = "1", **cells: str) -> str:
    usual = {"n": "1", "a": "1", "t": "x", "b": "true", "d": "2026-01-01", "s": "2026-01-01 10:00"}
    return ",".join((id, *(usual | cells).values())) + "\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(("", "source-unreadable"), ("\ufeff\n\r\n", "source-unreadable"), (row(), "column-missing")),
        *((f"sep=,\n{HEAD}{row()}", "column-missing"), (f"# made\n{HEAD}{row()}", "column-missing")),
        *((HEAD.upper() + row(), "column-missing"), (HEAD + "1,2\n", "source-unreadable")),
        *((HEAD + row().strip() + ",\n", "source-unreadable"), (HEAD + row() + "\x1a", "source-unreadable")),
        *((HEAD + row(t='"x'), "source-unreadable"), (HEAD + row(t='"a"b'), "source-unreadable")),
        *((HEAD + row(id='""'), "key-missing"), (HEAD + row() + row(), "key-repeated")),
        *((HEAD + row(a=text), "value-unreadable") for text in ("1_000", "0x10", "NULL", "١٢", "１", "1,5"[:1] + "€")),
        *((HEAD + row(a=text), "value-not-finite") for text in ("NaN", "-inf", "+Infinity")),
        *((HEAD + row(a=text), "value-out-of-range") for text in ("1e400", "9" * 1_000_000, "1e" + "9" * 30)),
        *((HEAD + row(n=text), "value-unreadable") for text in ("1.0", "1e3", "inf", "--1")),
        *((HEAD + row(n=text), "value-out-of-range") for text in ("9223372036854775808", "9" * 1_000_000)),
        *((HEAD + row(b=text), "value-unreadable") for text in ("ja", "2", "truefalse")),
        *((HEAD + row(d=text), "value-unreadable") for text in ("0000-01-01", "10000-01-01", "-0001-01-01", "epoch")),
        *((HEAD + row(d=text), "value-unreadable") for text in ("2026-02-30", "infinity", "2020-01-01 (BC)", "1/2/26")),
        *((HEAD + row(s=text), "value-unreadable") for text in ("2026-01-01 25:00", "2026-01-01 10:00+16:00")),
        *((HEAD + row(s=text), "value-unreadable") for text in ("2026-06-30 23:59:60", "2026-01-01T10:00:00+5")),
    ],
)
def test_texts_that_are_no_table_of_these_columns(text: str, code: str) -> None:
    assert computed(text.encode(), "csv") == {code}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "gbk", "latin-1"])
def test_other_encodings(encoding: str) -> None:
    problems: list[Problem] = []
    text = HEAD + row(t="é" if encoding == "latin-1" else "上海")
    assert computed(text.encode(encoding), "csv", problems=problems) == {"source-unreadable"}
    assert "UTF-8" in str(problems[0].facts["reason"])


@pytest.mark.parametrize("broken", [b"\xed\xa0\x80", b"\xc0\xaf", b"\xff", b"\xf8\x88\x80\x80\x80"])
def test_bytes_that_are_no_text(broken: bytes) -> None:
    assert computed((HEAD + row(t="?")).encode().replace(b"?", broken), "csv") == {"source-unreadable"}


@pytest.mark.parametrize(
    "text",
    [
        *(
            HEAD + row(),
            "\ufeff" + HEAD + row(),
            (HEAD + row()).replace("\n", "\r\n"),
            (HEAD + row()).replace("\n", "\r"),
        ),
        *((HEAD + row()).replace(",", sign) for sign in ";\t|"),
        *(
            f"\n{HEAD}\n\n{row()}\n",
            HEAD.replace("id", " id ") + row(),
            '"' + HEAD.strip().replace(",", '","') + '"\n' + row(),
        ),
        *(HEAD + row(a=" +1. ", n=" +1 "), HEAD + row(n="0" * 100_000 + "1"), HEAD + row(a="0.1e1", b=" YES ")),
        *(HEAD.strip() + ",more" * 50_000 + "\n" + row().strip() + "," * 50_000 + "\n",),
    ],
    ids=lambda text: text[-20:],
)
def test_forms_of_the_same_table(text: str) -> None:
    found = computed(text.encode(), "csv")

    assert isinstance(found, list)
    assert [str(value) for value in found[0]] == ["1", "1", "1.0000", "x", "True", "2026-01-01", "2026-01-01"]


@pytest.mark.parametrize(
    "text", ["a\nb\r\nc\rd", 'say "a"', "a\x0bb\x0cc\x1cd\x85e\u2028f", "\u202e", "a\0b", " ", "=1+1"]
)
def test_a_cell_is_what_it_is(text: str) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    found = computed((HEAD + row(t=quoted) + row(id="2")).encode(), "csv")

    assert isinstance(found, list)
    assert [values[3] for values in found] == [text, "x"]


@pytest.mark.parametrize(
    "text", [",b" * 20_000_000, "\n1," + "x" * 20_000_000, '\n1,"' + ("x" * 999 + "\n") * 17_000 + '"']
)
def test_a_row_is_read_only_so_far(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,a" + text)

    with pytest.raises(csv_files.UnreadableError, match="over 16_777_216 characters"):
        list(csv_files.cells([file], ["id"]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.binary(max_size=4)), min_size=1, max_size=4))
def test_any_edit_of_a_csv_file(edits: list[tuple[float, int, bytes]]) -> None:
    data = (HEAD + row() + row(id="2", t='"a ""b"""') + row(id="3", d="", s="2026-01-01T10:00:00Z")).encode()
    for where, length, piece in edits:
        at = int(where * len(data))
        data = data[:at] + piece + data[at + length :]
    computed(data, "csv")


# -- Parquet ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("int96", [("1", "1.5000", "2026-01-01"), ("2", "None", "2026-03-01")]),
        ("half", [("1", "1.0000", "2026-01-01"), ("2", "2.0000", "2026-03-01")]),
        ("string-view", [("1", "1.5000", "2026-01-01"), ("2", "None", "2026-03-01")]),
        ("nothing-but-null", [("1", "None", "2026-01-01"), ("2", "None", "2026-03-01")]),
        ("decimal256", {"value-out-of-range"}),
        *((name, {"source-unreadable"}) for name in ("beyond-microseconds", "column-twice", "not-utf8")),
        *((name, {"source-unreadable"}) for name in ("encrypted", "encrypted-plain-footer")),
    ],
)
def test_files_that_others_write(name: str, expected: Any) -> None:
    found = computed((PARQUET / f"{name}.parquet").read_bytes(), "parquet", {"a": "decimal", "s": "timestamp"})

    assert (found if isinstance(found, set) else [tuple(map(str, values)) for values in found]) == expected


@pytest.mark.parametrize("codec", ["zstd", "brotli", "gzip", "snappy", "lz4_raw", "uncompressed"])
def test_every_codec(tmp_path: Path, codec: str) -> None:
    written = "SELECT '1' AS id, 7 AS n"
    duckdb.sql(f"COPY ({written}) TO '{tmp_path}/a.parquet' (FORMAT parquet, COMPRESSION {codec})")

    assert computed((tmp_path / "a.parquet").read_bytes(), "parquet", {"n": "integer"}) == [("1", 7)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_no_rows(tmp_path: Path, kind: str) -> None:
    duckdb.sql(f"COPY (SELECT '1' AS id, 7 AS n WHERE FALSE) TO '{tmp_path}/a.{kind}' (FORMAT {kind})")

    assert computed((tmp_path / f"a.{kind}").read_bytes(), kind, {"n": "integer"}) == []


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Some bytes other than they were: changed, cut out, zero, swapped or there twice."""
    bytes_, size, at = bytearray(data), len(data), chance.randrange(len(data))
    match chance.choice(["change", "change", "change", "cut", "zero", "swap", "twice"]):
        case "change":
            for _ in range(chance.choice([1, 1, 2, 5, 30])):
                bytes_[chance.randrange(size)] = chance.randrange(256)
        case "cut":
            del bytes_[at : chance.randrange(at, size) + 1]
        case "zero":
            length = min(chance.randrange(1, 50), size - at)
            bytes_[at : at + length] = bytes(length)
        case "swap":
            other = chance.randrange(size)
            bytes_[at : at + 8], bytes_[other : other + 8] = bytes_[other : other + 8], bytes_[at : at + 8]
        case _:
            bytes_[at:at] = bytes_[at : at + 40]
    return bytes(bytes_)


@pytest.mark.parametrize("rounds", [20, pytest.param(150, marks=pytest.mark.slow)])
def test_damaged_files(tmp_path: Path, rounds: int) -> None:
    written = (
        "SELECT i::VARCHAR AS id, i * 1.5 AS a, TIMESTAMP '2026-01-01' + INTERVAL (i) DAY AS s FROM range(50) t(i)"
    )
    duckdb.sql(f"COPY ({written}) TO '{tmp_path}/a.parquet' (FORMAT parquet, ROW_GROUP_SIZE 20)")
    files = [file.read_bytes() for file in (tmp_path / "a.parquet", *sorted(PARQUET.glob("*.parquet")))]
    chance = random.Random(rounds)
    for number in range(rounds):
        found = computed(damaged(files[number % len(files)], chance), "parquet", {"a": "decimal", "s": "timestamp"})
        assert isinstance(found, list) or found.isdisjoint({"engine-failed"})


@pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip"])
def test_what_cannot_be_unpacked_is_told_by_the_name_of_its_file(tmp_path: Path, codec: str) -> None:
    """What a file says of itself is whole: what is wrong shows only when a statement reads the values."""
    path = tmp_path / "a.parquet"
    texts = "SELECT i::VARCHAR AS id, repeat(md5(i::VARCHAR), 9) AS t FROM range(2_000) AS _(i)"
    duckdb.sql(f"COPY ({texts}) TO '{path}' (FORMAT parquet, COMPRESSION {codec})")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2_000] = b"\xff" * 2_000

    problems: list[Problem] = []
    assert computed(bytes(data), "parquet", {"t": "text"}, problems) == {"source-unreadable"}
    assert "customers.parquet" in render_text(problems, colour=False)
