"""The shapes of bodies, by group. Answers are written straight from what is stored: theirs are for the document."""

from collections.abc import Iterator

from pydantic import BaseModel

from . import author, common, jobs, operate, read, write


def every() -> Iterator[type[BaseModel]]:
    """Every model of every group."""
    for module in (common, read, write, operate, author, jobs):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, BaseModel):
                yield value
