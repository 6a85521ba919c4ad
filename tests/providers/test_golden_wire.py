"""The token request of each provider, byte for byte: as a value, and on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import keyturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
SECRET = "s3cret-for-tests"
NORCE = b"grant_type=client_credentials&client_id=cid&client_secret=s3cret-for-tests&scope="
ORO = b'{"grant_type":"client_credentials","client_id":"cid","client_secret":"s3cret-for-tests"}'


class Golden(NamedTuple):
    """The settings of a connection and the expected token request."""

    provider: str
    settings: dict[str, Any]
    url: str
    content_type: str
    body: bytes


GOLDEN = {
    "norce-commerce-playground": Golden(
        "norce-commerce",
        {"client": "acme", "environment": "playground", "client_secret": SECRET},
        "https://acme.api-se.playground.norce.tech/identity/1.0/connect/token",
        FORM,
        NORCE + b"playground",
    ),
    "norce-commerce-stage": Golden(
        "norce-commerce",
        {"client": "acme", "environment": "stage", "client_secret": SECRET},
        "https://acme.api-se.stage.norce.tech/identity/1.0/connect/token",
        FORM,
        NORCE + b"stage",
    ),
    "norce-commerce-prod": Golden(
        "norce-commerce",
        {"client": "acme", "environment": "prod", "client_secret": SECRET},
        "https://acme.api-se.norce.tech/identity/1.0/connect/token",
        FORM,
        NORCE + b"prod",
    ),
    "norce-commerce-region": Golden(
        "norce-commerce",
        {"client": "acme", "region": "no-2", "environment": "prod", "client_secret": SECRET},
        "https://acme.api-no-2.norce.tech/identity/1.0/connect/token",
        FORM,
        NORCE + b"prod",
    ),
    "norce-commerce-older-scope": Golden(
        "norce-commerce",
        {"client": "a", "environment": "stage", "scope": "lab", "client_secret": SECRET},
        "https://a.api-se.stage.norce.tech/identity/1.0/connect/token",
        FORM,
        NORCE + b"lab",
    ),
    "norce-commerce-scopes": Golden(
        "norce-commerce",
        {
            "client": "acme",
            "environment": "stage",
            "scope": ["playground", "stage"],
            "client_secret": SECRET,
            "application_id": 1042,
        },
        "https://acme.api-se.stage.norce.tech/identity/1.0/connect/token",
        FORM,
        NORCE + b"playground+stage",
    ),
    "norce-commerce-other-identity": Golden(
        "norce-commerce",
        {
            "client": "acme",
            "environment": "prod",
            "token_url": "https://identity.example/connect/token",
            "client_secret": SECRET,
        },
        "https://identity.example/connect/token",
        FORM,
        NORCE + b"prod",
    ),
    "norce-commerce-odd-secret": Golden(
        "norce-commerce",
        {"client": "acme", "environment": "prod", "client_secret": "a&b=c+d/é%"},
        "https://acme.api-se.norce.tech/identity/1.0/connect/token",
        FORM,
        b"grant_type=client_credentials&client_id=cid"
        b"&client_secret=a%26b%3Dc%2Bd%2F%C3%A9%25&scope=prod",
    ),
    "norce-storm": Golden(
        "norce-storm",
        {"scope": "lab", "client_secret": SECRET},
        "https://identity.storm.io/1.0/connect/token",
        FORM,
        NORCE + b"lab",
    ),
    "norce-storm-scopes": Golden(
        "norce-storm",
        {"scope": "lab qa production", "application_id": 7, "client_secret": SECRET},
        "https://identity.storm.io/1.0/connect/token",
        FORM,
        NORCE + b"lab+qa+production",
    ),
    "orocommerce": Golden(
        "orocommerce",
        {"url": "https://shop.example", "client_secret": SECRET},
        "https://shop.example/oauth2-token",
        JSON,
        ORO,
    ),
    "orocommerce-storefront": Golden(
        "orocommerce",
        {"url": "https://shop.example", "side": "storefront", "client_secret": SECRET},
        "https://shop.example/oauth2-token",
        JSON,
        ORO,
    ),
    "orocommerce-path": Golden(
        "orocommerce",
        {"url": "https://shop.example:8443/b2b/oro/", "client_secret": SECRET},
        "https://shop.example:8443/b2b/oro/oauth2-token",
        JSON,
        ORO,
    ),
    "orocommerce-form": Golden(
        "orocommerce",
        {"url": "https://shop.example/", "body_format": "form", "client_secret": SECRET},
        "https://shop.example/oauth2-token",
        FORM,
        b"grant_type=client_credentials&client_id=cid&client_secret=s3cret-for-tests",
    ),
    "orocommerce-scope": Golden(
        "orocommerce",
        {"url": "https://shop.example", "scope": "all", "client_secret": SECRET},
        "https://shop.example/oauth2-token",
        JSON,
        ORO[:-1] + b',"scope":"all"}',
    ),
    "orocommerce-odd-secret": Golden(
        "orocommerce",
        {"url": "https://shop.example", "client_secret": 'a"b\\c é'},
        "https://shop.example/oauth2-token",
        JSON,
        ORO.replace(b"s3cret-for-tests", 'a\\"b\\\\c é'.encode()),
    ),
    # Commerce Layer's own JavaScript client sends these bytes.
    "commercelayer-sales-channel": Golden(
        "commercelayer",
        {"kind": "sales_channel", "market": "code:europe"},
        "https://auth.commercelayer.io/oauth/token",
        JSON,
        b'{"grant_type":"client_credentials","client_id":"cid","scope":"market:code:europe"}',
    ),
    "commercelayer-integration": Golden(
        "commercelayer",
        {"kind": "integration", "client_secret": SECRET},
        "https://auth.commercelayer.io/oauth/token",
        JSON,
        ORO,
    ),
    "commercelayer-integration-scope": Golden(
        "commercelayer",
        {
            "kind": "integration",
            "client_secret": SECRET,
            "store_scope": "code:main",
            "stock_location": "id:WLgbSXqyoZ",
            "market": "id:dlQbPhNNop",
            "lifetime": 7200,
            "domain": "commercelayer.example",
        },
        "https://auth.commercelayer.example/oauth/token",
        JSON,
        ORO[:-1] + b',"scope":"market:id:dlQbPhNNop stock_location:id:WLgbSXqyoZ store:code:main"}',
    ),
    "commercelayer-all-markets": Golden(
        "commercelayer",
        {"kind": "integration", "client_secret": SECRET, "market": "all"},
        "https://auth.commercelayer.io/oauth/token",
        JSON,
        ORO[:-1] + b',"scope":"market:all"}',
    ),
    "commercelayer-whole-scope": Golden(
        "commercelayer",
        {"kind": "sales_channel", "scope": "market:code:usa stock_location:code:east"},
        "https://auth.commercelayer.io/oauth/token",
        JSON,
        b'{"grant_type":"client_credentials","client_id":"cid",'
        b'"scope":"market:code:usa stock_location:code:east"}',
    ),
}


@pytest.mark.parametrize("golden", GOLDEN.values(), ids=GOLDEN)
def test_the_token_request_is_the_documented_one(golden: Golden) -> None:
    """The provider would refuse the request, or return another account's token."""
    connection = keyturn.connect(golden.provider, client_id="cid", **golden.settings)
    request = connection.token_request()

    assert request.method == "POST"
    assert request.url == golden.url
    assert request.headers == {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": golden.content_type,
    }
    assert request.body == golden.body


@pytest.mark.parametrize("golden", GOLDEN.values(), ids=GOLDEN)
def test_the_server_receives_exactly_the_token_request(
    golden: Golden, serve: Callable[..., RawServer], token_response: bytes
) -> None:
    """The sent request would differ from the shown one, or contain more than necessary."""
    server = serve(token_response)
    settings = golden.settings | {"token_url": server.url}
    store = keyturn.stores.from_url("memory://")
    connection = keyturn.connect(golden.provider, client_id="cid", store=store, **settings)

    assert connection.token().access_token == "t0ken"
    (sent,) = server.received
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = sorted(tuple(line.split(": ", 1)) for line in lines)

    assert first == "POST /token HTTP/1.1"
    assert [(name.lower(), value) for name, value in headers] == [
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("connection", "keep-alive"),
        ("content-length", str(len(golden.body))),
        ("content-type", golden.content_type),
        ("host", f"127.0.0.1:{server.port}"),
        ("user-agent", "keyturn"),
    ]
    assert body == golden.body


REVOCATIONS = {
    "sales-channel": (
        {"kind": "sales_channel", "market": "code:europe"},
        b'{"client_id":"cid","token":"token-1"}',
    ),
    "integration": (
        {"kind": "integration", "client_secret": SECRET},
        b'{"client_id":"cid","client_secret":"s3cret-for-tests","token":"token-1"}',
    ),
}


@pytest.mark.parametrize(("settings", "body"), REVOCATIONS.values(), ids=REVOCATIONS)
def test_the_revocation_request_is_the_documented_one(
    settings: dict[str, Any], body: bytes
) -> None:
    """Commerce Layer would silently not revoke the token."""
    connection = keyturn.connect("commercelayer", client_id="cid", **settings)
    token = keyturn.Token("token-1", "bearer", 1_800_000_000.0)
    request = connection.provider.revocation_request(connection.settings, token)

    assert request is not None
    assert request.method == "POST"
    assert request.url == "https://auth.commercelayer.io/oauth/revoke"
    assert request.headers["Content-Type"] == "application/json"
    assert request.body == body
