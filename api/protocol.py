"""HTTP/1.1 as the server speaks it: uvicorn's over llhttp, with ends to waiting, and problems for what is no request.

A request that `edge.Quick` answers never becomes a task: it is answered in the moment that its head is read.
"""

import asyncio
import secrets
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from . import edge, problems
from .aside import Aside
from .edge import lines

LARGEST_HEAD = 1 << 15
"""Bytes of a request line and its headers, above which they are refused."""
VERSIONS = ("1.0", "1.1")


def speaking(app: edge.Edge | Aside) -> Callable[..., asyncio.Protocol]:
    """What uvicorn makes for each connection."""
    return partial(Protocol, app.quick)


class Protocol(HttpToolsProtocol):
    """Closes a connection whose client owes the rest of a request for too long.

    What is owed of a request that is being answered is its body, for which the edge sets an end.
    """

    def __init__(self, quick: edge.Quick | None, **settings: Any) -> None:
        super().__init__(**settings)
        self._quick = quick
        self._end: asyncio.TimerHandle | None = None
        self._owes = True
        """Whether a request has begun and is not whole. Whoever connects owes the first one."""
        self._in_head = False
        self._bytes = 0
        """That came since the last request was whole; those that came together with its end left aside."""
        self._is_answered = False
        """Whether the request whose head was read last is answered already."""

    # -- what is owed ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._owes = True
        self._bytes += len(data)
        super().data_received(data)
        if self._in_head and self._bytes > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse(problems.head_too_large())
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._watch()

    def _watch(self) -> None:
        if not self._owes or self.transport.is_closing() or self._is_answering():
            if self._end is not None:
                self._end.cancel()
                self._end = None
        elif self._end is None:
            self._end = self.loop.call_later(edge.LONGEST_WAIT, self.transport.close)

    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    # -- the parts of a request ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._in_head = self._owes = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # What comes after a body was never looked at.
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        version = self.parser.get_http_version()
        is_plain = version == "1.1" and self.parser.should_keep_alive() and not self.parser.should_upgrade()
        self._is_answered = is_plain and self._answered_at_once()
        if self._is_answered:
            super().on_response_complete()
            return
        if self._bytes > LARGEST_HEAD and len(self.url) + sum(len(n) + len(v) for n, v in self.headers) > LARGEST_HEAD:
            raise problems.head_too_large()
        hosts = [value for name, value in self.headers if name == b"host"]
        if version not in VERSIONS or len(hosts) > 1 or (version == "1.1" and not hosts):
            raise problems.request_unreadable()
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # What follows may not be HTTP/1.1.

    def on_message_complete(self) -> None:
        self._owes = False
        self._bytes = 0
        if not self._is_answered:
            super().on_message_complete()

    def _answered_at_once(self) -> bool:
        if self._quick is None or self._is_answering() or self.flow.write_paused or self.parser.get_method() != b"GET":
            return False
        answer = self._quick(self.url, self.headers, self.server_state.default_headers)
        if answer is None:
            return False
        self.transport.write(answer)
        return True

    # -- what is no request ----------------------------------------------------------------------------------

    def _unsupported_upgrade_warning(self) -> None:
        pass  # It is answered as if it had not asked to go on otherwise (RFC 9110, 7.8).

    def send_400_response(self, msg: str) -> None:
        error = sys.exception()
        cause = error.__context__ if error is not None else None
        self._refuse(cause if isinstance(cause, problems.Refused) else problems.request_unreadable())

    def _refuse(self, refused: problems.Refused) -> None:
        if self._is_answering():
            self.transport.close()  # It would be taken for the answer that is still to come.
            return
        request_id = secrets.token_hex(8)
        token = problems.REQUEST.set(request_id)
        response = problems.response(refused)
        problems.REQUEST.reset(token)
        headers = [*response.raw_headers, *edge.always(request_id.encode()), (b"connection", b"close")]
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[response.status_code], lines(headers), bytes(response.body)))
        self.transport.close()
