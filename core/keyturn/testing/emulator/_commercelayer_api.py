"""Commerce Layer's markets and SKUs, by its pages on fetching resources and on errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs

from keyturn.testing._messages import json_response
from keyturn.testing.emulator._products import PRODUCTS, SINCE, InvalidParameter, Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyturn.testing._messages import ReceivedRequest, Response

BASE = "/api"
# No client has permission to read them.
_FORBIDDEN = "webhooks"
_MEDIA_TYPE = "application/vnd.api+json"
# https://docs.commercelayer.io/core/fetching-resources
_MAX_PAGE_SIZE = 25
_SKU = {"pieces_per_pack": 1, "do_not_ship": False, "do_not_track": False}
_COMMON: dict[str, Any] = {
    "created_at": SINCE,
    "updated_at": SINCE,
    "reference": None,
    "metadata": {},
}


@attrs.frozen
class Market:
    """A market.

    Args:
        code: Its code.
        id: Its ID.
        sold: How many of the products are sold in it, from the first one.
        stock_locations: Its stock locations, by code and by ID.
        enabled: Whether it is in use.
    """

    code: str
    id: str
    sold: int
    stock_locations: frozenset[str]
    enabled: bool = True


MARKETS = (
    Market("europe", "xYZkjABcde", 24, frozenset({"code:eu_warehouse", "id:WLgbSXqyoZ"})),
    Market("usa", "mrYUsaAbcD", 16, frozenset({"code:us_warehouse", "id:nYUsaWareZ"})),
    Market("closed", "nOdIsabled", 0, frozenset(), enabled=False),
)


def own_resource(
    path: str, organization: Mapping[str, Any], application: Mapping[str, str]
) -> Response | None:
    """Return what a client may read about itself, or None at another path.

    The vendor's command line reads both resources when it logs in.

    Args:
        path: The path of the request.
        organization: The claim on the organization in the client's tokens.
        application: ID and kind of the client.
    """
    kind = application["kind"]
    attributes: dict[str, tuple[str, dict[str, Any]]] = {
        "organization": (organization["id"], {"name": "Emulated", "slug": organization["slug"]}),
        "application": (application["id"], {"name": f"Emulated {kind}", "kind": kind}),
    }
    name = path.removeprefix(f"{BASE}/")
    if name not in attributes:
        return None
    identifier, own = attributes[name]
    data = {"id": identifier, "type": f"{name}s", "attributes": own | _COMMON}
    return json_response(200, {"data": data}, _MEDIA_TYPE)


def _resources(markets: Sequence[Market]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the attributes of the API's resources, by type and ID.

    Args:
        markets: The markets in the token's scope; without any, all products are sold.
    """
    sold = max((market.sold for market in markets), default=len(PRODUCTS))
    return {
        "markets": {each.id: {"code": each.code, "name": each.code.title()} for each in MARKETS},
        "skus": {
            f"sKu{product.number:07}": {"code": product.code, "name": product.name, **_SKU}
            for product in PRODUCTS[:sold]
        },
    }


def respond(request: ReceivedRequest, url: str, markets: Sequence[Market]) -> Response | None:
    """Return the response to a request with a valid token, or None if there is no such path."""
    kind, _, identifier = request.path.removeprefix(f"{BASE}/").rstrip("/").partition("/")
    if kind == _FORBIDDEN:
        return unauthorized("UNAUTHORIZED", "The client has no permission for this resource.")
    found = _resources(markets).get(kind)
    if found is None:
        return None
    place = f"{url}{BASE}/{kind}"
    items = [
        {
            "id": each,
            "type": kind,
            "links": {"self": f"{place}/{each}"},
            "attributes": attributes | _COMMON,
            "meta": {"mode": "test"},
        }
        for each, attributes in found.items()
    ]
    if identifier:
        return _one(items, identifier)
    try:
        page = Page.asked(request, items, _MAX_PAGE_SIZE)
    except InvalidParameter as error:
        return _error(400, "INVALID_PAGE_VALUE", "Invalid page value", _page_detail(error))
    counts = {"record_count": page.total, "page_count": page.count}
    document = {"data": page.items, "meta": counts, "links": page.links(place)}
    return json_response(200, document, _MEDIA_TYPE)


def _one(items: Sequence[dict[str, Any]], identifier: str) -> Response:
    for item in items:
        if item["id"] == identifier:
            return json_response(200, {"data": item}, _MEDIA_TYPE)
    detail = f"The record identified by {identifier} could not be found."
    return _error(404, "RECORD_NOT_FOUND", "Record not found", detail)


def _page_detail(error: InvalidParameter) -> str:
    return f"{error.value} is not a valid value for {error.name} page parameter."


def _error(status: int, code: str, title: str, detail: str) -> Response:
    error = {"title": title, "detail": detail, "code": code, "status": str(status)}
    return json_response(status, {"errors": [error]}, _MEDIA_TYPE)


def unauthorized(code: Literal["INVALID_TOKEN", "UNAUTHORIZED"], detail: str) -> Response:
    """Return the API's 401: a new token helps against the first of the codes only."""
    response = _error(401, code, "Unauthorized", detail)
    # RFC 6750 section 3.1
    kind = "invalid_token" if code == "INVALID_TOKEN" else "insufficient_scope"
    challenge = {"WWW-Authenticate": f'Bearer error="{kind}"'}
    return attrs.evolve(response, headers={**response.headers, **challenge})
