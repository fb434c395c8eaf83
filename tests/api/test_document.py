"""The document tells everything that the API does, and nothing else."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.api.asking import problem

PATHS = {
    ("GET", "/v1/customers/{id}"),
    ("POST", "/v1/customers:batchGet"),
    ("GET", "/v1/tags"),
    ("GET", "/v1/tags/{tag}/customers"),
    ("GET", "/v1/tiers/{tier}/levels/{level}/customers"),
    ("GET", "/v1/classes/{class}/values/{value}/customers"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
}
FILLED = {"id": "17", "tag": "VIP", "tier": "loyalty", "level": "Gold", "class": "abc", "value": "A"}


@pytest.fixture
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
    app: Any = client.app
    plain = {re.sub(":segment", "", route.path) for route in app.routes if isinstance(route, Route)}
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
            assert parameter["required"] or parameter["in"] == "query"
        assert ("requestBody" in operation) == (method == "POST")
        assert operation["summary"]
    for node in below(document):
        if isinstance(node.get("$ref"), str):
            assert resolved(document, node), node


def test_every_response_has_a_schema(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            where = f"{method} {path} {status}"
            assert response["description"], where
            if status == "304":
                assert "content" not in response, where
                continue
            ((media_type, content),) = response["content"].items()
            schema = resolved(document, content["schema"])
            assert schema["properties"], where
            if status == "200":
                assert media_type == "application/json", where
                assert schema["examples"], where
            else:
                assert media_type == "application/problem+json", where
                assert "code" in schema["required"], where
                for code, example in content.get("examples", {}).items():
                    assert (example["value"]["code"], str(example["value"]["status"])) == (code, status)
        assert operation["responses"].keys() >= {"200", "405", "500", "default"}, path
        assert ("503" in operation["responses"]) == (path != "/livez"), path


def fits(document: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Whether a value has the shape of a schema, as far as the schemas here go."""
    schema = resolved(document, schema)
    if "anyOf" in schema:
        return any(fits(document, each, value) for each in schema["anyOf"])
    if "const" in schema:
        return bool(value == schema["const"])
    match schema["type"]:
        case "object":
            known = schema.get("properties", {})
            more = schema.get("additionalProperties", True)
            return (
                isinstance(value, dict)
                and set(schema.get("required", ())) <= value.keys()
                and all(
                    fits(document, known[name], each)
                    if name in known
                    else more is True or (more is not False and fits(document, more, each))
                    for name, each in value.items()
                )
            )
        case "array":
            return isinstance(value, list) and all(fits(document, schema["items"], each) for each in value)
        case "string":
            formats = {"date": r"\d{4}-\d\d-\d\d", "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"}
            return isinstance(value, str) and bool(
                re.fullmatch(formats.get(schema.get("format", ""), "(?s:.*)"), value)
            )
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case kind:
            return {"boolean": bool, "null": type(None)}[kind] is type(value)


def test_answers_and_examples_have_the_shapes_that_are_described(client: TestClient, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        body = {"ids": ["17", "nobody", "stranger"]} if method == "POST" else None
        answer = client.request(method, path.format(**FILLED), json=body)
        assert answer.status_code == 200
        for value in (answer.json(), *resolved(document, schema)["examples"]):
            assert fits(document, schema, value), (path, value)
            assert not fits(document, schema, {**value, "more": 1}), path


def test_problems_have_the_shape_that_is_described(client: TestClient, document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Problem"}
    answers = [
        client.get("/v1/customers/stranger"),
        client.get("/v1/tags/nothing/customers"),
        client.get("/v1/nowhere"),
        client.post("/v1/customers:batchGet", json={"ids": 3}),
        client.delete("/v1/tags"),
    ]
    for answer in answers:
        problem(answer)
        assert fits(document, schema, answer.json()), answer.text


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
    assert kinds - described == {"path_unknown"}
