"""Forms in JavaScript: Ajv, and react-jsonschema-form in Chromium, accept what keyturn accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import keyturn

if TYPE_CHECKING:
    from collections.abc import Callable

    Node = Callable[[str, Any], Any]

SECRET = {"client_id": "made-up", "client_secret": "made-up"}
RIGHT: dict[str, dict[str, Any]] = {
    "norce-commerce": SECRET | {"client": "acme", "environment": "stage"},
    "norce-storm": SECRET | {"scope": "lab"},
    "orocommerce": SECRET | {"url": "https://shop.example"},
    "commercelayer": {"client_id": "made-up", "kind": "sales_channel"},
}
VALUES: list[Any] = [
    *["", " ", "\n", "a", "a ", "a\n", "a\u2028", "a\x00", "\ud800", "a b", "a\x85b", "\ufeffa"],
    *["\u00e9", "\U0001f511", "a\u00a0b", "A", "-a", "a.b", "01", "0", "-1", "1042", "1e3"],
    *["\u0661", "7200", "7199"],
    *["9" * 16, "on", "true", "off", "stage", "lab", "lab qa", "lab\n", "integration", "all"],
    *["id:x", "code:", "market:all", "market:all stock_location:id:x", "stock_location:id:x"],
    *["a" * 60, "a" * 64, "a.example", "a.example\n", "127.0.0.1", "https://a.example"],
    *["http://a.example", "http://localhost:1", "http://[::1]/x", "https://u@a.example"],
    *["https://a.example#x", "https://a.example/%2E./x", "https://a.example:65536", "ftp://a.b"],
    *["https://1.2.3", "https://256.1.1.1", "https://a.example\n", "https://\uff41.example"],
    *[None, True, 0, 1, -1, 7200, 7200.5, 31_536_001, [], ["lab"], ["a", ""], ["a\n"], [1], {}],
    *[["stock_location:id:x"], ["stock_location:id:x", "market:all"], {"env": "SECRET"}],
]  # fmt: skip
DIALECTS = ["2020-12", "draft-07"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("provider", RIGHT)
def test_ajv_rejects_what_keyturn_rejects(node: Node, provider: str, dialect: Any) -> None:
    """A form in a browser would accept what the server rejects, or mark another field."""
    schema = keyturn.provider(provider).settings_schema(dialect=dialect)
    names = [*schema["properties"], "unknown"]
    forms = [RIGHT[provider], {}, SECRET, {"kind": "integration", "stock_location": "id:x"}]
    forms += [RIGHT[provider] | {name: value} for name in names for value in VALUES]
    found = node("validate.mjs", {"schema": schema, "forms": forms})

    for form, errors in zip(forms, found, strict=True):
        assert {each.path for each in keyturn.problems(provider, form)} == errors.keys(), form


@pytest.mark.parametrize("dialect", DIALECTS)
def test_form_is_shown_with_each_error_at_its_field(node: Node, dialect: Any) -> None:
    """A user would miss a field, see a secret, or not see what to correct."""
    schema = keyturn.provider("commercelayer").settings_schema(dialect=dialect)
    office, sales = {"kind": "integration"}, {"kind": "sales_channel", "client_id": "made-up"}
    forms: list[dict[str, Any]] = [
        {"values": office, "typed": {"client_id": "a ", "stock_location": "id:x", "lifetime": "6"}},
        {"values": sales, "typed": {"token_url": "http://a.example", "domain": "/", "scope": "x"}},
        {"values": sales, "typed": {"market": "all", "scope": "market:all"}},
        {"values": office, "typed": {"client_id": "made-up", "client_secret": "made-up"}},
        {"values": sales, "typed": {"market": "code:eu", "lifetime": "7200"}},
    ]  # fmt: skip
    results = node("browse.mjs", {"schema": schema, "forms": forms})

    for form, result in zip(forms, results, strict=True):
        filled = form["values"] | form["typed"]
        # The empty name stands for the whole form, where Ajv reports each broken rule again.
        shown = {name for name in result["errors"] if name}
        assert shown == {each.path for each in keyturn.problems("commercelayer", filled)}
        assert result["fields"].keys() == schema["properties"].keys()
        assert result["fields"]["client_secret"] == "password"
        assert result["fields"]["kind"] == "select"
        assert result["fields"]["require_market"] == "checkbox"
        assert {result["fields"][name] for name in ("scope", "lifetime", "token_url")} == {"text"}
        assert (result["submitted"] is None) == bool(shown)
        if result["submitted"] is not None:
            assert keyturn.problems("commercelayer", result["submitted"]) == []


@pytest.mark.parametrize("provider", ["norce-commerce", "norce-storm", "orocommerce"])
def test_form_of_each_provider_can_be_completed(node: Node, provider: str) -> None:
    """A user could not enter a setting that the provider requires."""
    schema = keyturn.provider(provider).settings_schema()
    chosen = {name: RIGHT[provider][name] for name in ("environment",) if name in RIGHT[provider]}
    typed = {name: value for name, value in RIGHT[provider].items() if name not in chosen}
    numbers = {"application_id": "1042"} if "application_id" in schema["properties"] else {}
    form = {"values": chosen, "typed": typed | numbers}
    (result,) = node("browse.mjs", {"schema": schema, "forms": [form]})

    assert result["errors"] == []
    assert result["fields"]["client_secret"] == "password"
    assert result["submitted"].items() >= RIGHT[provider].items()
    assert keyturn.problems(provider, result["submitted"]) == []
