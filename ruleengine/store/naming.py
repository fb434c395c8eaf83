"""Whether a text that stays names a customer, who may want to be forgotten one day."""

import re
from collections.abc import Iterable, Mapping, Sequence

from ruleengine.diagnostics import codes
from ruleengine.store.records import Key
from ruleengine.store.refusals import RefusedError

_WORD = "[0-9A-Za-z]"


def pattern(customers: Iterable[Key]) -> re.Pattern[str]:
    """Finds these customers' keys in a text: not 17 in 2017, nor in 17a."""
    return re.compile("|".join(_alone(str(customer)) for customer in customers))


def _alone(key: str) -> str:
    before = f"(?<!{_WORD})" if re.match(_WORD, key) else ""
    after = f"(?!{_WORD})" if re.match(_WORD, key[-1:]) else ""
    return f"{before}{re.escape(key)}{after}"


def is_said(value: object, names: re.Pattern[str]) -> bool:
    """Whether something that is told, as JSON has it, names them."""
    match value:
        case Mapping():
            return any(is_said(each, names) for pair in value.items() for each in pair)
        case list() | tuple():
            return any(is_said(each, names) for each in value)
        case _:
            return names.search(str(value)) is not None


def unnamed(reasons: Sequence[str], names: re.Pattern[str]) -> list[str]:
    """Reasons without the keys that the words name."""
    return [names.sub("…", reason) for reason in reasons]


def refuse(reason: str, customers: Iterable[Key]) -> None:
    """Raise where a reason names one of them: it is part of the version, and can never be taken out of it."""
    for customer in customers:
        if str(customer) and pattern([customer]).search(reason):
            raise RefusedError(codes.reason_names_customer(None, customer=str(customer)))
