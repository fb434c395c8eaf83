"""Segments of paths, as they were sent."""

import re
from urllib.parse import quote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor

from . import problems

_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


def decoded(segment: str) -> str:
    """A segment decoded once: `a%2Fb` is `a/b`, and `a%252Fb` is `a%2Fb`."""
    if "%" not in segment and segment.isascii():
        return segment
    try:
        if _STRAY_PERCENT.search(segment):
            raise ValueError
        return unquote_to_bytes(segment.encode("latin-1")).decode()
    except ValueError:
        raise problems.path_unreadable(segment=segment) from None


class _Segment(Convertor[str]):
    """One segment of a path, as routes ask for it."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return decoded(value)

    def to_string(self, value: str) -> str:
        return quote(value, safe="")


register_url_convertor("segment", _Segment())
