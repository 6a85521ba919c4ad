"""The products that every emulated provider sells, and pages of lists."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyturn.testing._messages import ReceivedRequest

_GARMENTS = (("T-Shirt", 19.95), ("Hoodie", 49.0), ("Cap", 14.5))
_COLOURS = ("Black", "White", "Red", "Green", "Blue", "Grey", "Sand", "Plum")
# The largest number that is read.
MOST = 999_999_999
SINCE = "2026-01-01T12:00:00.000Z"


@attrs.frozen
class Product:
    """A product.

    Args:
        number: Its number, from 1.
        code: Its code for orders.
        name: Its name.
        price: Its price, without tax.
    """

    number: int
    code: str
    name: str
    price: float


PRODUCTS = tuple(
    Product(number, f"{garment}-{colour}".upper(), f"{colour} {garment}", price)
    for number, ((garment, price), colour) in enumerate(
        itertools.product(_GARMENTS, _COLOURS), start=1
    )
)


class InvalidParameter(Exception):
    """The API does not accept a parameter of a query.

    Args:
        name: The parameter.
        value: Its value.
    """

    def __init__(self, name: str, value: str) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value


def query(request: ReceivedRequest) -> dict[str, str]:
    """Return the parameters of a request's query."""
    return dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True))


def integer(parameters: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a parameter, or its default.

    Raises:
        InvalidParameter: It is not an integer in this range.
    """
    value = parameters.get(name, str(default))
    if re.fullmatch("[0-9]{1,9}", value) is None or not least <= int(value) <= most:
        raise InvalidParameter(name, value)
    return int(value)


@attrs.frozen
class Page:
    """A page of a list, by JSON:API's `page[number]` and `page[size]`.

    Args:
        items: The items on the page.
        number: Its number, from 1.
        size: The maximum number of items on a page.
        total: The number of items on all pages.
    """

    items: Sequence[dict[str, Any]]
    number: int
    size: int
    total: int

    @classmethod
    def asked(cls, request: ReceivedRequest, items: Sequence[dict[str, Any]], most: int) -> Page:
        """Return the requested page, of ten items by default.

        Raises:
            InvalidParameter: The number, or the size, can't be that of a page.
        """
        parameters = query(request)
        number = integer(parameters, "page[number]", 1, 1, MOST)
        size = integer(parameters, "page[size]", 10, 1, most)
        start = (number - 1) * size
        return cls(items[start : start + size], number, size, len(items))

    @property
    def count(self) -> int:
        """The number of pages."""
        return max(1, -(-self.total // self.size))

    def links(self, url: str) -> dict[str, str]:
        """Return the links to other pages of a list at this URL."""
        numbers = {"first": 1, "prev": self.number - 1, "next": self.number + 1, "last": self.count}
        return {
            name: f"{url}?page[number]={number}&page[size]={self.size}"
            for name, number in numbers.items()
            if 1 <= number <= self.count
        }
