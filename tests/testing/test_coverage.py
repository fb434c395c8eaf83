"""What examples see of the rules."""

from tests.testing.conftest import asked


def test_a_comparison_is_seen_true_false_and_unknown() -> None:
    rules = 'tag "Away" when recency > 60\n'

    assert asked(rules).unseen == {"recency > 60": ("true", "false", "unknown")}
    known = (
        rules
        + 'example "a" given recency = 61 expect tag "Away"\nexample "b" given recency = 60 expect no tag "Away"\n'
    )
    assert asked(known).unseen == {"recency > 60": ("unknown",)}
    assert asked(known + 'example "c" expect no tag "Away"\n').unseen == {"recency > 60": ()}


def test_what_is_never_missing_is_never_unknown() -> None:
    rules = 'tag "Often" when visits >= 5\nexample "a" given visits = 5 expect tag "Often"\n'

    assert asked(rules).unseen == {"visits >= 5": ("false",)}


def test_each_part_counts_and_so_does_the_whole() -> None:
    unseen = asked(
        'tag "Good" when visits >= 5 and spend_90d > 100\n'
        'example "a" given visits = 5, spend_90d = 100 expect no tag "Good"\n'
        'example "b" given visits = 4, spend_90d = 101 expect no tag "Good"\n'
    ).unseen

    assert unseen == {"visits >= 5 and spend_90d > 100": ("true",), "visits >= 5": (), "spend_90d > 100": ()}


def test_not_and_between_are_no_conditions_of_their_own() -> None:
    unseen = asked('tag "A" when not visits between 2 and 3\nexample "a" given visits = 4 expect tag "A"\n').unseen

    assert unseen == {"visits between 2 and 3": ("true",)}


def test_every_level_has_to_be_given() -> None:
    rules = (
        'tier loyalty "Gold" when spend_12m >= 2_000 "Silver" when spend_12m >= 500 otherwise "Member"\n'
        'example "a" given spend_12m = 2_000 expect tier loyalty "Gold"\n'
        'example "b" given spend_12m = 499 expect tier loyalty "Member"\n'
    )

    assert asked(rules).unseen == {
        '"Gold" when spend_12m >= 2_000': (),
        "spend_12m >= 2_000": (),
        '"Silver" when spend_12m >= 500': ("true",),
        "spend_12m >= 500": ("true",),
        '"Member"': (),
    }


def test_a_line_that_is_not_asked_is_not_seen() -> None:
    rules = (
        'class life "None" when visits = 0 "Away" when visits >= 3 otherwise "Here"\n'
        'example "a" expect class life "None"\n'
    )

    assert asked(rules).unseen["visits >= 3"] == ("true", "false")


def test_what_no_customer_can_be_is_not_asked_for() -> None:
    coverage = asked(
        'class life "None" when visits = 0 "Away" when recency > 60 otherwise "Here"\n'
        'example "a" expect class life "None"\n'
    ).coverage
    (away,) = [place for place in coverage.places if place.text == "recency > 60"]

    # Who has an order has a latest one.
    assert away.asked == ("true", "false")


def test_an_example_sees_what_it_expects_something_of() -> None:
    rules = (
        'tag "A" when visits >= 1\n'
        'tag "B" when visits >= 2\n'
        'tag "C" when has tag "B"\n'
        'example "a" given visits = 2 expect tag "C"\n'
    )

    assert asked(rules).unseen == {
        "visits >= 1": ("true", "false"),
        "visits >= 2": ("false",),
        'has tag "B"': ("false",),
    }


def test_filters_are_seen_event_by_event_through_any_window() -> None:
    coverage = asked(
        'tag "A" when spend_90d > 1 and spend_12m > 2\n'
        'example "a" as of 2026-03-31\n'
        "    given orders\n"
        "        | ordered_at | amount | status |\n"
        "        | 2026-03-01 | 3      | paid   |\n"
        "        | 2026-03-02 | 3      |        |\n"
        '    expect tag "A"\n'
    ).coverage
    (paid,) = [place for place in coverage.places if place.text == 'status = "paid"']

    assert (paid.true, paid.false, paid.unknown, paid.unseen) == (2, 0, 2, ("false",))


def test_the_percentage_is_cut() -> None:
    coverage = asked(
        'tag "A" when visits >= 1\n'
        'tag "B" when visits >= 2\n'
        'example "a" given visits = 2 expect tag "A", tag "B"\n'
        'example "b" expect no tag "A"\n'
    ).coverage

    assert (coverage.asked, coverage.seen, coverage.percent) == (4, 3, 75.0)
    assert [(file.file, file.asked, file.seen) for file in coverage.files] == [("example.rules", 4, 3)]
