"""Rules in Chinese: the same trees, whatever language they are written in."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings

from ruleengine.checking.expressions import Calendar, Last
from ruleengine.checking.scope import split_window
from ruleengine.diagnostics.render import render_json
from ruleengine.source import Source
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_file, format_statement
from ruleengine.syntax.parse import Parsed, parse
from ruleengine.syntax.parts import exact
from ruleengine.syntax.scan import scan
from tests.syntax import trees

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```rules[^\n]*\n(.*?)^```$", re.M | re.S)
PAGES = sorted([*ROOT.glob("tests/corpus/*/*.md"), *ROOT.glob("docs/*.md")])
FILES = sorted(path for path in ROOT.glob("rulesets/**/*.rules"))
TEXTS = [
    *(block[1] for path in PAGES for block in BLOCK.finditer(path.read_text("utf-8"))),
    *(path.read_text("utf-8") for path in FILES),
]


def read(text: str) -> Parsed:
    return parse(Source("a.rules", text))


def words(text: str) -> list[str]:
    return [token.word for token in scan(Source("a.rules", text)).tokens]


def translate_there_and_back(text: str) -> None:
    english = read(text)
    chinese = format_file(english, "zh")
    back = read(chinese)

    assert not back.has_errors, chinese
    assert back.file == english.file
    assert format_file(back, "zh") == chinese
    assert format_file(back, "en") == format_file(english, "en")


def test_every_file_goes_there_and_back() -> None:
    well_written = [text for text in TEXTS if not read(text).has_errors]

    assert len(well_written) > 50
    for text in well_written:
        translate_there_and_back(text)


@settings(max_examples=200, deadline=None)
@given(trees.statements)
def test_a_statement_goes_there_and_back(statement: nodes.Statement) -> None:
    translate_there_and_back(format_statement(statement))


def test_words_may_touch() -> None:
    tight = '标签"高价值"当近90天消费金额>1万且购买频次>=5'
    wide = '标签 "高价值" 当 近90天消费金额 > 1万 且 购买频次 >= 5'
    english = 'tag "高价值" when 近90天消费金额 > 10_000 and 购买频次 >= 5'

    assert read(tight).file == read(wide).file == read(english).file
    assert not read(tight).problems
    assert format_file(read(tight)) == wide + "\n"


def test_full_width_forms_are_read_as_plain_ones() -> None:
    text = "标签 “高价值（新）” 当（消费金额＞１００ 或 国家 在 （“中国”，“法国”）） 且 x ≥ ２．５万"

    assert format_file(read(text), "en") == (
        'tag "高价值（新）" when (消费金额 > 100 or 国家 in ("中国", "法国")) and x >= 25_000\n'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("期间近90天且", ["during", "last", "90", "days", "and"]),
        ("期间前12个月", ["during", "previous", "12", "months"]),
        ("期间 过去2年", ["during", "last", "2", "years"]),
        ("期间本月", ["during", "this", "month"]),
        ("期间 上季度或", ["during", "previous", "quarter", "or"]),
        ("期间 去年", ["during", "previous", "year"]),
        ("期间2026-11-01至2026-11-11", ["during", "2026-11-01", "to", "2026-11-11"]),
        ("近90天消费金额", ["近90天消费金额"]),
        ("本月消费金额", ["本月消费金额"]),
        ("且购买频次", ["and", "购买频次"]),
        ("或者当", ["or", "when"]),
        ("保留14天未知", ["keep", "for", "14天未知"]),
        ("保留14天 未知时保留", ["keep", "for", "14", "days", "if", "unknown", "keep"]),
        ('曾有标签 "A" 近90天内', ["had", "tag", '"A"', "last", "90", "days"]),
        ("排名前500名 按 x", ["top", "500", "by", "x"]),
        ("1.5万且x", ["1.5万", "and", "x"]),
        ("10%或x", ["10%", "or", "x"]),
        ("3月消费", ["3月消费"]),
        ("是否会员", ["是否会员"]),
        ("标签数", ["标签数"]),
        ("设备数", ["设备数"]),
    ],
)
def test_where_a_word_ends(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_words_may_also_stand_apart() -> None:
    apart = '标签 "A" 当 x 期间 近 90 天 > 5 且 曾有标签 "B" 近 30 天'
    close = '标签 "A" 当 x 期间近90天>5 且 曾有标签"B"近30天内'

    assert read(apart).file == read(close).file
    assert not read(apart).problems


@pytest.mark.parametrize(
    ("text", "value"),
    [("1万", 10_000), ("2.5万", 25_000), ("1亿", 10**8), ("0.01亿", 10**6), ("1_000万", 10**7), ("3万亿", 3 * 10**12)],
)
def test_large_numbers_are_exact(text: str, value: int) -> None:
    assert exact(text).as_tuple() == Decimal(value).as_tuple()


def test_a_small_part_of_ten_thousand_keeps_its_digits() -> None:
    assert exact("0.00001万").as_tuple() == Decimal("0.1").as_tuple()
    assert format_file(read("metric m = 0.00001万"), "en") == "metric m = 0.1\n"


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("近90天消费金额", Last(90, "day")),
        ("最近12周消费金额", Last(12, "week")),
        ("近12个月消费金额", Last(12, "month")),
        ("过去2年消费金额", Last(2, "year")),
        ("本月消费金额", Calendar("month")),
        ("本季度消费金额", Calendar("quarter")),
        ("本年消费金额", Calendar("year")),
    ],
)
def test_a_window_may_stand_before_a_label(name: str, window: object) -> None:
    assert split_window(name) == ("消费金额", window)


def test_a_file_is_laid_out_in_its_own_language() -> None:
    assert format_file(read('标签 "A" when x > 1 且 y')) == '标签 "A" 当 x > 1 且 y\n'
    assert format_file(read('tag "A" when x > 1 且 y')) == 'tag "A" when x > 1 and y\n'


def test_mistakes_in_chinese_rules_are_explained_in_chinese() -> None:
    text = (ROOT / "tests/corpus/text/chinese-mistakes.md").read_text("utf-8")
    problems = read(BLOCK.search(text)[1]).problems  # type: ignore[index]

    shown = [said["message"] for said in render_json(problems, language="zh")]
    foreign = {word for message in shown for word in re.findall(r"[a-z]{2,}", re.sub(r"`[^`]*`", "", message))}

    assert len(shown) > 5
    assert not foreign
