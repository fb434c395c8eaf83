"""HTTP/1.1 as the server speaks it: uvicorn's, with ends to waiting, and with problems for what is no request."""

import asyncio
import secrets
import sys

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from . import edge, problems

LARGEST_HEAD = 1 << 15
"""Bytes of a request line and its headers, above which a head that is not complete is refused."""


class Protocol(H11Protocol):
    """Closes a connection whose client owes the rest of a request for too long.

    What is owed of a request that is being answered is its body, for which the edge sets an end.
    """

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # uvicorn says so of what is None at first
    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._watch()

    def _watch(self) -> None:
        if not self._owes():
            if self._end is not None:
                self._end.cancel()
                self._end = None
        elif self._end is None:
            self._end = self.loop.call_later(edge.LONGEST_WAIT, self.transport.close)

    def _owes(self) -> bool:
        if self.transport.is_closing() or not (self.cycle is None or self.cycle.response_complete):
            return False
        if self.conn.their_state is h11.IDLE:
            # Between requests there is nothing owed: uvicorn ends that after its own time.
            return self.cycle is None or bool(self.conn.trailing_data[0])
        return self.conn.their_state is h11.SEND_BODY

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # It would be taken for the answer that is still to come.
            return
        error = sys.exception()
        too_large = isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431
        request_id = secrets.token_hex(8)
        token = problems.REQUEST.set(request_id)
        response = problems.response(problems.head_too_large() if too_large else problems.request_unreadable())
        problems.REQUEST.reset(token)
        headers = [*response.raw_headers, *edge.always(request_id.encode()), (b"connection", b"close")]
        for event in (
            h11.Response(status_code=response.status_code, headers=headers),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
