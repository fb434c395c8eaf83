"""Options of the test run."""

import pytest

from tests import postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-corpus", action="store_true", help="write the expected blocks of the corpus anew")


def pytest_sessionfinish() -> None:
    postgres.stop()
