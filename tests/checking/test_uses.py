"""Files that are used: which are read, what they may change, and what of them is in the ruleset."""

from hashlib import sha256

import pytest

from ruleengine.checking.check import Checked, check
from ruleengine.checking.uses import shipped
from ruleengine.diagnostics.problem import Problem
from ruleengine.source import Source

MODEL = """\
entity customer from customers key id (birthday date, signed_up date)
events orders from orders for id at day (amount decimal)
metric monetary = sum(orders.amount)
metric frequency = count(orders)
metric recency = days since latest(orders)
metric tenure = days since first(orders)
metric usual_gap = average_gap_days(orders)
metric latest_gap = latest_gap_days(orders)
"""
NEEDED = 'tag "Any" when {} is known\n'.format(
    " is known or ".join(
        ["monetary", "frequency", "recency", "tenure", "usual_gap", "latest_gap", "birthday", "signed_up"]
    )
)


def checked(text: str, **others: str) -> Checked:
    """A ruleset of one file, beside others in its folders: `shared__value` is shared/value.rules."""
    files = {f"{name.replace('__', '/')}.rules": text for name, text in others.items()}
    asked: list[str] = []

    def read(name: str) -> Source | Problem | None:
        assert name not in asked, "a file is read once"
        asked.append(name)
        return Source(name, files[name]) if name in files else None

    return check([Source("model.rules", MODEL + NEEDED + text)], "shop", "UTC", read=read)


def names(found: Checked) -> list[str]:
    assert found.ruleset is not None, found.problems
    return [source.path for source in found.ruleset.sources]


def codes(found: Checked) -> list[str]:
    return [problem.code.name for problem in found.problems]


def test_what_is_used_is_read_once_whoever_uses_it() -> None:
    found = checked(
        'use "a/one"\nuse "a/two.rules"\nuse "a/../a/one.rules"\nuse "model.rules"\n',
        a__one='use "two"\ntag "One" when frequency > 1\n',
        a__two='use "one"\nuse "two"\nuse "../model"\nuse "std/abc"\ntag "Two" when frequency > 2\n',
    )

    assert names(found) == ["model.rules", "a/one.rules", "a/two.rules", "std/abc.rules"]
    assert found.ruleset is not None
    assert list(found.ruleset.tags) == ["Any", "One", "Two"]
    assert list(found.ruleset.ladders) == ["abc"]
    assert found.problems == ()


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x.rules", "..", "a/../..", "std/../../x", "//x", "./../x"])
def test_a_path_does_not_lead_out_of_the_folder(path: str) -> None:
    assert codes(checked(f'use "{path}"\n')) == ["use-outside"]


@pytest.mark.parametrize("path", ["", ".", "a", "std/none", "std", "std/", "std/rfm/x", "~/x", "a" * 5000, "a\\b"])
def test_what_is_not_there_is_said(path: str) -> None:
    assert codes(checked(f'use "{path}"\n')) == ["use-missing"]


def test_a_shipped_name_is_never_a_file_of_the_ruleset() -> None:
    found = checked('use "std/abc"\nuse "a/x"\n', std__abc='tag "Not this" when true\n', a__x='use "std/abc"\n')

    assert found.ruleset is not None
    assert [source.text for source in found.ruleset.sources if "abc" in source.path] == [
        shipped()["std/abc.rules"].text
    ]


def test_all_that_is_used_is_in_the_hash() -> None:
    use = 'use "a/one"\n'
    one = checked(use, a__one='tag "One" when frequency > 1\n').ruleset
    same = checked(use, a__one='tag "One" when frequency > 1\n').ruleset
    two = checked(use, a__one='tag "One" when frequency > 2\n').ruleset
    assert one is not None
    assert same is not None
    assert two is not None

    assert one.hash == same.hash != two.hash
    digest = sha256()
    for part in ("shop", "UTC", *(part for source in reversed(one.sources) for part in (source.path, source.text))):
        digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    assert one.hash == digest.hexdigest()


def test_the_texts_of_a_ruleset_are_all_that_it_takes_to_check_it_again() -> None:
    first = checked('use "a/one"\n', a__one='use "std/abc"\nlet least = 3\ntag "One" when frequency > least\n').ruleset
    assert first is not None
    texts = {source.path: source.text for source in first.sources}
    older = texts["std/abc.rules"].replace("80%", "75%")

    again = check([Source(path, text) for path, text in sorted(texts.items())], "shop", "UTC").ruleset
    kept = check([Source(p, older if p == "std/abc.rules" else t) for p, t in texts.items()], "shop", "UTC").ruleset

    assert again is not None
    assert kept is not None
    assert again.hash == first.hash
    assert again.tags.keys() == first.tags.keys()
    assert [source.text for source in kept.sources if source.path == "std/abc.rules"] == [older]


def test_a_text_at_hand_that_nobody_uses_is_none_of_the_ruleset() -> None:
    found = check([Source("model.rules", MODEL + NEEDED), Source("a/one.rules", 'tag "One" when true')], "shop", "UTC")

    assert names(found) == ["model.rules"]


def test_a_parameter_of_the_rulesets_own_stands() -> None:
    shared = 'let least = 3\ntag "Regular" when frequency > least\n'
    for text in ('use "a/x"\nlet least = 9\n', 'let least = 9\nuse "a/x"\n'):
        ruleset = checked(text, a__x=shared).ruleset

        assert ruleset is not None
        assert ruleset.parameters["least"].steps == ((None, (9,)),)


def test_nothing_but_a_parameter_takes_the_place_of_another() -> None:
    shared = 'let least = 3\nmetric worth = monetary\ntag "Regular" when frequency > least and worth > 0\n'

    for text in ("metric least = frequency\n", "let worth = 1\n", 'tag "Regular" when true\n', "metric worth = 1\n"):
        assert "duplicate-name" in codes(checked(f'use "a/x"\n{text}', a__x=shared)), text


def test_examples_that_come_along_are_answered_with_the_parameters_they_came_with() -> None:
    shared = """\
let least = 3
tag "Regular" when frequency > least
example "four" given frequency = 4 expect tag "Regular"
"""
    steps = "let least = 9 then 10 from 2030-01-01\n"
    own = 'example "of our own" as of 2026-01-01 given frequency = 4 expect no tag "Regular"\n'
    ruleset = checked(f'use "a/x"\n{steps}{own}', a__x=shared).ruleset

    assert ruleset is not None
    assert {example.name: dict(example.parameters) for example in ruleset.examples} == {
        "of our own": {},
        "four": {"least": (3,)},
    }


def test_only_what_is_the_rulesets_own_can_be_unused() -> None:
    found = checked(
        'use "a/x"\nmetric own = frequency\nlet number = 1\n', a__x="metric theirs = frequency\nlet other = 1\n"
    )

    assert [problem.facts["name"] for problem in found.problems] == ["own", "number"]


def test_what_a_file_needs_may_be_a_label() -> None:
    label = MODEL.replace("metric monetary =", 'metric 消费金额 "monetary" =')
    found = check([Source("model.rules", label + 'use "std/abc"\n')], "shop", "UTC")

    assert [problem.facts["name"] for problem in found.problems if problem.is_error] == []
