"""How often somebody may do something."""

import math
import time
from collections.abc import Callable


class Throttle:
    """So many times for each name in every window of some seconds.

    Windows begin for all names at the same moment, so only the names of one window are ever remembered.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._window = 0.0
        self._times: dict[str, int] = {}

    def wait(self, name: str) -> int:
        """Count once more; 0, or whole seconds to wait where that was once too often."""
        now = self._clock()
        window = now // self._seconds
        if window != self._window:
            self._window, self._times = window, {}
        times = self._times[name] = self._times.get(name, 0) + 1
        return 0 if times <= self._most else max(1, math.ceil((window + 1) * self._seconds - now))
