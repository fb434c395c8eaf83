"""Customers who were forgotten: a run knows them by a hash, and leaves them out of whatever it reads."""

from collections.abc import Set
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Everybody who was forgotten in a store."""

    secret: str
    """64 hex digits, of this store alone: without them nobody can tell whose a hash is by trying keys."""
    hashes: Set[str]

    def hash(self, customer: int | str) -> str:
        """SHA-256 over the secret and the customer's key as text, both in UTF-8; as hex."""
        return sha256(f"{self.secret}{customer}".encode()).hexdigest()

    def __contains__(self, customer: int | str) -> bool:
        return self.hash(customer) in self.hashes


NOBODY = Forgotten("", frozenset())
