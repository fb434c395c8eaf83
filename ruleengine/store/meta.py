"""What a store says of itself, in the table `meta`: its format, and whose answers it keeps."""

from collections.abc import Mapping

from ruleengine.diagnostics import codes
from ruleengine.store.records import Identity
from ruleengine.store.refusals import StoreUnusableError
from ruleengine.store.versions import LANGUAGE


def of(identity: Identity, format: int) -> dict[str, str]:
    """The rows of a new store, by name."""
    return {
        "format": str(format),
        "language": str(LANGUAGE),
        "ruleset": identity.ruleset,
        "entity": identity.entity,
        "key_type": identity.key_type,
    }


def identity(meta: Mapping[str, str]) -> Identity:
    return Identity(ruleset=meta["ruleset"], entity=meta["entity"], key_type=meta["key_type"])


def refuse_newer(meta: Mapping[str, str], format: int) -> None:
    """Raise where a later version of this program wrote the store, which knows formats up to this one."""
    for name, known, code in (
        ("format", format, codes.store_format_newer),
        ("language", LANGUAGE, codes.store_language_newer),
    ):
        if int(meta[name]) > known:
            raise StoreUnusableError(code(None, found=int(meta[name]), known=known))
