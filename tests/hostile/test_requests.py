"""Rules and facts that come over HTTP: any value in any place is an answer or a problem, never the server's own."""

import pytest
from starlette.testclient import TestClient

from tests.api.asking import problem
from tests.api.shop import lasting_client as client

__all__ = ["client"]

VALUES = (
    *("null", "true", "0", "-1", "1.5", "1e999999", "-0.0", "NaN", "Infinity", "9" * 5_000, '"' + "9" * 5_000 + '"'),
    *('"x"', '""', '"\\ud800"', '"\\u0000"', '"9999-12-31"', '"0001-01-01"', '"10000-01-01"', '"2026-02-30"'),
    *('"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-12:00"', '"2026-01-01T00:00:00+99:99"', '"1e999999999"'),
    *('"NaN"', '"１２"', "[]", "{}", "[[]]", '{"a": 1}', '"' + "x" * 100_000 + '"', "[" * 200 + "]" * 200),
)
BODIES = (
    '{"as_of": VALUE}',
    '{"as_of": "2026-03-31", "metrics": VALUE}',
    '{"as_of": "2026-03-31", "metrics": {"monetary_90d": VALUE}}',
    '{"as_of": "2026-03-31", "metrics": {"recency": VALUE}}',
    '{"as_of": "2026-03-31", "attributes": {"country": VALUE}}',
    '{"as_of": "2026-03-31", "events": {"orders": VALUE}}',
    '{"as_of": "2026-03-31", "events": {"orders": [{"ordered_at": VALUE, "amount": "5"}]}}',
    '{"as_of": "2026-03-31", "events": {"orders": [{"ordered_at": "2026-03-01T10:00:00", "amount": VALUE}]}}',
    '{"as_of": "2026-03-31", "tags": VALUE}',
    '{"as_of": "2026-03-31", "files": {"a.rules": VALUE}}',
    '{"as_of": "9999-12-31", "events": {"orders": [{"ordered_at": VALUE}]}}',
)
TEXTS = (
    *(
        "[" * 100_000,
        "{" * 100_000,
        '{"a":' * 5_000,
        '"',
        "",
        "\ufeff{}",
        "{}{}",
        '{"as_of": 1, "as_of": 2}',
        "\0",
        "ÿ",
    ),
    *('{"files": {"../a.rules": "tag"}}', '{"files": {"/etc/passwd": "tag"}}', '{"files": {"\\u0000.rules": "tag"}}'),
    *('{"files": {"a.rules": "use \\"../../../etc/passwd\\""}}', '{"files": {"a.rules": "use \\"/etc/passwd\\""}}'),
)


def examine(client: TestClient, path: str, text: str) -> None:
    sent = text.encode("utf-8", "surrogatepass")
    answer = client.post(path, content=sent, headers={"content-type": "application/json"})
    assert answer.status_code < 500, (path, text[:200], answer.text[:500])
    if answer.status_code != 200:
        problem(answer)
    assert "root:x:0" not in answer.text


@pytest.mark.parametrize("body", BODIES)
def test_any_fact(client: TestClient, body: str) -> None:
    for value in VALUES:
        examine(client, "/v1/rulesets:evaluate", body.replace("VALUE", value))


@pytest.mark.parametrize("path", ["/v1/rulesets:evaluate", "/v1/rulesets:check"])
def test_any_body(client: TestClient, path: str) -> None:
    for text in TEXTS:
        examine(client, path, text)


def test_any_rules(client: TestClient) -> None:
    for value in VALUES:
        examine(client, "/v1/rulesets:check", f'{{"files": {{"a.rules": {value}}}, "proofs": true}}')
        examine(client, "/v1/rulesets:check", f'{{"files": {value}, "proofs": {value}}}')
