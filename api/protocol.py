"""HTTP/1.1 as the server speaks it: uvicorn's over llhttp, with ends to waiting, and problems for what is no request.

A request that `edge.Quick` answers never becomes a task: it is answered in the moment that its head is read.
"""

import asyncio
import math
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import httptools
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
    """Closes a connection whose client owes the rest of a request for too long, or asks nothing more.

    What is owed of a request that is being answered is its body, for which the edge sets an end.
    """

    def __init__(self, quick: edge.Quick | None, **settings: Any) -> None:
        super().__init__(**settings)
        self._quick = quick
        self._owes = True
        """Whether a request has begun and is not whole. Whoever connects owes the first one."""
        self._in_head = False
        self._bytes = 0
        """That came since the last request was whole; those that came together with its end left aside."""
        self._is_answered = False
        """Whether the request whose head was read last is answered already."""
        self._until: float | None = None
        """When the connection is closed, by the loop's clock. None: it is yet to be said."""
        self._look: asyncio.TimerHandle | None = None

    # -- how long a client is waited for ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if not self._owes:
            self._owes, self._until = True, None
        self._bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # It is answered as if it had not asked to go on otherwise (RFC 9110, 7.8).
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, problems.Refused) else problems.request_unreadable())
        else:
            if self._in_head and self._bytes > LARGEST_HEAD:
                self._refuse(problems.head_too_large())
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self._until = None
        self._watch()

    def _watch(self) -> None:
        """Look again when the client's time is over. Mostly it has more by then, and the look is put off."""
        if self._until is None:
            if self._is_answering():
                self._until = math.inf
            else:
                self._until = self.loop.time() + (edge.LONGEST_WAIT if self._owes else self.timeout_keep_alive)
        if self._look is not None and self._look.when() > self._until:
            self._look.cancel()
            self._look = None
        if self._look is None and self._until < math.inf:
            self._look = self.loop.call_at(self._until, self._looked)

    def _looked(self) -> None:
        self._look = None
        if self._until is not None and self.loop.time() >= self._until:
            self.transport.close()
        elif not self.transport.is_closing():
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._look is not None:
            self._look.cancel()

    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    # -- the parts of a request ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._in_head = self._owes = True
        self.url, self.headers = b"", []  # What else belongs to a request most of them do without.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # What comes after a body was never looked at.
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head, self._until = False, None
        version = self.parser.get_http_version()
        is_plain = version == "1.1" and self.parser.should_keep_alive() and not self.parser.should_upgrade()
        self._is_answered = is_plain and self._answered_at_once()
        if self._is_answered:
            return
        if self._bytes > LARGEST_HEAD and len(self.url) + sum(len(n) + len(v) for n, v in self.headers) > LARGEST_HEAD:
            raise problems.head_too_large()
        hosts = [value for name, value in self.headers if name == b"host"]
        if version not in VERSIONS or len(hosts) > 1 or (version == "1.1" and not hosts):
            raise problems.request_unreadable()
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # What follows may not be HTTP/1.1.

    def on_message_complete(self) -> None:
        self._owes, self._until, self._bytes = False, None, 0
        if not self._is_answered:
            super().on_message_complete()

    def _answered_at_once(self) -> bool:
        if self._quick is None or self._is_answering() or self.flow.write_paused or self.parser.get_method() != b"GET":
            return False
        answer = self._quick(self.url, self.headers, self.server_state.default_headers)
        if answer is None:
            return False
        self.transport.write(answer)
        self.server_state.total_requests += 1
        return True

    # -- what is no request ----------------------------------------------------------------------------------

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
