"""The product itself, as a person uses it: a folder with rules and data, a store in it, and verbs."""

import csv
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ruleengine.store.records import Version
from ruleengine.verbs import by_hand, published, run, versions
from ruleengine.verbs.export import export
from tests import postgres
from tests.memory.rules import ATTRIBUTES, Rules, text

MANIFEST = """[ruleset]
name = "made"
timezone = "UTC"
[profiles.default]
engine = "duckdb"
threads = 1
store = "store"
[profiles.default.sources]
customers = "customers.csv"
"""
IN_POSTGRES = f"""[ruleset]
name = "made"
timezone = "UTC"
[profiles.default]
engine = "postgres"
dsn = "${{{postgres.STORE}}}"
store = {{schema = "made"}}
[profiles.default.sources]
customers = {{table = "shop.customers"}}
"""
PROFILE = "default"


class Shop:
    knows_its_data = True
    """A run on the data of the one before says so, and makes no version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "ruleset.toml").write_text(MANIFEST)

    def write_rules(self, rules: Rules) -> None:
        (self.folder / "made.rules").write_text(text(rules))

    def write_customers(self, customers: Mapping[int, Mapping[str, Any]]) -> None:
        with (self.folder / "customers.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", *ATTRIBUTES])
            for key, customer in customers.items():
                cells = [customer[name] for name in ATTRIBUTES]
                writer.writerow([key, *(str(cell).lower() if isinstance(cell, bool) else cell for cell in cells)])

    def run(self, day: date) -> run.RunReport:
        return run.run(self.folder, PROFILE, as_of=day, actor="machine")

    def publish(self, held: str) -> Version:
        return versions.publish(self.folder, PROFILE, held, "looked at", "machine")

    def rollback(self, number: int) -> Version:
        return versions.rollback(self.folder, PROFILE, number, "was better", "machine")

    def tag(self, key: int, name: str) -> int:
        return by_hand.tag(self.folder, PROFILE, str(key), name, reason="asked for", actor="machine").version

    def untag(self, key: int, name: str) -> int:
        return by_hand.untag(self.folder, PROFILE, str(key), name, reason="not any more", actor="machine").version

    def exported(self, *, version: int | None = None, run: str | None = None) -> list[list[str]]:
        """The rows of an export, all but the number of the version."""
        file = self.folder / "exported.csv"
        export(self.folder, PROFILE, file, version=version, run=run)
        with file.open(newline="") as lines:
            head, *rows = csv.reader(lines)
        assert head == ["customer_id", "kind", "name", "value", "since", "version"]
        assert {row[-1] for row in rows} <= {str(version) if version else ""}
        return [row[:-1] for row in rows]

    def document(self, key: int) -> list[list[str]] | None:
        """What the store says of a customer, as rows of an export; None where it does not know him."""
        with published.opened(self.folder, PROFILE) as (_, store):
            found = store.customer(key).document
        if found is None:
            return None
        said = json.loads(found)
        rows = [[str(key), "tag", tag["name"], "", tag["since"]] for tag in said["tags"]]
        rows += [[str(key), "tier", name, it["level"], it["since"]] for name, it in said["tiers"].items()]
        rows += [[str(key), "class", name, it["value"], it["since"]] for name, it in said["classes"].items()]
        return sorted(rows)


class ShopInPostgres(Shop):
    """The same with its data, and its store, in the database of a `postgres.shop`."""

    knows_its_data = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "ruleset.toml").write_text(IN_POSTGRES)
        columns = ", ".join(f"{name} {type}" for name, type in ATTRIBUTES.items())
        postgres.admin().execute("DROP SCHEMA IF EXISTS made CASCADE; DROP TABLE IF EXISTS shop.customers CASCADE")
        postgres.admin().execute(f"CREATE TABLE shop.customers (id bigint, {columns})".encode())

    def write_customers(self, customers: Mapping[int, Mapping[str, Any]]) -> None:
        with postgres.admin().transaction(), postgres.admin().cursor() as cursor:
            cursor.execute("DELETE FROM shop.customers")
            cursor.executemany(
                "INSERT INTO shop.customers VALUES (%s, %s, %s, %s, %s)",
                [(key, *(customer[name] for name in ATTRIBUTES)) for key, customer in customers.items()],
            )
