"""Files as bytes, and characters that are not what they seem."""

from pathlib import Path

import pytest

from ruleengine.diagnostics.problem import Problem
from ruleengine.source import Source
from ruleengine.syntax.scan import MAX_BYTES, read_source, scan


def warnings(text: str) -> list[str]:
    return [problem.code.name for problem in scan(Source("a.rules", text)).reading.problems]


@pytest.mark.parametrize(
    ("data", "looks"),
    [
        ('tag "高价值客户"'.encode("utf-16"), "UTF-16"),
        ('tag "VIP" when é'.encode("utf-16-le"), "UTF-16"),
        ('tag "高价值客户" when 金额'.encode("gbk"), "GBK"),
        ('tag "Größe" when straße'.encode("cp1252"), "Windows-1252"),
    ],
)
def test_other_encodings_are_named(tmp_path: Path, data: bytes, looks: str) -> None:
    file = tmp_path / "a.rules"
    file.write_bytes(data)
    problem = read_source(file, "a.rules")

    assert isinstance(problem, Problem)
    assert problem.code.name == "not-utf8"
    assert problem.facts["looks"] == looks


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.rules"
    file.write_bytes(b"\xef\xbb\xbftag\r\n")

    assert read_source(file, "model.rules") == Source("model.rules", "\ufefftag\r\n")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    large = tmp_path / "large.rules"
    large.write_bytes(b"#" * (MAX_BYTES + 1))
    found = [read_source(path) for path in (tmp_path / "none.rules", tmp_path, large)]

    assert [problem.code.name for problem in found if isinstance(problem, Problem)] == [
        "file-unreadable",
        "file-unreadable",
        "file-too-large",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metric paid = аmount", ["mixed-scripts"]),
        ("metric paid = аmount + аmount", ["mixed-scripts"]),
        ('tag "VIP клиент" when x', []),
        ('tag "Pаris" when x', ["mixed-scripts"]),
        ('tag "Δ revenue" when Δ > 1', []),
        ('tag "VIP客户" when 金额_vip', []),
        ('tag "e\u0301" when x', ["not-normalised"]),
        ("metric e\u0301 = 1", []),
    ],
)
def test_look_alikes(text: str, expected: list[str]) -> None:
    assert warnings(text) == expected


def test_places_hold_behind_full_width_forms() -> None:
    tokens = scan(Source("a.rules", "a（１）＞“（”")).tokens

    assert [(token.text, token.span.text) for token in tokens] == [
        ("a", "a"),
        ("(", "（"),
        ("1", "１"),
        (")", "）"),
        (">", "＞"),
        ("“（”", "“（”"),
    ]
