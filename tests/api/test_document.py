"""The document tells everything that the API does, and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.api import shop
from tests.api.asking import problem
from tests.api.shop import lasting_client as client

__all__ = ["client"]

PATHS = {
    ("GET", "/v1/customers/{id}"),
    ("DELETE", "/v1/customers/{id}"),
    ("POST", "/v1/customers:batchGet"),
    ("GET", "/v1/tags"),
    ("GET", "/v1/tags/{tag}/customers"),
    ("GET", "/v1/tiers/{tier}/levels/{level}/customers"),
    ("GET", "/v1/classes/{class}/values/{value}/customers"),
    ("GET", "/v1/customers/{id}/explain/{name}"),
    ("GET", "/v1/customers/{id}/history"),
    ("GET", "/v1/changes"),
    ("GET", "/v1/versions"),
    ("GET", "/v1/versions/{number}"),
    ("PUT", "/v1/customers/{id}/tags/{tag}"),
    ("DELETE", "/v1/customers/{id}/tags/{tag}"),
    ("PUT", "/v1/customers/{id}/tiers/{tier}"),
    ("DELETE", "/v1/customers/{id}/tiers/{tier}"),
    ("GET", "/v1/runs"),
    ("POST", "/v1/runs"),
    ("GET", "/v1/runs/{run}"),
    ("POST", "/v1/runs/{run}:cancel"),
    ("POST", "/v1/runs/{run}:publish"),
    ("POST", "/v1/versions/{number}:rollback"),
    ("GET", "/v1/rulesets/current"),
    ("POST", "/v1/rulesets:check"),
    ("POST", "/v1/rulesets:evaluate"),
    ("POST", "/v1/rulesets:plan"),
    ("GET", "/v1/plans/{plan}"),
    ("POST", "/v1/plans/{plan}:cancel"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
}
FILLED = {
    "id": "1",
    "tag": "VIP",
    "tier": "loyalty",
    "level": "Gold",
    "class": "lifecycle",
    "value": "Active",
    "name": "loyalty",
    "run": "none",
    "plan": "none",
    "number": "1",
}
WRITES = {"/v1/customers/{id}/tags/{tag}", "/v1/customers/{id}/tiers/{tier}"}
"""What they answer is asked in test_writing.py, of a store of their own."""
BODIES: dict[str, Any] = {
    "/v1/runs": {"as_of": "one day"},
    "/v1/runs/{run}:cancel": {"reason": "a mistake"},
    "/v1/plans/{plan}:cancel": {"reason": "a mistake"},
    "/v1/rulesets:plan": {"as_of": "one day"},
    "/v1/runs/{run}:publish": {"reason": "checked"},
    "/v1/versions/{number}:rollback": {"reason": "checked"},
    "/v1/customers:batchGet": {"ids": ["1", "2", "stranger"]},
    "/v1/rulesets:check": {"files": {"shop.rules": shop.FILES["shop.rules"]}, "proofs": True},
    "/v1/rulesets:evaluate": {"as_of": "2026-03-31", "metrics": {"monetary_90d": 2000}},
}
JOBS = {"/v1/runs", "/v1/rulesets:plan", "/v1/plans/{plan}", "/v1/plans/{plan}:cancel"}
"""Likewise, in test_jobs.py."""
STREAMS = {"application/x-ndjson", "text/event-stream"}
PLAIN = "/metrics"
"""Answers with text that is not JSON."""


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()  # type: ignore[no-any-return]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def below(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(node, dict):
        yield node
        for each in node.values():
            yield from below(each)
    elif isinstance(node, list):
        for each in node:
            yield from below(each)


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    node: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        node = node[part]
    return node  # type: ignore[no-any-return]


def test_every_route_is_described(client: TestClient, document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == PATHS
    edge: Any = client.app
    plain = {re.sub(":segment", "", route.path) for route in edge.app.routes if isinstance(route, Route)}
    assert plain - {"/openapi.json"} <= document["paths"].keys()


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"].keys() >= {"title", "version"}
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    for method, path, operation in operations(document):
        parameters = operation.get("parameters", [])
        assert {each["name"] for each in parameters if each["in"] == "path"} == set(re.findall(r"{(\w+)}", path))
        for parameter in parameters:
            assert parameter["schema"]
            assert parameter["required"] or parameter["in"] != "path"
        assert ("requestBody" in operation) == (method in ("POST", "PUT"))
        assert operation["summary"]
    for node in below(document):
        if isinstance(node.get("$ref"), str):
            assert resolved(document, node), node


def test_every_response_has_a_schema(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            where = f"{method} {path} {status}"
            assert response["description"], where
            if path == PLAIN and status == "200":
                assert list(response["content"]) == ["text/plain"]
                continue
            if status == "304":
                assert "content" not in response, where
                continue
            media_types = response["content"].keys() - STREAMS
            for media_type in response["content"].keys() & STREAMS:
                assert response["content"][media_type]["schema"]["description"], where
            (media_type,) = media_types
            content = response["content"][media_type]
            schema = resolved(document, content["schema"])
            assert schema["properties"], where
            if status in ("200", "202"):
                assert media_type == "application/json", where
                assert schema["examples"], where
            else:
                assert media_type == "application/problem+json", where
                assert "code" in schema["required"], where
                for code, example in content.get("examples", {}).items():
                    assert (example["value"]["code"], str(example["value"]["status"])) == (code, status)
        assert operation["responses"].keys() >= {"405", "500", "default"}, path
        assert operation["responses"].keys() & {"200", "202"}, path
        assert ("503" in operation["responses"]) == (path != "/livez"), path


def shape(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """Of a schema of the document."""
    whole = {**schema, "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def test_answers_and_examples_have_the_shapes_that_are_described(client: TestClient, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if path == PLAIN:
            continue
        responses = operation["responses"]
        schema = responses.get("200", responses.get("202"))["content"]["application/json"]["schema"]
        described = shape(document, schema)
        for value in resolved(document, schema)["examples"]:
            described.validate(value)
            assert not described.is_valid({**value, "more": 1}), path
        if method == "DELETE" or path in WRITES | JOBS - {"/v1/runs"} or "{run}" in path or path.endswith(":rollback"):
            continue
        if (method, path) == ("POST", "/v1/runs"):
            continue
        answer = client.request(method, path.format(**FILLED), json=BODIES.get(path))
        assert answer.status_code == 200, answer.text
        described.validate(answer.json())


def test_problems_have_the_shape_that_is_described(client: TestClient, document: dict[str, Any]) -> None:
    described = shape(document, {"$ref": "#/components/schemas/Problem"})
    answers = [
        client.get("/v1/customers/stranger"),
        client.get("/v1/tags/nothing/customers"),
        client.get("/v1/nowhere"),
        client.post("/v1/customers:batchGet", json={"ids": 3}),
        client.delete("/v1/tags"),
    ]
    for answer in answers:
        problem(answer)
        described.validate(answer.json())


def test_every_problem_that_a_path_can_have_is_described(client: TestClient, document: dict[str, Any]) -> None:
    from importlib import import_module

    kinds = set(import_module("ruleengine.api.problems").KINDS)
    described = {
        code
        for _, _, operation in operations(document)
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        for code in content.get("examples", {})
    }
    # Of these no path knows.
    assert kinds - described == {"path_unknown", "request_unreadable", "head_too_large", "server_stopping"}
