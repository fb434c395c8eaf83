"""Customers: what one of them has, or many at once.

Both are plain Starlette routes that splice the version into stored bytes; the document learns of them from routes of
FastAPI's, which serve nobody.
"""

import asyncio
from dataclasses import dataclass
from datetime import date
from json.encoder import encode_basestring
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.routing import BaseRoute, Route

from ruleengine.store.records import Answer, Answers, Key
from ruleengine.store.refusals import NotKeptError

from . import parameters, problems
from .access import Access
from .models.read import MOST_IDS, Batch, Customer, Customers
from .openapi import ETAG, OF_BODY, body_of, refusals
from .provenance import FRESH, Provenance, Published, dumped

CUSTOMER = "/v1/customers/{id}"
BATCH = "/v1/customers:batchGet"
AT_ONCE = 100
"""Customers of a batch between which other requests get their turn."""


Id = Annotated[str, Path(description="The customer's key, percent-encoded: `a/b` is `a%2Fb`.")]
Number = Annotated[
    int | None, Query(ge=1, description="A version, if not the current one. Old ones answer more slowly.")
]
AsOf = Annotated[
    date | None, Query(description="A day: the version that was in force on it answers. Not beside `version`.")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a request for one customer."""

    id: Id
    version: Number = None
    as_of: AsOf = None


class CustomerRoutes:
    def __init__(self, published: Published, access: Access) -> None:
        self._published = published
        self.routes: list[BaseRoute] = [
            Route("/v1/customers/{id:segment}", access.guarded("GET", CUSTOMER, self.read)),
            Route(BATCH, access.guarded("POST", BATCH, self.batch), methods=["POST"]),
        ]

    async def read(self, request: Request) -> Response:
        parameters.check(request, ("version", "as_of"))
        key: str = request.path_params["id"]
        number = parameters.version(request, self._published.store)
        answer = self._published.store.customer(key) if number is None else await self._in(key, number)
        provenance, document = self._published.of(answer.version), answer.document
        if document is None:
            said = f"No customer `{problems.short(key)}` is in version {answer.version}."
            raise problems.customer_unknown(provenance.members, message=said)
        return provenance.answered(request, lambda: content(key, provenance, document))

    async def _in(self, key: Key, number: int) -> Answer:
        """A customer in a version that need not be current."""
        try:
            answers = self._published.store.customers((key,), number)
        except NotKeptError:
            # Folded from files, which takes a while: not while everybody else waits.
            return await self._published.slowly(self._published.store.customer, key, number)
        return Answer(version=answers.version, document=answers.documents[0][1])

    async def batch(self, request: Request) -> Response:
        parameters.check(request, ())
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise problems.media_type_unsupported()
        try:
            asked = Batch.model_validate_json(await request.body())
        except ValidationError as error:
            raise problems.of_body(error.errors(include_url=False, include_input=False)) from None
        keys = list(dict.fromkeys(str(key) for key in asked.ids))
        answers = await self._many(keys)
        provenance = self._published.of(answers.version)
        known = b",".join(
            b'{"customer":%b,%b' % (dumped(key), document[1:])
            for key, document in answers.documents
            if document is not None
        )
        unknown = dumped([key for key, document in answers.documents if document is None])
        body = b'{%b,"customers":[%b],"unknown":%b}' % (provenance.head, known, unknown)
        return Response(body, headers=FRESH, media_type="application/json")

    async def _many(self, keys: list[str]) -> Answers:
        """All from one version, some at a time."""
        answers = self._published.store.customers(keys[:AT_ONCE])
        documents = list(answers.documents)
        for start in range(AT_ONCE, len(keys), AT_ONCE):
            await asyncio.sleep(0)
            more = self._published.store.customers(keys[start : start + AT_ONCE], answers.version)
            documents += more.documents
        return Answers(version=answers.version, documents=tuple(documents))

    def documented(self) -> list[BaseRoute]:
        """The same routes, as the document has them."""
        return [
            APIRoute(
                CUSTOMER,
                self.read,
                methods=["GET"],
                dependencies=[Depends(Asked)],
                response_model=Customer,
                operation_id="readCustomer",
                summary="What a customer has",
                description=(
                    "The tags, levels and values of one customer. One who is known and has no tag is 200 with none."
                ),
                tags=["read"],
                responses={
                    **ETAG,
                    **refusals(
                        problems.path_unreadable,
                        problems.parameter_unknown,
                        problems.parameter_invalid,
                        problems.customer_unknown,
                        problems.version_unknown,
                    ),
                },
            ),
            APIRoute(
                BATCH,
                self.batch,
                methods=["POST"],
                response_model=Customers,
                operation_id="readCustomers",
                summary="What many customers have",
                description=f"As for one, for at most {MOST_IDS:,} at once, all from the current version.",
                tags=["read"],
                responses=refusals(*OF_BODY),
                openapi_extra=body_of(Batch),
            ),
        ]


def content(key: str, provenance: Provenance, document: bytes) -> bytes:
    return b'{"customer":%b,%b,%b' % (encode_basestring(key).encode(), provenance.head, document[1:])
