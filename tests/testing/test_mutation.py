"""Changes of the rules that no example notices, and the examples that would."""

import pytest

from ruleengine.checking.check import check
from ruleengine.source import Source
from ruleengine.verbs.testing.mutants import mutants
from tests.testing.conftest import MODEL, asked, checked


def changes(rules: str) -> list[tuple[str, str]]:
    return [(each.before, each.after) for each in mutants(checked(rules)) if each.span.source.path == "example.rules"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (
            'tag "A" when visits >= 5',
            [
                ("visits >= 5", "visits > 5"),
                ("visits >= 5", "visits < 5"),
                ("visits >= 5", "visits >= 4"),
                ("visits >= 5", "visits >= 6"),
            ],
        ),
        ('tag "A" when country = "DE"', [('country = "DE"', 'country != "DE"')]),
        ('tag "A" when country is known', [("country is known", "not (country is known)")]),
        (
            'tag "A" when not country in ("DE", "FR")',
            [('not country in ("DE", "FR")', 'not (not country in ("DE", "FR"))'), ('"DE"', ""), ('"FR"', "")],
        ),
        (
            'tag "A" when country = "DE" unless country = "FR"',
            [
                ('country = "DE"', 'country != "DE"'),
                ('unless country = "FR"', ""),
                ('country = "FR"', 'country != "FR"'),
            ],
        ),
        (
            'tag "A" when birthday is missing and country is missing',
            [
                ("birthday is missing and country is missing", "birthday is missing or country is missing"),
                ("birthday is missing", ""),
                ("birthday is missing", "not (birthday is missing)"),
                ("country is missing", ""),
                ("country is missing", "not (country is missing)"),
            ],
        ),
        (
            'let floor = 20%  # of 100\ntag "A" when spend > floor',
            [
                ("floor = 20%", "floor = 19%"),
                ("floor = 20%", "floor = 21%"),
                ("spend > floor", "spend >= floor"),
                ("spend > floor", "spend <= floor"),
            ],
        ),
        (
            'class c "A" when country = "DE" "B" when country = "FR"',
            [
                ('"A" before "B"', '"B" before "A"'),
                ('country = "DE"', 'country != "DE"'),
                ('country = "FR"', 'country != "FR"'),
            ],
        ),
    ],
)
def test_changes(rules: str, expected: list[tuple[str, str]]) -> None:
    assert sorted(changes(rules)) == sorted(expected)


def test_of_a_list_each_entry_is_left_out() -> None:
    found = changes('let near = "FR", "BE" then "FR", "NL" from 2026-07-01\ntag "A" when country in near')

    assert [old for old, new in found if not new] == ['"FR"', '"BE"', '"FR"', '"NL"']


def test_how_customers_fall_and_when_is_left_out() -> None:
    ladder = 'tier t "A" when visits > 5 "B" when visits > 2 otherwise "C"'
    found = changes(f"{ladder} fall one level at a time review monthly")

    assert {("fall one level at a time", ""), ("review", "")} <= set(found)


def test_budgets_are_changed() -> None:
    found = changes('tag "A" when visits > 5 limit 20 by spend')

    assert [new for old, new in found if old == "limit 20"] == [
        "",
        "limit 19",
        "limit 21",
        "the worst instead of the best",
    ]


def test_steps_are_those_of_the_last_digit_written() -> None:
    after = [new for _, new in changes('tag "A" when spend > 1.50 or spend > 10_000')]

    assert {"spend > 1.49", "spend > 1.51", "spend > 9_999", "spend > 10_001"} <= set(after)


def test_a_parameter_is_changed_in_each_of_its_steps() -> None:
    found = changes('let floor = 10 then 20 from 2026-07-01\ntag "A" when visits > floor')

    assert [new for old, new in found if old.startswith("floor")] == [
        "floor = 9",
        "floor = 11",
        "floor = 19",
        "floor = 21",
    ]


def test_windows_are_changed_where_they_are_written() -> None:
    found = changes('metric quarter = count(orders) during last 90 days\ntag "A" when basket_90d > 1 and quarter > 1\n')

    assert [new for old, new in found if "during" in new] == [
        "during last 89 days",
        "during last 91 days",
        "basket during last 89 days",
        "basket during last 91 days",
    ]


def test_what_examples_notice_does_not_survive() -> None:
    rules = (
        'tag "Often" when visits >= 5\n'
        'example "five" given visits = 5 expect tag "Often"\n'
        'example "four" given visits = 4 expect no tag "Often"\n'
    )

    assert asked(rules).survivors == {}
    mutation = asked(rules).mutation
    assert (mutation.changes, mutation.noticed, mutation.percent) == (4, 4, 100.0)


def test_what_makes_no_difference_is_no_survivor() -> None:
    rules = (
        'class origin "Home" when country = "DE" "Near" when country = "FR" otherwise "Far"\n'
        'example "a" given country = "DE" expect class origin "Home"\n'
        'example "b" given country = "FR" expect class origin "Near"\n'
        'example "c" given country = "JP" expect class origin "Far"\n'
    )
    mutation = asked(rules).mutation

    assert mutation.survivors == ()
    assert mutation.equivalent == 1  # the order of lines of which no two hold


CASES = [
    'tag "Often" when visits >= 5\n',
    'tag "A" when spend_12m > 100 and visits_90d >= 2 unless country = "DE"\n',
    'tag "A" when recency > 2 * visits or (recency > 60 and spend between 10 and 20)\n',
    'let floor = 2_500 then 3_000 from 2026-07-01\ntag "A" when spend_12m >= floor\n',
    'tier loyalty "Gold" when spend_12m >= 2_000 "Silver" when spend_12m >= 500 otherwise "Member"\n',
    'class life "None" when visits = 0 "Away" when recency > 60 "New" when days since first(orders) <= 30\n',
    'tag "A" when count(orders where amount > 10) during last 30 days >= 2\n',
    'tag "Young" when days since birthday < 9_000\n',
    'tag "A" when country in ("DE", "FR")\ntag "B" when has tag "A" and visits > 1\n',
    'tag "A" when spend during previous 30 days > 2 * spend_30d\n',
    '标签 "常客" 当 visits >= 5 且 country = "中国"\n',
    'let near = "FR", "BE"\ntag "A" when country in near\ntag "B" when country in ("DE", "NL")\n',
    'manual tag "Quiet"\ntag "Call" when recency > 60 unless has tag "Quiet"\n',
    'tag "Away" when recency > 60 until recency < 10 keep for 20 days\n',
    'tier loyalty "Gold" when spend_12m >= 2_000 keep while spend_12m >= 1_500 otherwise "Member" hold for 6 months\n',
]


@pytest.mark.parametrize("rules", CASES)
def test_the_missing_examples_can_be_pasted_and_notice(rules: str) -> None:
    survivors = asked(rules).mutation.survivors
    missing = list(dict.fromkeys(each.example for each in survivors if each.example is not None))
    own = [each for each in survivors if each.file == "example.rules"]

    after = asked(rules + "\n" + "\n".join(missing))

    assert all(each.example is not None for each in own), [(each.before, each.after) for each in own]
    assert all(case.holds(after.ruleset) for case in after.cases)
    left = {(each.before, each.after) for each in after.mutation.survivors}
    assert left.isdisjoint((each.before, each.after) for each in survivors if each.example is not None)


def test_how_long_things_last_is_changed() -> None:
    found = changes('tag "Away" when recency > 60 until recency < 10 keep for 20 days if unknown keep')

    assert {
        ("until recency < 10", ""),
        ("recency < 10", "recency <= 10"),
        ("keep for 20 days", ""),
        ("keep for 20 days", "keep for 19 days"),
        ("keep for 20 days", "keep for 21 days"),
        ("if unknown keep", ""),
    } <= set(found)


def test_pasted_examples_are_in_the_language_of_the_rules() -> None:
    survivors = asked(
        '标签 "常客" 当 visits >= 5 且 country = "中国"\n'
        '示例 "五次" 给定 visits = 5, country = "中国" 期望 标签 "常客"\n'
    ).survivors

    assert survivors
    assert all(text is not None and text.startswith("示例") for text in survivors.values())


def test_what_ranks_is_read_through_to_its_end() -> None:
    rules = (
        "metric year = spend_12m / visits\n"
        "metric best = quintile(year among visits > 0)\n"
        'tag "Best" when best = 5\n'
        'example "best" given best = 5 expect tag "Best"\n'
        'example "next" given best = 4 expect no tag "Best"\n'
    )

    assert ("best = 5", "best = 6") not in asked(rules).survivors


def test_the_same_is_found_again() -> None:
    rules = CASES[1]

    assert asked(rules).mutation == asked(rules).mutation


def test_a_definition_is_changed_in_every_window_at_once() -> None:
    rules = (
        'tag "A" when spend_90d > 1 and spend_12m > 2\n'
        'example "a" as of 2026-03-31\n'
        "    given orders\n"
        "        | ordered_at | amount | status |\n"
        "        | 2026-03-01 | 3      | paid   |\n"
        '    expect tag "A"\n'
        'example "b" as of 2026-03-31\n'
        "    given orders\n"
        "        | ordered_at | amount | status |\n"
        "        | 2026-03-01 | 3      | open   |\n"
        '    expect no tag "A"\n'
    )
    survivors = asked(rules).mutation.survivors

    assert [each for each in survivors if each.file == "model.rules"] == []


def test_who_is_a_customer_is_changed() -> None:
    entity = MODEL.replace("(country text, birthday date)", '(country text, birthday date) where country != "XX"')
    found = check([Source("model.rules", entity + 'tag "A" when visits > 1\n')], "page", "UTC")
    assert found.ruleset is not None, found.problems

    assert [(each.before, each.after) for each in mutants(found.ruleset) if "country" in each.before] == [
        ('where country != "XX"', ""),
        ('country != "XX"', 'country = "XX"'),
    ]
