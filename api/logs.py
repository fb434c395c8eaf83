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
from datetime import UTC, datetime
from functools import lru_cache
from typing import TextIO

from ruleengine.settings import LogFormat, LogLevel

from . import problems
from .edge import Exchange

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"))


class Log(logging.Handler):
    """Lines on a stream, each an object of JSON, or its members as `name=value`.

    Those of requests that are answered in one turn of the event loop are written together.
    """

    def __init__(self, stream: TextIO, form: LogFormat, level: LogLevel) -> None:
        super().__init__(level.upper())
        self._stream = stream
        self._form = form
        self._worker = os.getpid()
        self._each_request = level == "info"
        self._lines: list[str] = []
        """Still to be written."""

    def listen(self) -> None:
        """Write what is logged in this process, ours from the level on and libraries' warnings."""
        logging.basicConfig(handlers=[self], level=logging.WARNING, force=True)
        logging.getLogger("ruleengine").setLevel(self.level)

    def answered(self, exchange: Exchange) -> None:
        """Tell of a request, by the path as the document has it. For the event loop alone."""
        if not self._each_request:
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        method, route, status, seconds, key, request_id = exchange
        if method not in METHODS:
            method = "other"
        if self._form == "json":
            # Written out, since it is written most of all. Nothing in it is what JSON would escape.
            self._lines.append(
                f'{{"time": "{_now()}", "level": "info", "worker": {self._worker}, "request_id": "{request_id}", '
                f'"message": "request", "method": "{method}", "route": {_quoted(route)}, "status": {status}, '
                f'"milliseconds": {seconds * 1000:.3f}, "key": {_quoted(key)}}}'
            )
        else:
            facts = {"method": method, "route": route, "status": status, "milliseconds": round(seconds * 1000, 3)}
            self._lines.append(self._line("info", request_id, message="request", **facts, key=key))

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        trace = "".join(traceback.format_exception(error)) if error else None
        line = self._line(
            record.levelname.lower(),
            problems.REQUEST.get(None),
            message=record.getMessage(),
            logger=record.name,
            trace=trace,
        )
        self._lines.append(line)
        self.flush()

    def flush(self) -> None:
        """Write what is still to be written."""
        self.acquire()
        lines = self._lines[:]
        del self._lines[: len(lines)]  # Others may have been added meanwhile.
        try:
            self._stream.write("".join([f"{line}\n" for line in lines]))
            if not self._stream.line_buffering:
                self._stream.flush()
        except (OSError, ValueError):
            pass  # Nobody reads it any more; requests are answered all the same.
        finally:
            self.release()

    def _line(self, level: str, request_id: str | None, **facts: object) -> str:
        line = {"time": _now(), "level": level, "worker": self._worker, "request_id": request_id, **facts}
        told = {name: value for name, value in line.items() if value is not None}
        return json.dumps(told) if self._form == "json" else " ".join(f"{name}={told[name]}" for name in told)


def _quoted(text: str | None) -> str:
    return "null" if text is None else f'"{text}"'


def _now() -> str:
    seconds, rest = divmod(time.time(), 1)
    return f"{_second(seconds)}.{int(1000 * rest):03}+00:00"


@lru_cache(1)
def _second(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
