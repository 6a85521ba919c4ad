"""The rules of `orocommerce`, from its documentation and its authorization server's source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import keyturn

if TYPE_CHECKING:
    from tests.conftest import World

SHOP: dict[str, Any] = {"url": "https://shop.example"}


def test_storefront_and_back_office_never_share_a_token(world: World) -> None:
    """A storefront token would be sent to the back-office, which responds with an empty 401."""
    backoffice = world.connect("orocommerce", **SHOP)
    storefront = world.connect("orocommerce", **SHOP, side="storefront")

    assert backoffice.token_request().body == storefront.token_request().body
    assert backoffice.token_request().fingerprint != storefront.token_request().fingerprint
    assert backoffice.token().access_token == "token-1"
    assert storefront.token().access_token == "token-2"
    assert backoffice.token().access_token == "token-1"
    assert world.connect("orocommerce", **SHOP, side="storefront").token() == storefront.token()
    assert len(world.endpoint.requests) == 2


def test_accept_header_is_the_documented_one(world: World) -> None:
    """OroCommerce would respond in the format of another API."""
    assert world.connect("orocommerce", **SHOP).headers() == {
        "Authorization": "Bearer token-1",
        "Accept": "application/vnd.api+json",
    }


def test_lifetime_of_3599_seconds_is_accepted(world: World) -> None:
    """OroCommerce's usual response would be refused, or cause a warning."""
    world.endpoint.responses.append(world.endpoint.token("t", expires_in=3599))
    token = world.connect("orocommerce", **SHOP).token()

    assert token.expires_at == world.clock.now + 3599


def test_response_without_lifetime_is_refused(world: World) -> None:
    """A response that is not OroCommerce's, which always has a lifetime, would be accepted."""
    world.endpoint.responses.append(world.endpoint.token("t", expires_in=None))

    with pytest.raises(keyturn.errors.InvalidTokenResponse, match="expires_in is missing"):
        world.connect("orocommerce", **SHOP).token()


def test_missing_encryption_key_is_reported_as_a_server_failure(world: World) -> None:
    """Users would change valid credentials although the server lacks its key."""
    fields = {"error": "no_encryption_key", "message": "No encryption key", "hint": "Generate it"}
    world.endpoint.responses += [world.endpoint.response(401, fields)] * 3
    connection = world.connect("orocommerce", **SHOP)

    with pytest.raises(keyturn.errors.EndpointUnavailable, match=r"no_encryption_key.*Generate it"):
        connection.token()
    assert connection.token().access_token == "token-4"


ERRORS: list[tuple[int, dict[str, Any], type[keyturn.errors.KeyturnError], str]] = [
    (
        401,
        {"error": "invalid_client", "error_description": "Client authentication failed"},
        keyturn.errors.InvalidClient,
        "invalid_client: Client authentication failed",
    ),
    (
        400,
        {"error": "invalid_request", "error_description": "No.", "hint": "Check the `x` parameter"},
        keyturn.errors.TokenRequestRefused,
        "No. Check the `x` parameter",
    ),
    (
        400,
        {"error": "unsupported_grant_type", "hint": ["not", "a", "text"]},
        keyturn.errors.TokenRequestRefused,
        "HTTP 400, unsupported_grant_type)",
    ),
    (500, {"error": "server_error"}, keyturn.errors.EndpointUnavailable, "server_error"),
]


@pytest.mark.parametrize(("status", "fields", "kind", "words"), ERRORS)
def test_errors_are_distinguished(
    world: World,
    status: int,
    fields: dict[str, Any],
    kind: type[keyturn.errors.KeyturnError],
    words: str,
) -> None:
    """The user would correct the wrong setting, or not see the server's hint."""
    world.endpoint.responses += [world.endpoint.response(status, fields)] * 3

    with pytest.raises(keyturn.errors.KeyturnError) as caught:
        world.connect("orocommerce", **SHOP).token()
    assert type(caught.value) is kind
    assert words in str(caught.value)


def test_every_401_of_the_api_may_mean_an_expired_token(world: World) -> None:
    """An expired token would not be renewed, because OroCommerce responds with an empty 401."""
    connection = world.connect("orocommerce", **SHOP)

    assert connection.provider.token_rejected(connection.settings, keyturn.plugins.Response(401))


API_URLS = [
    (SHOP, "https://shop.example/admin/api"),
    ({"url": "https://shop.example/b2b/"}, "https://shop.example/b2b/admin/api"),
    (SHOP | {"backend_prefix": "office"}, "https://shop.example/office/api"),
    (SHOP | {"side": "storefront"}, "https://shop.example/api"),
    (SHOP | {"side": "storefront", "api_url": "https://api.example/x"}, "https://api.example/x"),
]


@pytest.mark.parametrize(("settings", "address"), API_URLS)
def test_api_url_is_that_of_the_storefront_or_the_back_office(
    world: World, settings: dict[str, Any], address: str
) -> None:
    """API requests would be sent to the other API, or to a URL without an API."""
    assert world.connect("orocommerce", **settings).api_url == address


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example",
        "https://user:pass@shop.example",
        "https://shop.example?x=1",
        "https://shop.example/#x",
        "https://shop.example/../x",
        "shop.example",
        "ftp://shop.example",
        "https://",
    ],
)
def test_application_url_must_be_safe(url: str) -> None:
    """The secret would be sent unencrypted, or to another host than the setting seems to name."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", url=url, client_id="c", client_secret="s")

    (problem,) = map(str, caught.value.problems)
    assert problem.startswith("url: must ")


@pytest.mark.parametrize("prefix", ["/admin", "a/b", "..", "a b", "admin?", "%2e"])
def test_prefix_is_one_segment(prefix: str) -> None:
    """The API's URL would have another path on the host."""
    with pytest.raises(keyturn.errors.ConfigurationError, match="backend_prefix: must be one"):
        keyturn.connect(
            "orocommerce", **SHOP, client_id="c", client_secret="s", backend_prefix=prefix
        )


def test_revocation_is_not_offered(world: World) -> None:
    """`revoke` would seem to succeed, although the token is still valid."""
    connection = world.connect("orocommerce", **SHOP)
    connection.token()

    with pytest.raises(keyturn.errors.ConfigurationError, match="does not support revocation"):
        connection.revoke()
