"""A wire to the tests' server that is cut where a test says: it knows what a statement is."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from psycopg import conninfo

Where = Literal["before", "answer", "amid", "ended"]
"""Before the server has heard of a statement; when it is done, and nobody is told; amid its answer; by the server."""
STATEMENT = b"QSdc"
"""What a client says that the server acts on at once: a query, the end of a prepared one, a piece of COPY, its end."""


class Wire:
    """Forwards connections, and counts what clients say on all of them, or on one. Cuts the one that says the nth."""

    def __init__(self, server: str, end: Callable[[], object]) -> None:
        self.end = end
        """Has the server end every connection."""
        found = conninfo.conninfo_to_dict(server)
        self._host, self._port = str(found.get("host") or "localhost"), int(found.get("port") or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.heard: list[bytes] = []
        """What was said, of each the SQL."""
        self.cut_at = 0
        """0: nowhere."""
        self.after = b""
        self._one: object = None
        """The connection that is listened to. None: all."""
        self.where: Where = "before"
        self.for_good = False
        """Once cut, nobody is connected any more."""
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self, address: str) -> str:
        """An address of the server, by way of this wire."""
        _, port = self._listener.getsockname()
        return conninfo.make_conninfo(address, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable")

    def begin(self, cut_at: int = 0, where: Where = "before", after: bytes = b"") -> None:
        """`after` the first statement that has this in it, and from its place on, of what is said where that was."""
        self.heard, self.cut_at, self.where, self.after, self._one = [], cut_at, where, after, None

    @property
    def was_cut(self) -> bool:
        return 0 < self.cut_at <= len(self.heard)

    def cut(self) -> None:
        """Every connection, now."""
        with self._lock:
            for each in self._open:
                _end(each)

    def close(self) -> None:
        _end(self._listener)  # or else its thread goes on accepting, for whoever is given the same number next
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.for_good and self.was_cut:
                client.close()
                continue
            server = self._reach()
            with self._lock:
                self._open |= {client, server}
            one = _Connection(self, client, server)
            threading.Thread(target=one.there, daemon=True).start()
            threading.Thread(target=one.back, daemon=True).start()

    def _reach(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        made = socket.socket(socket.AF_UNIX)
        made.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return made

    def hear(self, sql: bytes, connection: object) -> bool:
        """Whether the connection is to be cut here."""
        with self._lock:
            if self.after and self._one is None and self.after in sql:
                self._one = connection
            if self.after and connection is not self._one:
                return False
            self.heard.append(sql)
            return len(self.heard) == self.cut_at


class _Connection:
    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self.wire, self.client, self.server = wire, client, server
        self._cut: Where | None = None

    def there(self) -> None:
        with suppress(OSError), self.client.makefile("rb") as said:
            self.server.sendall(_begun(said.read))
            sql = b""
            while kind := said.read(1):
                length = said.read(4)
                message = kind + length + said.read(int.from_bytes(length) - 4)
                sql = message if kind in b"QP" else sql
                if kind in STATEMENT and self.wire.hear(sql, self):
                    if self.wire.where == "before":
                        break
                    if self.wire.where == "ended":
                        self.wire.end()
                    else:
                        self._cut = self.wire.where
                self.server.sendall(message)
        self._end()

    def back(self) -> None:
        with suppress(OSError):
            while answer := self.server.recv(1 << 16):
                if self._cut is not None:
                    self.client.sendall(answer[: len(answer) // 2] if self._cut == "amid" else b"")
                    break
                self.client.sendall(answer)
        self._end()

    def _end(self) -> None:
        _end(self.client)
        _end(self.server)


def _begun(read: Callable[[int], bytes]) -> bytes:
    """The first message, which has no kind."""
    length = read(4)
    return length + read(int.from_bytes(length) - 4)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(server: str, end: Callable[[], object] = lambda: None) -> Iterator[Wire]:
    made = Wire(server, end)
    try:
        yield made
    finally:
        made.close()
