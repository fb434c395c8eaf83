"""The parameters of a query, of which an unknown one is refused: it would otherwise ask for something else."""

import difflib
from collections.abc import Awaitable, Callable

from fastapi import Request

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


def version(request: Request) -> int | None:
    """The number of the version that is asked for, if one is."""
    text = request.query_params.get("version")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) > 0):
        raise problems.parameter_invalid(parameter="version", wrong="must be a whole number, at least 1")
    return int(text)
