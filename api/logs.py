"""What the server tells whoever runs it: a line for each request, and lines for what went wrong.

No line has a path, a parameter, a body or a key, for these name customers or open doors; only the trace of a mistake of
ours may hold a value, as traces do.
"""

import asyncio
import json
import logging
import os
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TextIO

from ruleengine.settings import LogFormat, LogLevel

from . import problems
from .edge import Exchange

TOGETHER = 0.05
"""Seconds for which lines of requests are collected: to write each by itself would take as long as to answer."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))


class Log(logging.Handler):
    """Lines on a stream, each an object of JSON, or its members as `name=value`.

    Those of requests wait for a moment, and are written together.
    """

    def __init__(self, stream: TextIO, form: LogFormat, level: LogLevel) -> None:
        super().__init__(level.upper())
        self._stream = stream
        self._form = form
        self._worker = os.getpid()
        self._each_request = level == "info"
        self._answered: list[tuple[float, Exchange]] = []
        """Requests whose lines are still to be written, and when they were answered."""

    def listen(self) -> None:
        """Write what is logged in this process, ours from the level on and libraries' warnings."""
        logging.basicConfig(handlers=[self], level=logging.WARNING, force=True)
        logging.getLogger("ruleengine").setLevel(self.level)

    def answered(self, exchange: Exchange) -> None:
        """Tell of a request, by the path as the document has it. For the event loop alone."""
        if not self._each_request:
            return
        if not self._answered:
            asyncio.get_running_loop().call_later(TOGETHER, self.flush)
        self._answered.append((time.time(), exchange))

    def emit(self, record: logging.LogRecord) -> None:
        self.flush()
        error = record.exc_info[1] if record.exc_info else None
        trace = "".join(traceback.format_exception(error)) if error else None
        level, request_id = record.levelname.lower(), problems.REQUEST.get(None)
        facts = {"message": record.getMessage(), "logger": record.name, "trace": trace}
        self._write(self._line(time.time(), level, request_id, facts))

    def flush(self) -> None:
        """Write what is still to be written."""
        self.acquire()
        try:
            found = self._answered[:]
            del self._answered[: len(found)]  # Others may have been added meanwhile.
            self._write("".join([self._line_of(moment, exchange) for moment, exchange in found]))
        finally:
            self.release()

    def _line_of(self, moment: float, exchange: Exchange) -> str:
        method, route, status, seconds, key, request_id = exchange
        if method not in METHODS:
            method = "other"
        if self._form == "json":
            # Written out, since it is written most of all. Nothing in it is what JSON would escape.
            return (
                f'{{"time": "{_text(moment)}", "level": "info", "worker": {self._worker}, '
                f'"request_id": "{request_id}", "message": "request", "method": "{method}", '
                f'"route": {_quoted(route)}, "status": {status}, "milliseconds": {seconds * 1000:.3f}, '
                f'"key": {_quoted(key)}}}\n'
            )
        facts = {"method": method, "route": route, "status": status, "milliseconds": round(seconds * 1000, 3)}
        return self._line(moment, "info", request_id, {"message": "request", **facts, "key": key})

    def _line(self, moment: float, level: str, request_id: str | None, facts: Mapping[str, object]) -> str:
        line = {"time": _text(moment), "level": level, "worker": self._worker, "request_id": request_id, **facts}
        told = {name: value for name, value in line.items() if value is not None}
        return f"{json.dumps(told) if self._form == 'json' else ' '.join(f'{name}={told[name]}' for name in told)}\n"

    def _write(self, lines: str) -> None:
        try:
            self._stream.write(lines)
            if not self._stream.line_buffering:
                self._stream.flush()
        except (OSError, ValueError):
            pass  # Nobody reads it any more; requests are answered all the same.


def _quoted(text: str | None) -> str:
    return "null" if text is None else f'"{text}"'


def _text(moment: float) -> str:
    seconds, rest = divmod(moment, 1)
    return f"{_second(seconds)}.{int(1000 * rest):03}+00:00"


@lru_cache(1)
def _second(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
