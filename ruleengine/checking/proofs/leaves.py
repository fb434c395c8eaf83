"""What terms read, and terms that are made but once."""

from collections.abc import Callable
from typing import Any, TypeVar

from ruleengine.checking.proofs.world import Leaf, Term, World, Worth
from ruleengine.types import Type

T = TypeVar("T")


class Leaves:
    """Leaves by what they stand for. Whatever is made within `gathered` has its leaves gathered there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._leaves: dict[Any, Leaf] = {}
        self._made: dict[Any, tuple[Any, dict[Leaf, None]]] = {}
        self._reading: dict[Leaf, None] = {}

    def gathered(self, make: Callable[[], T]) -> tuple[T, dict[Leaf, None]]:
        """What is made, and all that it reads."""
        before, self._reading = self._reading, {}
        try:
            return make(), self._reading
        finally:
            self._reading = before

    def remembered(self, key: Any, make: Callable[[], T]) -> tuple[T, dict[Leaf, None]]:
        """As `gathered`, of something that is made once."""
        if key not in self._made:
            self._made[key] = self.gathered(make)
        return self._made[key]

    def shared(self, key: Any, make: Callable[[], T]) -> T:
        """As `remembered`, of a part of what is made just now."""
        made, leaves = self.remembered(key, make)
        self._reading.update(leaves)
        return made

    def shared_if_small(self, key: Any, make: Callable[[], T], most: int) -> T | None:
        """As `shared`; None where it reads more than so many leaves."""
        _, leaves = self.remembered(key, make)
        return self.shared(key, make) if len(leaves) <= most else None

    def leaf(self, key: Any, make: Callable[[], Leaf]) -> Worth:
        if key not in self._leaves:
            self._leaves[key] = make()
        leaf = self._leaves[key]
        self._reading[leaf] = None
        return leaf.worth

    def unknown(self, key: Any, type: Type, missing: Term, facts: Callable[[Term], list[Term]] | None = None) -> Worth:
        """A value of which nothing is known but that it is always the same one, and perhaps some bounds."""

        def make() -> Leaf:
            value = self._world.variable(type)
            return Leaf(Worth(value, missing), facts(value) if facts else [], free=False)

        return self.leaf(key, make)
