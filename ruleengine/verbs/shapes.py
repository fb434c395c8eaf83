"""Answers of verbs as JSON: the fields of their dataclasses, by name."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from ruleengine.diagnostics.problem import Problem


def as_json(value: Any) -> Any:
    """Dates as ISO text, numbers that are not whole as text; problems are left to the renderer."""
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | str() | float():
            return value
        case datetime():
            return value.isoformat()
        case date():
            return value.isoformat()
        case Decimal() | Path():
            return str(value)
        case Mapping():
            return {str(key): as_json(item) for key, item in value.items()}
        case list() | tuple():
            return [as_json(item) for item in value if not isinstance(item, Problem)]
        case _ if is_dataclass(value):
            return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
        case _:
            raise TypeError(f"no JSON for {type(value).__name__}")
