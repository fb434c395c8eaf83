"""A customer's document, made of what he holds."""

import json
from collections.abc import Sequence
from datetime import date


def rendered(held: Sequence[tuple[str | None, str, str, date]]) -> bytes:
    """The bytes of `records.Answer`, of rows of kind, name, value and since in the order of names; one without a kind
    stands for a customer who holds nothing."""
    tags, tiers, classes = [], {}, {}
    for kind, name, value, since in held:
        if kind == "tag":
            tags.append({"name": name, "since": since.isoformat()})
        elif kind == "tier":
            tiers[name] = {"level": value, "since": since.isoformat()}
        elif kind == "class":
            classes[name] = {"value": value, "since": since.isoformat()}
    document = {"tags": tags, "tiers": tiers, "classes": classes}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
