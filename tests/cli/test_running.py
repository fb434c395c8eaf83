"""The command that runs a ruleset: what it prints, and how it ends."""

import os
import subprocess
from pathlib import Path

import pytest

from ruleengine.store import open_store
from ruleengine.store.records import Identity
from tests.cli.conftest import DAY, Ask


def test_a_run_publishes_and_tells_what_it_found(ask: Ask, shop: Path) -> None:
    answer = ask("run", shop, "--as-of", DAY)

    assert answer.code == 0, answer.err
    first, *rest = answer.out.splitlines()
    assert first.startswith(f"shop · version 1 published · as of {DAY} · 4 customers · rules ")
    told = [" ".join(line.split()) for line in rest]
    assert "VIP 1 25.0% ██████ +1" in told
    assert "Gold 2 50.0% ████████████" in told
    assert 'left out: 1 of 5 orders for which it is unknown whether status = "paid"' in told
    assert "class lifecycle: no value for 1 customer, a line is unknown for them" in told
    assert 'draft tag "Rising": 3 customers' in told


def test_a_run_as_json(ask: Ask, shop: Path) -> None:
    report = ask("run", shop, "--as-of", DAY, "--format", "json").json

    assert (report["outcome"], report["version"], report["base"], report["as_of"]) == ("published", 1, None, DAY)
    assert report["counts"]["tiers"] == {"loyalty": {"Gold": 2, "Silver": 1, "Member": 1}}
    assert report["left_out"] == [
        {
            "source": "orders",
            "events": 5,
            "without_customer": 0,
            "of_unknown_customers": 0,
            "without_time": 0,
            "unknown_filters": {'status = "paid"': 1},
        }
    ]
    assert report["drafts"] == [{"kind": "tag", "name": "Rising", "value": None, "customers": 3}]
    assert report["unknown_classes"] == {"lifecycle": 1}
    assert [phase["name"] for phase in report["phases"]] == [
        "checking",
        "reading the data",
        "checking the data",
        "computing",
        "comparing",
        "publishing",
    ]


def test_nothing_new_makes_no_version(ask: Ask, published: Path) -> None:
    again = ask("run", published, "--as-of", DAY)

    assert again.code == 0
    assert "nothing new; version 1 stands" in again.out
    assert len(ask("versions", published, "--format", "json").json["versions"]) == 1


def test_the_same_ruleset_named_otherwise_is_the_same(
    ask: Ask, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(published)

    assert "nothing new" in ask("run", "--as-of", DAY).out
    assert "nothing new" in ask("run", "./ruleset.toml", "--as-of", DAY).out


def test_a_parameter_set_for_a_run_makes_another_version(ask: Ask, published: Path) -> None:
    report = ask("run", published, "--as-of", DAY, "--set", "vip_floor=9_000", "--format", "json").json

    assert report["version"] == 2
    assert report["movement"]["removed"] == {"VIP": 1}
    explained = ask("explain", published, 1, "VIP")
    assert "2,500.50 (vip_floor 9,000) — 6,499.50 short" in explained.out


def test_a_day_before_the_current_one_makes_a_detached_version(ask: Ask, published: Path) -> None:
    answer = ask("run", published, "--as-of", "2026-01-31")

    assert answer.code == 0
    assert "version 2, detached" in answer.out
    listed = ask("versions", published, "--format", "json").json
    assert (listed["current"], listed["line"]) == (1, [1])
    assert ask("rollback", published, 2, "--reason", "because").code == 2


def test_a_run_for_today_says_that_it_saw_a_part_of_the_day(ask: Ask, shop: Path) -> None:
    answer = ask("run", shop, "--format", "json")

    assert answer.json["saw_part_of_day"] is True
    assert "(a part of that day)" in ask("run", shop).out


def test_a_day_that_is_still_to_come_is_warned_of(ask: Ask, shop: Path) -> None:
    answer = ask("run", shop, "--as-of", "2998-01-01")

    assert answer.code == 0
    assert "warning[as-of-ahead]" in answer.err


def test_rules_with_errors_do_not_run(ask: Ask, shop: Path) -> None:
    (shop / "more.rules").write_text('tag "A" when montary > 1\n')

    answer = ask("run", shop)

    assert answer.code == 1
    assert "error[unknown-name]" in answer.err
    assert not (shop / ".ruleengine").exists()


def test_orphans_hold_the_run_until_somebody_publishes_it(ask: Ask, published: Path) -> None:
    with open(published / "data/orders.csv", "a") as orders:
        orders.write("9,2026-03-01 10:00,5,paid\n")

    held = ask("run", published, "--as-of", DAY, "--format", "json")

    assert held.code == 3
    assert held.json["outcome"] == "held"
    assert held.json["reasons"] == ["1 of 6 (16.7%) orders are of customers that are not there"]
    assert held.json["version"] == 1
    listed = ask("versions", published).out
    assert f"held: run {held.json['run']}" in listed
    refused = ask("publish", published, held.json["run"])
    assert (refused.code, "--reason" in refused.err) == (2, True)
    done = ask("publish", published, held.json["run"], "--reason", "they closed their accounts")
    assert done.code == 0, done.err
    assert "published version 2" in done.out
    assert ask("publish", published, held.json["run"], "--reason", "again").code == 2


def test_vanished_customers_hold_the_run(ask: Ask, published: Path) -> None:
    (published / "data/customers.csv").write_text("customer_id,country\n1,DE\n2,FR\n3,DE\n")

    held = ask("run", published, "--as-of", DAY)

    assert held.code == 3
    assert "1 of 4 (25.0%) customers of the last version are gone" in held.out
    assert "ruleengine publish" in held.out


@pytest.mark.parametrize(
    ("file", "text", "code"),
    [
        ("data/customers.csv", "customer_id,country\n1,DE\n1,FR\n", "key-repeated"),
        ("data/customers.csv", "customer_id,country\nx,DE\n", "value-unreadable"),
        ("data/customers.csv", "customer,country\n1,DE\n", "column-missing"),
        ("data/orders.csv", None, "source-file-missing"),
    ],
)
def test_bad_data_fails_the_run_and_the_last_version_stays(
    ask: Ask, published: Path, file: str, text: str | None, code: str
) -> None:
    if text is None:
        (published / file).unlink()
    else:
        (published / file).write_text(text)

    answer = ask("run", published, "--as-of", DAY)

    assert answer.code == 5
    assert f"error[{code}]" in answer.err
    assert ask("versions", published, "--format", "json").json["current"] == 1
    store = open_store(published / ".ruleengine")
    (failed, _) = store.runs()
    assert failed.state == "failed"
    assert failed.reasons[0]
    store.close()


@pytest.mark.usefixtures("changing_data")
def test_a_source_that_changes_during_the_run_is_an_error(ask: Ask, published: Path) -> None:
    (published / "data/customers.csv").write_text("customer_id,country\n1,DE\n2,DE\n3,DE\n4,\n")

    answer = ask("run", published, "--as-of", DAY)

    assert answer.code == 5
    assert "error[data-changed]" in answer.err
    assert ask("versions", published, "--format", "json").json["current"] == 1


def test_the_commit_of_the_rules_is_recorded(ask: Ask, shop: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],
            cwd=shop,
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "rules")
    ask("run", shop, "--as-of", DAY)
    (shop / "value.rules").write_text((shop / "value.rules").read_text().replace("1_000", "2_000"))
    ask("run", shop, "--as-of", DAY)

    second, first = ask("versions", shop, "--format", "json").json["versions"]

    assert first["git_author"] == "Ada <ada@example.org>"
    assert len(first["git_commit"]) == 40
    assert second["git_commit"] == first["git_commit"] + "+"


def test_another_run_at_work_is_told_at_once(ask: Ask, published: Path) -> None:
    store = open_store(published / ".ruleengine")
    with store.writer("nightly", Identity(ruleset="shop", entity="customer", key_type="integer")):
        answer = ask("run", published, "--as-of", "2026-04-01")

    assert answer.code == 4
    assert "nightly is writing to this store" in answer.err
    store.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_store_that_cannot_be_written_is_told(ask: Ask, shop: Path) -> None:
    shop.chmod(0o555)

    answer = ask("run", shop, "--as-of", DAY)

    assert answer.code == 5


def test_a_store_in_the_place_of_a_file_is_told(ask: Ask, shop: Path) -> None:
    (shop / ".ruleengine").write_text("x")

    answer = ask("run", shop, "--as-of", DAY)

    assert answer.code == 5
    assert "Traceback" not in answer.err


def test_a_store_of_another_ruleset_is_refused(ask: Ask, published: Path) -> None:
    manifest = published / "ruleset.toml"
    manifest.write_text(manifest.read_text().replace('"shop"', '"other"'))

    for verb in ("run", "versions"):
        answer = ask(verb, published)
        assert answer.code == 5
        assert "error[store-of-another]" in answer.err
