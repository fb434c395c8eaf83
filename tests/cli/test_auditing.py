"""`audit`: verifying a store, and anchors that tell when all of it was rewritten."""

import shutil
import stat
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest

from ruleengine.store import leaves
from ruleengine.store.sqlite import writer
from tests.cli.conftest import DAY, Ask


def rewrite(shop: Path) -> None:
    """What somebody can do who may write the store: change the past, and make every copy and hash of it anew."""
    ledger = writer(shop / ".ruleengine" / "ledger.db", 10)
    ledger.execute("UPDATE runs SET header = replace(header, '8000', '8001')")
    previous = None
    for number, header, root in ledger.execute("SELECT number, header, root FROM versions ORDER BY number").fetchall():
        changed = header.replace("8000", "8001")
        made = leaves.version(previous, root, changed)
        ledger.execute(
            "UPDATE versions SET header = ?, previous_hash = ?, hash = ? WHERE number = ?",
            (changed, previous, made, number),
        )
        previous = made
    ledger.close()
    (shop / ".ruleengine" / "ledger.seen").unlink()


def test_a_rewritten_store_is_found_by_its_anchors_alone(ask: Ask, published: Path, tmp_path: Path) -> None:
    shop, anchors, key = str(published), str(tmp_path / "anchors"), str(tmp_path / "key")
    made = ask("audit", "key", "-o", key)
    ask("run", shop, "--as-of", DAY, "--set", "vip_floor=8_000")
    signed = ask("audit", "anchor", shop, "-o", anchors, "--key", key)
    compared = ["audit", "verify", shop, "--anchor", anchors, "--public-key", f"{key}.pub"]
    before = ask(*compared)

    rewrite(published)

    assert (made.code, signed.code, before.code) == (0, 0, 0)
    assert "1 anchor · signed, as the public key tells" in before.out
    assert ask("audit", "verify", shop).code == 0
    after = ask(*compared, "--format", "json")
    assert (after.code, after.json["first_bad"]) == (1, 2)
    assert [each["code"] for each in after.json["findings"]] == ["audit-anchor-differs"]
    # Nothing is added to a file that tells otherwise.
    kept = Path(anchors).read_bytes()
    assert ask("audit", "anchor", shop, "-o", anchors, "--key", key).code == 1
    assert Path(anchors).read_bytes() == kept


def test_what_cannot_be_read_is_told_as_such(ask: Ask, published: Path, tmp_path: Path) -> None:
    shop, key = str(published), tmp_path / "key"
    ask("audit", "key", "-o", str(key))
    secret = key.read_bytes()

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert ask("audit", "key", "-o", str(key)).code == 5
    assert key.read_bytes() == secret
    assert ask("audit", "verify", shop, "--anchor", "nowhere").code == 5
    assert ask("audit", "verify", shop, "--anchor", str(key), "--public-key", str(key)).code == 5
    assert ask("audit", "anchor", shop, "-o", "anchors", "--key", f"{key}.pub").code == 5
    assert ask("audit", "verify", shop, "--public-key", f"{key}.pub").code == 2


def test_who_changed_a_rule(ask: Ask, published: Path) -> None:
    shop, rules, model = str(published), published / "value.rules", published / "model.rules"

    def run(*more: str, actor: str) -> None:
        assert ask("run", shop, "--as-of", DAY, "--actor", actor, *more).code == 0

    rules.write_text(rules.read_text("utf-8").replace("frequency >= 2", "frequency >= 1"), "utf-8")
    run(actor="ben")
    rules.write_text(rules.read_text("utf-8").replace("recency > 60", "recency > 90"), "utf-8")  # of others
    run(actor="cleo")
    model.write_text(model.read_text("utf-8").replace('sum(orders.amount where status = "paid")', "sum(orders.amount)"))
    run(actor="dan")
    run("--set", "vip_floor=9_000", actor="eve")
    rules.write_text(rules.read_text("utf-8").replace('tag "VIP"', 'tag "Best" formerly "VIP"'), "utf-8")
    run("--set", "vip_floor=9_000", actor="fay")
    assert ask("rollback", shop, "4", "--reason", "too few", "--actor", "gil").code == 0

    found = ask("audit", "rule", shop, "Best", "--format", "json").json

    told = [
        (each["version"], each["actor"], change["kind"], change["name"], change["change"])
        for each in found["entries"]
        for change in each["changes"]
    ]
    assert told[:5] == [
        (1, "tests", "tag", "VIP", "added"),
        (2, "ben", "tag", "VIP", "changed"),
        (4, "dan", "metric", "monetary", "changed"),
        (5, "eve", "parameter", "vip_floor", "changed"),
        (6, "fay", "tag", "Best", "renamed"),
    ]
    assert {each[:2] for each in told[5:]} == {(7, "gil")}
    (part,) = found["entries"][1]["changes"][0]["parts"]
    assert part == {
        "clause": "when",
        "old": "monetary_90d > vip_floor and frequency >= 2",
        "new": "monetary_90d > vip_floor and frequency >= 1",
    }
    (value,) = found["entries"][3]["changes"][0]["parts"]
    assert value == {"clause": "in force", "old": "1000", "new": "9000"}
    assert [each["version"] for each in ask("audit", "rule", shop, "睡眠", "--format", "json").json["entries"]] == [
        1,
        3,
    ]
    text = ask("audit", "rule", shop, "VIP").out
    assert "run published by ben" in text
    assert "reason: too few" in text
    unknown = ask("audit", "rule", shop, "VIPs")
    assert unknown.code == 2
    assert "VIP" in unknown.err


@pytest.mark.slow
def test_no_run_reads_what_rules_read_before(ask: Ask, published: Path) -> None:
    """`values` are not sealed. What comes of changed ones is evidence of the change, and is gone with the next run."""
    untouched = shutil.copytree(published, published.parent / "untouched")
    (file,) = published.glob(".ruleengine/runs/*/values.parquet")
    duck = duckdb.connect()
    (numbers,) = duck.execute(
        "SELECT list(column_name) FROM (DESCRIBE SELECT * FROM read_parquet(?)) "
        "WHERE column_name <> 'customer' AND column_type LIKE 'DECIMAL%'",
        [str(file)],
    ).fetchall()
    others = ", ".join(f'7 AS "{name}"' for name in numbers[0])
    duck.execute(f"CREATE TABLE changed AS SELECT * REPLACE ({others}) FROM read_parquet('{file}')")
    duck.execute(f"COPY changed TO '{file}' (FORMAT parquet)")
    ledger = writer(published / ".ruleengine" / "ledger.db", 10)
    digest = sha256(file.read_bytes()).hexdigest()
    ledger.execute("UPDATE files SET digest = ? WHERE path LIKE '%values.parquet'", (digest,))
    ledger.close()

    assert ask("explain", published, "3", "VIP").out != ask("explain", untouched, "3", "VIP").out
    for shop in (published, untouched):
        assert ask("run", shop, "--as-of", "2026-04-30").code == 0
        assert ask("export", shop, "-o", shop / "rows.csv").code == 0
    assert (published / "rows.csv").read_bytes() == (untouched / "rows.csv").read_bytes()
    assert ask("diff", published, "1", "2").out == ask("diff", untouched, "1", "2").out
    assert ask("explain", published, "3", "VIP").out == ask("explain", untouched, "3", "VIP").out


def test_who_published_a_held_run(ask: Ask, published: Path) -> None:
    customers = published / "data" / "customers.csv"
    customers.write_text(customers.read_text("utf-8").replace("4,\n", ""), "utf-8")
    held = ask("run", published, "--as-of", "2026-04-30", "--actor", "night", "--format", "json")
    assert (held.code, held.json["outcome"]) == (3, "held")
    assert ask("publish", published, held.json["run"], "--reason", "he moved away", "--actor", "ana").code == 0

    text = ask("versions", published, "2").out
    version = ask("versions", published, "2", "--format", "json").json["version"]

    told = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ") and line.strip()}
    assert told["made"].endswith("by ana")
    assert told["reason"].endswith("he moved away")
    assert told["begun"].endswith("by night")
    assert "customers of the last version are gone" in told["held"]
    assert (version["actor"], version["begun_by"], version["held"]) == ("ana", "night", held.json["reasons"])
    ledger = writer(published / ".ruleengine" / "ledger.db", 10)
    ledger.execute("UPDATE runs SET actor = 'nobody' WHERE actor = 'night'")
    ledger.close()
    assert "audit-copy-differs" in ask("audit", "verify", published).out + ask("audit", "verify", published).err
