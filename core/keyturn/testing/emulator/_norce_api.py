"""Norce's products: the Query API (OData 4, read only), and Storm's ProductService."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from keyturn.testing._messages import json_response
from keyturn.testing.emulator._products import (
    MOST,
    PRODUCTS,
    SINCE,
    InvalidParameter,
    integer,
    query,
)

if TYPE_CHECKING:
    from keyturn.testing._messages import ReceivedRequest, Response

QUERY = "/commerce/query/2.0/Products"
LIST_PRODUCTS = "/1.1/ProductService.svc/rest/ListProducts2"
# The real server's pages have 500 entities.
_PAGE = 10
_TIMES = {"Created": SINCE, "CreatedBy": 1}
_SETS: dict[str, dict[str, dict[str, Any]]] = {
    # By key, in the form of a URL.
    "Products": {
        str(product.number): {
            "Id": product.number,
            "ClientId": 1,
            "ManufacturerPartNo": product.code,
            "DefaultName": product.name,
            "IsActive": True,
            **_TIMES,
        }
        for product in PRODUCTS
    },
    "ProductSkus": {
        f"'{product.code}'": {
            "PartNo": product.code,
            "ClientId": 1,
            "ProductId": product.number,
            "StatusId": 1,
            "ErpName": product.name,
            **_TIMES,
        }
        for product in PRODUCTS
    },
}


def is_query(request: ReceivedRequest) -> bool:
    """Return whether a request is one to the Query API, whose paths are case-insensitive."""
    return request.path.lower().startswith(f"{QUERY.lower()}/")


def entities(request: ReceivedRequest, url: str) -> Response | None:
    """Return entities of the Query API, or None if it has no such set or key."""
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", request.path[len(QUERY) + 1 :])
    names = {name.lower(): name for name in _SETS}
    if match is None or match[1].lower() not in names:
        return None
    name, key = names[match[1].lower()], match[2]
    if key is not None:
        return json_response(200, _SETS[name][key]) if key in _SETS[name] else None
    try:
        return json_response(200, _entity_set(request, f"{url}{QUERY}", name))
    except InvalidParameter as error:
        message = f"The query option {error.name} can't be {error.value!r}."
        return json_response(400, {"error": {"code": "", "message": message}})


def _entity_set(request: ReceivedRequest, place: str, name: str) -> dict[str, Any]:
    options, found = query(request), list(_SETS[name].values())
    for option, value in options.items():
        if option not in {"$skip", "$top"}:
            raise InvalidParameter(option, value)
    skip = integer(options, "$skip", 0, 0, MOST)
    top = integer(options, "$top", len(found), 0, MOST)
    wanted = found[skip : skip + top]
    body: dict[str, Any] = {
        "@odata.context": f"{place}/$metadata#{name}",
        "value": wanted[:_PAGE],
    }
    if len(wanted) > _PAGE:
        rest = f"&$top={top - _PAGE}" if "$top" in options else ""
        body["@odata.nextLink"] = f"{place}/{name}?$skip={skip + _PAGE}{rest}"
    return body


def listed_products(request: ReceivedRequest) -> Response:
    """Return a page of Storm's list of products."""
    parameters = query(request)
    try:
        number = integer(parameters, "pageNo", 1, 1, MOST)
        size = integer(parameters, "pageSize", _PAGE, 1, MOST)
    except InvalidParameter as error:
        return json_response(400, f"{error.name} can't be {json.dumps(error.value)}.")
    items = [
        {"Id": product.number, "Name": product.name, "PartNo": product.code, "Price": product.price}
        for product in PRODUCTS[(number - 1) * size : number * size]
    ]
    return json_response(200, {"ItemCount": len(PRODUCTS), "Items": items})
