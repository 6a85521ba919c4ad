"""Commerce Layer's authorization scopes, typed and immutable."""

from __future__ import annotations

import re
from typing import Literal, Self, get_args

import attrs

Resource = Literal["market", "stock_location", "store"]
Key = Literal["id", "code"]

_VALUE_REGEX = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@attrs.frozen
class Selector:
    """One resource of a scope, such as `market:code:europe`.

    Args:
        resource: Which kind of resource.
        key: Whether `value` is its id or its code; None for all of them, as in `market:all`.
        value: The id, the code, or `all`.

    Raises:
        ValueError: The combination is not one that Commerce Layer knows.
    """

    resource: Resource
    key: Key | None
    value: str

    def __attrs_post_init__(self) -> None:
        if self.resource not in get_args(Resource):
            message = f"a scope selects one of {', '.join(get_args(Resource))}"
            raise ValueError(message)
        if self.key is None and (self.resource, self.value) != ("market", "all"):
            message = "a scope selects by id:… or code:…, or is market:all"
            raise ValueError(message)
        if self.key not in {None, *get_args(Key)} or not _VALUE_REGEX.fullmatch(self.value):
            message = "a scope selects by id:… or code:…, of visible ASCII characters"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Return the selector of a string such as `stock_location:id:WLgbSXqyoZ`.

        Raises:
            ValueError: The string is not of that form.
        """
        resource, _, rest = text.partition(":")
        key, colon, value = rest.partition(":")
        if not colon:
            return cls(resource, None, rest)  # type: ignore[arg-type]  # checked by the class
        return cls(resource, key, value)  # type: ignore[arg-type]  # checked by the class

    def __str__(self) -> str:
        return ":".join(filter(None, (self.resource, self.key, self.value)))


@attrs.frozen
class Scope:
    """The scope of a token: empty, or some markets, stock locations and stores.

    Args:
        selectors: The selected resources, in the order in which they are sent.

    Raises:
        ValueError: A stock location is selected without a market (Commerce Layer's page
            «Authentication», section «Putting a stock location in scope»).

    Example:
        >>> scope = Scope().market(code="europe").stock_location(id="WLgbSXqyoZ")
        >>> str(scope)
        'market:code:europe stock_location:id:WLgbSXqyoZ'
        >>> Scope.parse(str(scope)) == scope
        True
    """

    selectors: tuple[Selector, ...] = ()

    def __attrs_post_init__(self) -> None:
        selected = {selector.resource for selector in self.selectors}
        if "stock_location" in selected and "market" not in selected:
            message = "a stock location needs a market in the same scope"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Return the scope of a space-delimited string.

        Raises:
            ValueError: The string is not a scope.
        """
        return cls(tuple(Selector.parse(part) for part in text.split()))

    def market(self, *, id: str | None = None, code: str | None = None) -> Self:
        """Return this scope with a market, named by its id or its code."""
        return self._with("market", id, code)

    def all_markets(self) -> Self:
        """Return this scope with all markets."""
        return attrs.evolve(self, selectors=(*self.selectors, Selector("market", None, "all")))

    def stock_location(self, *, id: str | None = None, code: str | None = None) -> Self:
        """Return this scope with a stock location, named by its id or its code."""
        return self._with("stock_location", id, code)

    def store(self, *, id: str | None = None, code: str | None = None) -> Self:
        """Return this scope with a store, named by its id or its code."""
        return self._with("store", id, code)

    def __str__(self) -> str:
        return " ".join(map(str, self.selectors))

    def _with(self, resource: Resource, by_id: str | None, by_code: str | None) -> Self:
        if (by_id is None) == (by_code is None):
            message = f"a {resource} is named by either its id or its code"
            raise ValueError(message)
        selector = Selector(resource, "code" if by_id is None else "id", by_id or by_code or "")
        return attrs.evolve(self, selectors=(*self.selectors, selector))
