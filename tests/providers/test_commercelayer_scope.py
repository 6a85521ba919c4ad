"""Commerce Layer's scope builder: typed, immutable, and unchanged after printing and parsing."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn_commercelayer import Scope, Selector

VALUES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1
)
SELECTORS = st.builds(
    Selector,
    st.sampled_from(["market", "stock_location", "store"]),
    st.sampled_from(["id", "code"]),
    VALUES,
)
ALL_MARKETS = Selector("market", None, "all")
SCOPES = st.lists(SELECTORS).map(lambda some: Scope((ALL_MARKETS, *some)))


@given(SCOPES)
def test_scope_is_unchanged_after_printing_and_parsing(scope: Scope) -> None:
    """A scope that is written to a configuration file would be read as another one."""
    assert Scope.parse(str(scope)) == scope


@given(st.text())
def test_parsing_gives_a_scope_or_a_value_error(text: str) -> None:
    """A mistyped scope would raise another exception, or be read as another scope."""
    try:
        scope = Scope.parse(text)
    except ValueError:
        return
    assert str(scope) == " ".join(text.split())


@given(VALUES, VALUES)
def test_builder_prints_the_selected_resources(market: str, store: str) -> None:
    """The builder would select another resource than the given one."""
    scope = Scope().market(id=market).stock_location(code=market).store(code=store)

    expected = f"market:id:{market} stock_location:code:{market} store:code:{store}"
    assert str(scope) == expected
    assert str(Scope().all_markets().stock_location(id="x")) == "market:all stock_location:id:x"


def test_scope_is_immutable_and_compares_by_value() -> None:
    """A scope shared by two connections could be changed by one of them."""
    europe = Scope().market(code="europe")
    europe.store(id="x")

    assert str(europe) == "market:code:europe"
    assert {europe: 1}[Scope().market(code="europe")] == 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        europe.selectors = ()  # type: ignore[misc]


def test_stock_location_needs_a_market() -> None:
    """Commerce Layer would refuse the scope with status 400."""
    with pytest.raises(ValueError, match="needs a market"):
        Scope().stock_location(id="x")


@pytest.mark.parametrize("names", [{}, {"id": "a", "code": "b"}])
def test_resource_is_named_in_exactly_one_way(names: dict[str, Any]) -> None:
    """One of two names would be ignored silently."""
    with pytest.raises(ValueError, match="either its id or its code"):
        Scope().market(**names)


@pytest.mark.parametrize(
    "wrong",
    [
        ("market", "id", ""),
        ("market", "id", "a b"),
        ("market", "id", "é"),
        ("market", "slug", "a"),
        ("market", None, "some"),
        ("store", None, "all"),
        ("sku", "id", "a"),
        ("market", "", "a"),
    ],
)
def test_selector_that_commerce_layer_does_not_support_is_refused(
    wrong: tuple[Any, Any, str],
) -> None:
    """A scope would be sent that Commerce Layer always refuses."""
    with pytest.raises(ValueError, match="a scope selects"):
        Selector(*wrong)
