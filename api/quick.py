"""What most requests are, from the parsed head to the bytes of the answer: one customer in the current version.

It means what `edge` and `CustomerRoutes.read` mean together, without the layers in between. Whatever is not that plain,
or cannot be answered, goes the ordinary way, which tells why.
"""

import re
import time
from collections.abc import Iterable, Sequence

from . import paths
from .access import SCOPES, Access, is_good_for
from .customers import CUSTOMER, content
from .edge import SECURITY, Answered, Exchange, Header, id_of, lines, names_this_machine
from .provenance import Provenance, Published

_TARGET = re.compile(rb"/v1/customers/([^\x00-\x20#/?\x7f-\xff]+)")
_UNUSUAL = frozenset((b"content-length", b"expect", b"transfer-encoding"))
"""Headers of a request that is more than its head."""


class QuickRead:
    """See `edge.Quick`."""

    def __init__(self, published: Published, access: Access, answered: Sequence[Answered], *, local: bool) -> None:
        self._published = published
        self._access = access
        self._answered = answered
        self._local = local
        self._needed = SCOPES["GET", CUSTOMER]
        self._lines = ("", b"")
        """Headers of each answer from the version with this ETag."""

    def __call__(self, target: bytes, headers: Sequence[Header], further: Iterable[Header]) -> bytes | None:
        began = time.perf_counter()
        asked, given = _TARGET.fullmatch(target), dict(headers)
        if asked is None or len(given) < len(headers) or b"host" not in given or not _UNUSUAL.isdisjoint(given):
            return None
        if self._local and not names_this_machine(given[b"host"]):
            return None
        key = None
        try:
            if not self._access.is_open():
                key = self._access.remembered(given.get(b"authorization", b""))
                if key is None or not is_good_for(key, self._needed):
                    return None
            customer = paths.decoded(asked[1].decode())
            found = self._published.store.customer(customer)
            if found.document is None:
                return None
            provenance = self._published.of(found.version)
        except Exception:
            return None  # The ordinary way comes upon it, too.
        if key is not None and self._access.wait(key):
            return None
        request_id = id_of(given)
        head = b"%b%bx-request-id: %b\r\n" % (lines(further), self._of_version(provenance), request_id)
        known = given.get(b"if-none-match")
        if known is not None and provenance.is_known_by(known):
            status, answer = 304, b"HTTP/1.1 304 Not Modified\r\n%b\r\n" % head
        else:
            body = content(customer, provenance, found.document)
            form = b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            status, answer = 200, form % (head, len(body), body)
        seconds = time.perf_counter() - began
        exchange = Exchange("GET", CUSTOMER, status, seconds, key.id if key is not None else None, request_id.decode())
        for each in self._answered:
            each(exchange)
        return answer

    def _of_version(self, provenance: Provenance) -> bytes:
        etag, found = self._lines
        if etag != provenance.etag:
            found = lines((*provenance.headers, *SECURITY))
            self._lines = (provenance.etag, found)
        return found
