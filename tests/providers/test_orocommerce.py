"""The rules of `orocommerce`, by its documentation and its authorization server's source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import keyturn

if TYPE_CHECKING:
    from tests.conftest import World

SHOP: dict[str, Any] = {"url": "https://shop.example"}


def test_sides_never_share_a_token(world: World) -> None:
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


def test_accept_is_the_documented_one(world: World) -> None:
    """OroCommerce would respond in another API type."""
    assert world.connect("orocommerce", **SHOP).headers() == {
        "Authorization": "Bearer token-1",
        "Accept": "application/vnd.api+json",
    }


def test_3599_seconds_are_a_lifetime_as_any_other(world: World) -> None:
    """OroCommerce's usual response would be taken for an unusual one."""
    world.endpoint.responses.append(world.endpoint.token("t", expires_in=3599))
    token = world.connect("orocommerce", **SHOP).token()

    assert token.expires_at == world.clock.now + 3599


def test_response_without_lifetime_is_refused(world: World) -> None:
    """OroCommerce always sends the lifetime: a response without it is not OroCommerce's."""
    world.endpoint.responses.append(world.endpoint.token("t", expires_in=None))

    with pytest.raises(keyturn.errors.InvalidTokenResponse, match="expires_in is missing"):
        world.connect("orocommerce", **SHOP).token()


def test_missing_encryption_key_is_the_servers_fault(world: World) -> None:
    """Users would change right credentials, while the server lacks its key."""
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
def test_errors_are_reported_apart(
    world: World,
    status: int,
    fields: dict[str, Any],
    kind: type[keyturn.errors.KeyturnError],
    words: str,
) -> None:
    """The user would correct the wrong setting, or miss the server's hint."""
    world.endpoint.responses += [world.endpoint.response(status, fields)] * 3

    with pytest.raises(keyturn.errors.KeyturnError) as caught:
        world.connect("orocommerce", **SHOP).token()
    assert type(caught.value) is kind
    assert words in str(caught.value)


def test_every_401_of_the_api_may_mean_the_token(world: World) -> None:
    """An empty 401 is all that OroCommerce says of an expired token: it would never be renewed."""
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
def test_api_url_is_that_of_the_side(world: World, settings: dict[str, Any], address: str) -> None:
    """API requests would go to the other side, or to no API at all."""
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
    """The secret would be sent in the clear, or to another address than the one read."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", url=url, client_id="c", client_secret="s")

    (problem,) = map(str, caught.value.problems)
    assert problem.startswith("url: must ")


@pytest.mark.parametrize("prefix", ["/admin", "a/b", "..", "a b", "admin?", "%2e"])
def test_prefix_is_one_segment(prefix: str) -> None:
    """The API's address would lead elsewhere within the host."""
    with pytest.raises(keyturn.errors.ConfigurationError, match="backend_prefix: must be one"):
        keyturn.connect(
            "orocommerce", **SHOP, client_id="c", client_secret="s", backend_prefix=prefix
        )


def test_revocation_is_not_offered(world: World) -> None:
    """A user would believe a token to be revoked that still works."""
    connection = world.connect("orocommerce", **SHOP)
    connection.token()

    with pytest.raises(keyturn.errors.ConfigurationError, match="does not support revocation"):
        connection.revoke()
