"""What the document says is held to requests that are made up from it."""

import tempfile
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance
from starlette.testclient import TestClient

from ruleengine import schema, serving
from ruleengine.store import open_store
from ruleengine.verbs import keys
from tests.api import shop

EXAMPLES = 6
MANY_EXAMPLES = 60
LEFT_OUT = [
    # A request can have the right shape and ask for what is not there, or for rules that are wrong.
    positive_data_acceptance,
    # It leaves the key in; test_keys.py walks every operation without one and with each.
    ignored_auth,
]


@pytest.fixture
def described() -> Iterator[tuple[Any, dict[str, str]]]:
    """The document of a server, and the headers by which everything may be asked of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = shop.written(Path(name))
        shop.published(folder)
        secret = keys.create(folder, "default", "test", ["admin"], expires=None, actor="test").secret
        store = open_store(folder / ".ruleengine")
        app = serving.app(store, schema.load(folder), today=lambda: shop.DAY)
        headers = {"host": "localhost", "authorization": f"Bearer {secret}"}
        with TestClient(app):  # Runs and plans that it began end with it; each one at a time, so they are few.
            yield schemathesis.openapi.from_asgi("/openapi.json", app, headers=headers), headers
        store.close()


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("examples", [EXAMPLES, pytest.param(MANY_EXAMPLES, marks=pytest.mark.slow)])
def test_every_operation_keeps_to_the_document(
    described: tuple[Any, dict[str, str]], mode: GenerationMode, examples: int
) -> None:
    """Also where requests are such as the document does not allow: these are refused as it says."""
    document, headers = described
    asked = 0
    for operation in document.get_all_operations():

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(case=operation.ok().as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            case.call_and_validate(headers=headers, excluded_checks=LEFT_OUT)

        with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
            check()  # Some operations take whatever one sends.
        asked += 1
    assert asked >= 20
