"""The products that each emulated provider sells, in the formats of its API."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import keyturn
from keyturn._cli import main
from keyturn._cli.emulate import connection_table
from keyturn.integrations.httpx import KeyturnAuth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from keyturn.testing import Emulator

QUERY = "/commerce/query/2.0/Products"
STORM = "/1.1/ProductService.svc/rest/ListProducts2"
CODES = {"T-SHIRT-BLACK", "CAP-PLUM", "HOODIE-SAND"}


@pytest.fixture
def get(emulator: Emulator) -> Iterator[Callable[..., httpx.Response]]:
    """Return a function that sends a GET request to a provider's API, through an adapter."""
    client = httpx.Client(trust_env=False)

    def send(
        provider: str, path: str, headers: dict[str, str] | None = None, **variant: str
    ) -> httpx.Response:
        settings = emulator.settings(provider, **variant)
        with keyturn.connect(provider, store="memory://", **settings) as connection:
            url = path if path.startswith("http") else connection.api_url + path
            return client.get(url, headers=headers, auth=KeyturnAuth(connection))

    with client:
        yield send


def pages(get: Any, provider: str, path: str, **variant: str) -> list[Any]:
    """Return all pages of a list, by following its links."""
    found = [get(provider, path, **variant).json()]
    while following := found[-1].get("@odata.nextLink") or found[-1].get("links", {}).get("next"):
        found.append(get(provider, following, **variant).json())
    return found


def attributes(found: list[Any], name: str) -> list[str]:
    """Return an attribute of all items on the pages of a JSON:API list."""
    return [each["attributes"][name] for page in found for each in page["data"]]


@pytest.mark.parametrize(
    ("provider", "path", "variant", "name"),
    [
        ("commercelayer", "/skus", {}, "code"),
        ("commercelayer", "/skus", {"kind": "sales_channel"}, "code"),
        ("orocommerce", "/products", {}, "sku"),
        ("orocommerce", "/products", {"side": "storefront"}, "sku"),
    ],
)
def test_pages_of_json_api_contain_all_products(
    provider: str, path: str, variant: dict[str, str], name: str, get: Any
) -> None:
    """An application that reads a catalogue could not be tested, or would miss a page."""
    found = pages(get, provider, path, **variant)

    assert [len(page["data"]) for page in found] == [10, 10, 4]
    codes = attributes(found, name)
    assert len(set(codes)) == 24
    assert set(codes) > CODES
    assert "prev" in found[1]["links"]
    single = get(provider, f"{path}/{found[0]['data'][3]['id']}", **variant).json()
    assert single["data"] == found[0]["data"][3]


def test_query_api_has_next_links(get: Any) -> None:
    """A client of OData could not be tested."""
    skus = pages(get, "norce-commerce", f"{QUERY}/ProductSkus")
    rest = pages(get, "norce-commerce", f"{QUERY.upper()}/products?$skip=5&$top=12")

    assert [len(page["value"]) for page in skus] == [10, 10, 4]
    assert {each["PartNo"] for page in skus for each in page["value"]} > CODES
    assert skus[0]["@odata.context"].endswith(f"{QUERY}/$metadata#ProductSkus")
    assert [each["Id"] for page in rest for each in page["value"]] == list(range(6, 18))
    assert get("norce-commerce", f"{QUERY}/Products(7)").json() == rest[0]["value"][1]
    sku = get("norce-commerce", f"{QUERY}/ProductSkus('CAP-PLUM')").json()
    assert (sku["PartNo"], sku["ProductId"]) == ("CAP-PLUM", 24)


def test_storm_lists_its_products(get: Any) -> None:
    """An application for Storm could read no products in its tests."""
    found = [get("norce-storm", f"{STORM}?pageNo={each}&pageSize=20").json() for each in (1, 2, 3)]

    assert [len(page["Items"]) for page in found] == [20, 4, 0]
    assert {page["ItemCount"] for page in found} == {24}
    assert {each["PartNo"] for page in found for each in page["Items"]} > CODES


def test_market_has_the_skus_that_it_sells(get: Any) -> None:
    """A storefront that shows all products in each market would pass its tests."""
    channel = {"kind": "sales_channel", "market": "code:usa"}
    market = pages(get, "commercelayer", "/skus?page[size]=25", **channel)

    assert [len(page["data"]) for page in market] == [16]
    assert market[0]["meta"] == {"record_count": 16, "page_count": 1}
    cap = get("commercelayer", "/skus?page%5Bnumber%5D=17&page%5Bsize%5D=1").json()["data"][0]
    assert cap["attributes"]["code"] == "CAP-BLACK"
    missing = get("commercelayer", f"/skus/{cap['id']}", **channel)
    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (404, "RECORD_NOT_FOUND")


def test_products_of_back_office_and_storefront_need_separate_tokens(
    requester: Any, emulator: Emulator, http: httpx.Client, get: Any
) -> None:
    """A storefront that uses the back-office's token would pass its tests."""
    url = emulator.settings("orocommerce")["url"]
    tokens = {
        prefix: requester.access_token("orocommerce", side=side)
        for prefix, side in (("/admin", "backoffice"), ("", "storefront"))
    }
    for prefix in tokens:
        statuses = [
            http.get(
                f"{url}{prefix}/api/products/1", headers={"Authorization": f"Bearer {token}"}
            ).status_code
            for token in tokens.values()
        ]
        assert sorted(statuses) == [200, 401]
    names = attributes([get("orocommerce", "/products", side="storefront").json()], "name")
    assert names[0] == "Black T-Shirt"
    plain = get("orocommerce", "/products/24", {"Accept": "application/json"}).json()
    assert (plain["id"], plain["sku"]) == (24, "CAP-PLUM")


def test_query_api_needs_an_application_id(
    requester: Any, emulator: Emulator, http: httpx.Client
) -> None:
    """A client that omits the header would pass its tests."""
    url = emulator.settings("norce-commerce")["api_url"]
    bearer = {"Authorization": f"Bearer {requester.access_token('norce-commerce')}"}
    products = f"{url}{QUERY}/Products"

    def status(place: str, **headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.get(place, headers=bearer | given).status_code

    assert [status(products), status(products, ApplicationId="")] == [400, 400]
    assert status(products, ApplicationId="7") == 200
    # Only the Query API uses this name.
    assert status(products, application_id="7") == 200
    resource = url + emulator.resource("norce-commerce")
    assert status(resource, application_id="7") == 400


@pytest.mark.parametrize(
    ("provider", "path", "status"),
    [
        ("commercelayer", "/skus?page[number]=0", 400),
        ("commercelayer", "/skus?page[size]=26", 400),
        ("orocommerce", "/products?page[size]=many", 400),
        ("orocommerce", "/products/99", 404),
        ("norce-commerce", f"{QUERY}/Products?$filter=Id eq 1", 400),
        ("norce-commerce", f"{QUERY}/Products?$top=-1", 400),
        ("norce-commerce", f"{QUERY}/Products(99)", 404),
        ("norce-commerce", f"{QUERY}/Orders", 404),
        ("norce-commerce", f"{QUERY}/$metadata", 404),
        ("norce-storm", f"{STORM}?pageSize=0", 400),
    ],
)
def test_unsupported_parameter_is_an_error(provider: str, path: str, status: int, get: Any) -> None:
    """A parameter without effect would seem to work."""
    assert get(provider, path).status_code == status


def test_keyturn_request_fetches_products(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script could not read products through the command line."""
    paths = {
        "commercelayer": "/skus",
        "orocommerce": "/products",
        "norce-commerce": f"{QUERY}/ProductSkus",
        "norce-storm": STORM,
    }
    tables = [connection_table(each, each, emulator.settings(each)) for each in paths]
    config = tmp_path / "keyturn.toml"
    config.touch(mode=0o600)
    config.write_text('store = "memory://"\n' + "\n".join(tables), encoding="utf-8")

    for provider, path in paths.items():
        assert main(["--config", str(config), "request", provider, "GET", path]) == 0
        shown = capsys.readouterr().out
        assert "T-SHIRT-BLACK" in shown
        assert json.load(io.StringIO(shown))
