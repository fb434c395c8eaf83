"""Who has a tag, a level or a value: pages of customers, all from one version."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from ruleengine.store.refusals import NotThereError

from . import cursors, parameters, problems
from .cursors import Cursor
from .models import LevelCustomers, TagCustomers, ValueCustomers
from .openapi import refusals
from .provenance import FRESH, Provenance, Published, dumped

Limit = Annotated[int, Query(ge=1, le=1000, description="The most customers of one page.")]
After = Annotated[str | None, Query(description="`next_cursor` of the page before; it stays in that page's version.")]

_REFUSED = (
    problems.path_unreadable,
    problems.parameter_unknown,
    problems.parameter_invalid,
    problems.cursor_invalid,
    problems.version_not_kept,
)


def router(published: Published) -> APIRouter:
    routes = APIRouter(tags=["read"], dependencies=[Depends(parameters.only("limit", "cursor"))])

    @routes.get(
        "/v1/tags/{tag:segment}/customers",
        response_model=TagCustomers,
        operation_id="listTagCustomers",
        summary="Who has a tag",
        responses=refusals(*_REFUSED, problems.tag_unknown),
    )
    async def tag_customers(tag: str, limit: Limit = 100, cursor: After = None) -> Response:
        return _page(published, "tag", {"tag": tag}, limit, cursor)

    @routes.get(
        "/v1/tiers/{tier:segment}/levels/{level:segment}/customers",
        response_model=LevelCustomers,
        operation_id="listLevelCustomers",
        summary="Who is on a level of a tier",
        responses=refusals(*_REFUSED, problems.tier_unknown, problems.level_unknown),
    )
    async def level_customers(tier: str, level: str, limit: Limit = 100, cursor: After = None) -> Response:
        return _page(published, "tier", {"tier": tier, "level": level}, limit, cursor)

    @routes.get(
        "/v1/classes/{class:segment}/values/{value:segment}/customers",
        response_model=ValueCustomers,
        operation_id="listValueCustomers",
        summary="Who has a value of a class",
        responses=refusals(*_REFUSED, problems.class_unknown, problems.value_unknown),
    )
    async def value_customers(
        class_: Annotated[str, Path(alias="class")], value: str, limit: Limit = 100, cursor: After = None
    ) -> Response:
        return _page(published, "class", {"class": class_, "value": value}, limit, cursor)

    return routes


def _page(
    published: Published, kind: Literal["tag", "tier", "class"], names: dict[str, str], limit: int, cursor: str | None
) -> Response:
    of = (kind, *names.values())
    name, value = (*names.values(), None)[:2]
    assert name is not None
    start = None if cursor is None else cursors.read(cursor, of)
    if start is not None and not _is_ours(published, start):
        raise problems.version_not_kept(message=f"Version {start.version} of the cursor is not in this store any more.")
    page = published.store.members(
        kind,
        name,
        value,
        version=start.version if start else None,
        after=start.after if start else None,
        limit=limit,
    )
    provenance = published.of(page.version)
    _check(provenance, kind, names)
    last = page.next
    follows = None
    if last is not None:
        follows = cursors.written(Cursor(version=page.version, hash=_mark(provenance), after=last), of)
    customers = [{"customer": str(key)} for key in page.customers]
    body = {**names, **provenance.members, "customers": customers, "next_cursor": follows}
    return Response(dumped(body), headers=FRESH, media_type="application/json")


def _check(provenance: Provenance, kind: Literal["tag", "tier", "class"], names: dict[str, str]) -> None:
    """Refuse what the version has no rule for; what has one and no customers is an empty page."""
    counts = provenance.counts
    facts: dict[str, str | int] = {**names, "version": provenance.version.number}
    if kind == "tag":
        if names["tag"] not in counts.tags:
            raise problems.tag_unknown(provenance.members, **facts)
        return
    tier = kind == "tier"
    ladders = counts.tiers if tier else counts.classes
    if names[kind] not in ladders:
        raise (problems.tier_unknown if tier else problems.class_unknown)(provenance.members, **facts)
    if names["level" if tier else "value"] not in ladders[names[kind]]:
        raise (problems.level_unknown if tier else problems.value_unknown)(provenance.members, **facts)


def _is_ours(published: Published, cursor: Cursor) -> bool:
    """Whether the cursor's version is in this store, and not only one of its number in an earlier store."""
    try:
        return _mark(published.of(cursor.version)) == cursor.hash
    except NotThereError:
        return False


def _mark(provenance: Provenance) -> str:
    return provenance.version.hash[:12]
