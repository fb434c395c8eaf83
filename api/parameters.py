"""The parameters of a query, of which an unknown one is refused: it would otherwise ask for something else."""

import difflib
from collections.abc import Awaitable, Callable
from datetime import date

from fastapi import Request

from ruleengine.store.store import Store

from . import problems


def check(request: Request, known: tuple[str, ...]) -> None:
    """Refuse parameters that are not known, or given twice."""
    if not request.scope["query_string"]:
        return
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"`{near[0]}` might be meant." if near else f"Known: {', '.join(known) or 'none'}."
            raise problems.parameter_unknown(parameter=name, known=hint)
        if given.count(name) > 1:
            raise problems.parameter_invalid(parameter=name, wrong="is given more than once")


def only(*known: str) -> Callable[[Request], Awaitable[None]]:
    """`check` as a dependency."""

    async def checked(request: Request) -> None:
        check(request, known)

    return checked


def version(request: Request, store: Store) -> int | None:
    """The version that is asked for, if one is: by `version`, or by a day that it was in force on, as `as_of`."""
    if not request.scope["query_string"]:
        return None
    number, day = request.query_params.get("version"), request.query_params.get("as_of")
    if number is not None and day is not None:
        raise problems.parameter_invalid(parameter="as_of", wrong="cannot be given beside `version`")
    if number is not None:
        if not (number.isascii() and number.isdigit() and len(number) <= 15 and int(number) > 0):
            raise problems.parameter_invalid(parameter="version", wrong="must be a whole number, at least 1")
        return int(number)
    return None if day is None else _in_force(store, day)


def _in_force(store: Store, text: str) -> int:
    try:
        if not text.isascii() or len(text) != len("2026-03-31"):
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise problems.parameter_invalid(parameter="as_of", wrong="must be a day, such as 2026-03-31") from None
    found = store.in_force(day)
    if found is None:
        if store.current() is None:
            raise problems.nothing_published()
        raise problems.version_unknown(message=f"No version was in force on {day}.")
    return found.number
