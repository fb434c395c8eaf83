"""Keys: no key, no data; each is good for its scopes alone, until it is revoked or expires."""

import json
import stat
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from ruleengine.cli.commands import program
from ruleengine.settings import Scope
from ruleengine.store import open_store
from ruleengine.verbs import keys
from tests.api import shop
from tests.api.asking import client_of, problem
from tests.api.test_document import BODIES, FILLED, operations
from tests.api.test_server import ruleset, started
from tests.store.tables import held, publish

__all__ = ["ruleset"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
LATER = date.today() + timedelta(days=30)


def given(folder: Path, *scopes: Scope, name: str = "crm", expires: date | None = None) -> str:
    return keys.create(folder, "default", name, scopes, expires=expires, actor="test").secret


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shop.written(tmp_path_factory.mktemp("shop"))
    shop.published(folder)
    return folder


@pytest.fixture(scope="module")
def secrets(folder: Path) -> dict[Scope, str]:
    """A key for each scope."""
    return {scope: given(folder, scope, name=scope, expires=LATER) for scope in SCOPES}


@pytest.fixture
def client(folder: Path, secrets: dict[Scope, str]) -> Iterator[TestClient]:
    with shop.asked(folder, today=date.today()) as (_, client):
        yield client


# -- every route, every scope ------------------------------------------------------------------------------


def needed(operation: dict[str, Any]) -> str | None:
    """The scope that the document says an operation needs."""
    if not operation["security"]:
        return None
    ((scheme, (scope,)),) = operation["security"][0].items()
    assert scheme == "key"
    return str(scope)


def test_every_operation_needs_its_scope_and_no_other(client: TestClient, secrets: dict[Scope, str]) -> None:
    document = client.get("/openapi.json").json()
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    walked = 0
    for method, path, operation in operations(document):
        wanted = needed(operation)
        asked = path.format(**FILLED)
        if wanted is None:
            assert path in ("/livez", "/readyz", "/metrics")
            continue
        given = BODIES.get(path, {} if method == "PUT" else None)
        bare = client.request(method, asked, json=given)
        assert problem(bare) == (401, "key_missing"), path
        assert bare.headers["www-authenticate"] == "Bearer"
        assert operation["responses"].keys() >= {"401", "403", "429"}
        for scope in SCOPES:
            answer = client.request(method, asked, json=given, headers=bearer(secrets[scope]))
            walked += 1
            if scope in (wanted, "admin"):
                assert answer.status_code not in (401, 403), (path, scope, answer.text)
            else:
                assert problem(answer) == (403, "scope_missing"), (path, scope)
    assert walked >= 60


def test_without_a_key_nobody_learns_what_is_there(client: TestClient, secrets: dict[Scope, str]) -> None:
    assert problem(client.get("/v1/customers/1")) == (401, "key_missing")
    assert problem(client.get("/v1/customers/stranger")) == (401, "key_missing")
    assert problem(client.get("/v1/nowhere", headers=bearer(secrets["admin"]))) == (404, "path_unknown")


# -- which keys count --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer  ", "Basic {}", "{}", "Bearer x{}", "Bearer {}x", "Bearer rek_" + "A" * 43, "bearer {} {}"],
)
def test_what_is_no_key_is_refused(client: TestClient, secrets: dict[Scope, str], header: str) -> None:
    answer = client.get("/v1/tags", headers={"authorization": header.replace("{}", secrets["admin"])})

    assert problem(answer)[0] == 401
    assert secrets["admin"] not in answer.text


def test_a_key_counts_in_the_header_alone(client: TestClient, secrets: dict[Scope, str]) -> None:
    secret = secrets["admin"]
    assert client.get("/v1/tags", headers={"authorization": f"bearer {secret}"}).status_code == 200
    assert problem(client.get(f"/v1/tags?key={secret}")) == (401, "key_missing")
    assert problem(client.get("/v1/tags", headers={"x-api-key": secret})) == (401, "key_missing")


def test_a_key_counts_until_the_day_it_expires(folder: Path) -> None:
    secret = given(folder, "tags:read", expires=LATER)
    for day, status in ((LATER - timedelta(days=1), 200), (LATER, 401)):
        with shop.asked(folder, today=day) as (_, client):
            assert client.get("/v1/tags", headers=bearer(secret)).status_code == status


def test_a_revoked_key_counts_no_more(folder: Path, client: TestClient) -> None:
    created = keys.create(folder, "default", "crm", ["tags:read"], expires=None, actor="test")
    assert client.get("/v1/tags", headers=bearer(created.secret)).status_code == 200

    keys.revoke(folder, "default", created.key.id)

    assert problem(client.get("/v1/tags", headers=bearer(created.secret))) == (401, "key_invalid")


def test_who_guesses_is_told_nothing_after_a_while(client: TestClient, secrets: dict[Scope, str]) -> None:
    answers = [client.get("/v1/tags", headers=bearer(f"guess {n}")) for n in range(25)]

    assert problem(answers[0]) == (401, "key_invalid")
    assert problem(answers[-1]) == (429, "too_many_requests")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 61
    # Others at the same address, such as behind a proxy, are not shut out by him.
    assert client.get("/v1/tags", headers=bearer(secrets["tags:read"])).status_code == 200


def test_each_key_has_a_rate_of_its_own(folder: Path, secrets: dict[Scope, str]) -> None:
    store = open_store(folder / ".ruleengine")
    client = client_of(store, rate=3)

    answers = [client.get("/v1/tags", headers=bearer(secrets["tags:read"])) for _ in range(30)]

    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert problem(refused) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert client.get("/v1/tags", headers=bearer(secrets["admin"])).status_code == 200
    store.close()


def test_a_server_without_keys_asks_for_them_as_soon_as_there_is_one(tmp_path: Path) -> None:
    folder = shop.written(tmp_path)
    shop.published(folder)
    with shop.asked(folder, today=date.today()) as (_, client):
        assert client.get("/v1/tags").status_code == 200
        created = keys.create(folder, "default", "crm", ["tags:read"], expires=None, actor="test")
        assert problem(client.get("/v1/tags")) == (401, "key_missing")
        assert client.get("/v1/tags", headers=bearer(created.secret)).status_code == 200
        keys.revoke(folder, "default", created.key.id)
    with shop.asked(folder, today=date.today()) as (_, client):
        assert problem(client.get("/v1/tags")) == (401, "key_missing")


# -- on the command line -----------------------------------------------------------------------------------


def told(*arguments: str | Path) -> Any:
    result = CliRunner().invoke(program, [*map(str, arguments), "--format", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_secret_is_shown_once_and_kept_nowhere(tmp_path: Path) -> None:
    folder = shop.written(tmp_path)

    made = told("key", "create", folder, "--name", "crm", "--scope", "audit:read", "--scope", "tags:read")

    assert len(made["secret"]) >= 43
    assert made["key"]["scopes"] == ["tags:read", "audit:read"]
    assert told("key", "list", folder)["keys"] == [made["key"]]
    for file in (folder / ".ruleengine").rglob("*"):
        assert made["secret"].encode() not in file.read_bytes()
    assert stat.S_IMODE((folder / ".ruleengine" / "keys.db").stat().st_mode) == 0o600
    gone = told("key", "revoke", folder, made["key"]["id"])
    assert gone["revoked_at"] is not None
    assert told("key", "list", folder)["keys"] == [gone]
    assert told("key", "revoke", folder, made["key"]["id"]) == gone


@pytest.mark.parametrize(
    "options", [["--scope", "tags:all"], [], ["--scope", "tags:read", "--expires", str(datetime.now(UTC).date())]]
)
def test_a_key_that_would_be_good_for_nothing_is_not_given(tmp_path: Path, options: list[str]) -> None:
    folder = shop.written(tmp_path)

    result = CliRunner().invoke(program, ["key", "create", str(folder), "--name", "crm", *options])

    assert result.exit_code == 2, result.output
    assert told("key", "list", folder)["keys"] == []


# -- a server ----------------------------------------------------------------------------------------------


def test_other_machines_are_served_with_keys(ruleset: Path) -> None:
    store = open_store(ruleset / ".ruleengine")
    publish(store, "2026-01-01", {1: held("VIP")})
    store.close()
    secret = given(ruleset, "tags:read")
    with started(ruleset, "--port", "0", "--host", "0.0.0.0") as (_, _, port):
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        for key, status in (("", 401), (secret, 200), (f"{secret}x", 401)):
            connection.request("GET", "/v1/customers/1", headers={**bearer(key), "host": "tags.example"})
            answer = connection.getresponse()
            assert answer.status == status
            assert secret not in answer.read().decode()
