"""Who has a tag, a level or a value, all from one version: page by page, or all in one stream."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from ruleengine.store.records import Page

from . import cursors, parameters, problems, streams
from .models.read import LevelCustomers, TagCustomers, ValueCustomers
from .openapi import ETAG, refusals
from .provenance import Provenance, Published, dumped

Limit = Annotated[int, Query(ge=1, le=1000, description="The most customers of one page; of no account in a stream.")]
After = Annotated[str | None, Query(description="`next_cursor` of the page before; it stays in that page's version.")]

_REFUSED = (
    problems.path_unreadable,
    problems.parameter_unknown,
    problems.parameter_invalid,
    problems.cursor_invalid,
    problems.version_not_kept,
)
_ASIDE = """\
Customers in the order of their keys, a page at a time. With `Accept: application/x-ndjson` all in one stream: a line
that says which version it comes from, then a line for each customer.
"""


def router(published: Published) -> APIRouter:
    routes = APIRouter(tags=["read"], dependencies=[Depends(parameters.only("limit", "cursor"))])

    @routes.get(
        "/v1/tags/{tag:segment}/customers",
        response_model=TagCustomers,
        operation_id="listTagCustomers",
        summary="Who has a tag",
        description=_ASIDE,
        responses=streams.described(streams.LINES, ETAG) | refusals(*_REFUSED, problems.tag_unknown),
    )
    async def tag_customers(request: Request, tag: str, limit: Limit = 100, cursor: After = None) -> Response:
        return _List(published, "tag", {"tag": tag}).answered(request, limit, cursor)

    @routes.get(
        "/v1/tiers/{tier:segment}/levels/{level:segment}/customers",
        response_model=LevelCustomers,
        operation_id="listLevelCustomers",
        summary="Who is on a level of a tier",
        description=_ASIDE,
        responses=streams.described(streams.LINES, ETAG)
        | refusals(*_REFUSED, problems.tier_unknown, problems.level_unknown),
    )
    async def level_customers(
        request: Request, tier: str, level: str, limit: Limit = 100, cursor: After = None
    ) -> Response:
        return _List(published, "tier", {"tier": tier, "level": level}).answered(request, limit, cursor)

    @routes.get(
        "/v1/classes/{class:segment}/values/{value:segment}/customers",
        response_model=ValueCustomers,
        operation_id="listValueCustomers",
        summary="Who has a value of a class",
        description=_ASIDE,
        responses=streams.described(streams.LINES, ETAG)
        | refusals(*_REFUSED, problems.class_unknown, problems.value_unknown),
    )
    async def value_customers(
        request: Request,
        class_: Annotated[str, Path(alias="class")],
        value: str,
        limit: Limit = 100,
        cursor: After = None,
    ) -> Response:
        return _List(published, "class", {"class": class_, "value": value}).answered(request, limit, cursor)

    return routes


class _List:
    """The customers of one tag, level or value."""

    def __init__(self, published: Published, kind: Literal["tag", "tier", "class"], names: dict[str, str]) -> None:
        self._published = published
        self._kind = kind
        self._names = names
        self._of = (kind, *names.values())

    def answered(self, request: Request, limit: int, cursor: str | None) -> Response:
        in_lines = streams.wants(request, streams.LINES)
        version, after = (None, None) if cursor is None else cursors.read(self._published, self._of, cursor)
        name, value = (*self._names.values(), None)[:2]
        assert name is not None
        page = self._published.store.members(
            self._kind, name, value, version=version, after=after, limit=streams.AT_ONCE if in_lines else limit
        )
        provenance = self._published.of(page.version)
        self._check(provenance)
        if in_lines:
            return streams.response(self._lines(provenance, page, name, value), streams.LINES)
        return provenance.answered(request, lambda: self._page(provenance, page))

    def _page(self, provenance: Provenance, page: Page) -> bytes:
        follows = None
        if page.next is not None:
            follows = cursors.written(self._published, self._of, page.version, page.next)
        customers = [{"customer": str(key)} for key in page.customers]
        return dumped({**self._names, **provenance.members, "customers": customers, "next_cursor": follows})

    async def _lines(self, provenance: Provenance, page: Page, name: str, value: str | None) -> AsyncIterator[bytes]:
        yield dumped({**self._names, **provenance.members}) + b"\n"
        while True:
            yield b"".join(dumped({"customer": str(key)}) + b"\n" for key in page.customers)
            if page.next is None:
                return
            await asyncio.sleep(0)
            page = self._published.store.members(
                self._kind, name, value, version=page.version, after=page.next, limit=streams.AT_ONCE
            )

    def _check(self, provenance: Provenance) -> None:
        """Refuse what the version has no rule for; what has one and no customers is an empty page."""
        counts, names = provenance.counts, self._names
        facts: dict[str, str | int] = {**names, "version": provenance.version.number}
        if self._kind == "tag":
            if names["tag"] not in counts.tags:
                raise problems.tag_unknown(provenance.members, **facts)
            return
        tier = self._kind == "tier"
        ladders = counts.tiers if tier else counts.classes
        if names[self._kind] not in ladders:
            raise (problems.tier_unknown if tier else problems.class_unknown)(provenance.members, **facts)
        if names["level" if tier else "value"] not in ladders[names[self._kind]]:
            raise (problems.level_unknown if tier else problems.value_unknown)(provenance.members, **facts)
