"""How often somebody may do something."""

from importlib import import_module
from typing import Any


def test_each_name_may_so_often_in_each_window() -> None:
    now = 1000.0
    throttle: Any = import_module("ruleengine.api.throttle").Throttle(2, 60, lambda: now)

    assert [throttle.wait("one") for _ in range(4)] == [0, 0, 20, 20]
    assert throttle.wait("two") == 0
    now = 1019.5
    assert throttle.wait("one") == 1
    now = 1020.0
    assert throttle.wait("one") == 0
