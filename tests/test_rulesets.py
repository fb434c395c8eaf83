"""The rulesets of this repository, by their own tests."""

from pathlib import Path

from ruleengine.verbs.test import test as ask

RULESETS = Path(__file__).parents[1] / "rulesets"


def test_the_tests_of_grocery_see_and_notice_everything() -> None:
    report = ask(RULESETS / "grocery", update=False, coverage=True, mutation=True)

    assert report.good
    assert report.coverage is not None
    assert [place.text for place in report.coverage.places if place.unseen] == []
    assert report.mutation is not None
    assert [(each.before, each.after) for each in report.mutation.survivors] == []
    assert report.mutation.changes > 200


def test_the_tests_of_the_chinese_ruleset_see_everything_and_notice_all_that_matters() -> None:
    report = ask(RULESETS / "retail-zh", update=False, coverage=True, mutation=True)

    assert report.good
    assert report.coverage is not None
    assert [place.text for place in report.coverage.places if place.unseen] == []
    assert report.mutation is not None
    # Who joined yesterday is a year, less a day, from an anniversary.
    left = [(each.before, each.after) for each in report.mutation.survivors]
    assert left == [("距今天数 注册日期 > 0", "距今天数 注册日期 > 1")]
    assert report.mutation.changes > 600
