"""What the core reads from a provider: URLs, authentication, revocation; and its defects."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import keyturn
from keyturn import errors
from keyturn._connection import manager_of
from keyturn._providers.calls import translate_errors
from keyturn.integrations import RequestAuth

if TYPE_CHECKING:
    from tests.conftest import World


def is_authorized(connection: keyturn.Connection, url: str) -> bool:
    """Return whether an adapter attaches the token to a request to `url`."""
    try:
        RequestAuth(connection).authorize("GET", url, {})
    except errors.ForeignOrigin:
        return False
    return True


def test_api_url_and_origin(world: World) -> None:
    """An adapter would attach the token to another origin."""
    connection = world.connect()

    assert connection.api_url == "https://shop.acme.example/api"
    assert is_authorized(connection, "https://shop.acme.example/other")
    assert not is_authorized(connection, "https://acme.example/api")
    moved = world.connect(api_url="https://a.example:8443/x")
    assert is_authorized(moved, "https://a.example:8443/other")
    assert not is_authorized(moved, "https://a.example/x")


def test_unknown_api_url_must_be_set(world: World) -> None:
    """The user would get an empty URL, and an unclear error later."""
    connection = world.connect(world.changed(api_url=""), name="shop")

    with pytest.raises(
        errors.ConfigurationError, match=r"^shop: the API's address is unknown\. Set api_url\.$"
    ):
        _ = connection.api_url


def test_unsafe_api_url_of_a_provider_is_refused(world: World) -> None:
    """A provider that reads the API's URL from a token could send the token to any host."""
    provider = world.changed(api_url_for=lambda *_: "http://evil.example")

    with pytest.raises(errors.ConfigurationError, match="API's address must begin with https"):
        _ = world.connect(provider).api_url


@pytest.mark.parametrize(
    "address", ["http://acme.example/token", "https://{client_id}.acme.example/token"]
)
def test_unsafe_token_url_of_a_provider_is_refused(world: World, address: str) -> None:
    """A provider's mistake would send the secret unencrypted, or to another host."""
    with pytest.raises(errors.ConfigurationError, match="address"):
        world.connect(world.changed(token_url=address), client_id="evil.example/")


def test_unsafe_token_request_of_a_provider_is_refused(world: World) -> None:
    """A provider that builds its own request would bypass the check of URLs."""
    request = keyturn.plugins.TokenRequest("acme", "http://evil.example/token")
    provider = world.changed(token_request=lambda *_: request)

    with pytest.raises(errors.ConfigurationError, match="token endpoint's address must begin"):
        world.connect(provider)


def test_revoking_without_a_token_sends_nothing(world: World) -> None:
    """`revoke` would first request a token."""
    world.connect(world.changed(revocation_url="https://acme.example/revoke")).revoke()

    assert world.endpoint.requests == []


def test_revocation_follows_rfc_7009(world: World) -> None:
    """The token would stay valid after its revocation."""
    connection = world.connect(world.changed(revocation_url="https://acme.example/revoke"))
    connection.token()
    world.endpoint.responses.append(keyturn.plugins.Response(200))
    connection.revoke()

    sent = world.endpoint.requests[1]
    assert sent.url == "https://acme.example/revoke"
    assert sent.body == b"client_id=cid&client_secret=s3cret-for-tests&token=token-1"
    assert connection.token().access_token == "token-3"


def test_basic_authentication_sends_no_id_and_secret_in_the_body(world: World) -> None:
    """A server would refuse the request: RFC 6749 section 2.3 allows one method."""
    provider = world.changed(client_authentication="client_secret_basic", body_format="form")
    request = world.connect(provider, client_id="a b", client_secret="c:d%é").token_request()

    assert request.body == b"grant_type=client_credentials"
    assert request.headers["Authorization"] == "Basic YStiOmMlM0FkJTI1JUMzJUE5"


def fail(*values: object, **named: object) -> NoReturn:
    """Raise an error that shows values, as a provider's defect may."""
    raise ZeroDivisionError(repr(values), repr(named), "s3cret-for-tests")


METHODS = [
    "token_request",
    "scope",
    "assumed_lifetime",
    "read_token",
    "read_error",
    "for_settings",
    "authorization",
    "api_request_headers",
    "api_url_for",
    "warnings",
    "revocation_request",
]


@pytest.mark.parametrize("method", METHODS)
def test_defect_of_a_provider_is_a_keyturn_error_that_shows_no_value(
    world: World, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """A plugin's exception would pass through `except KeyturnError`, secrets in its message."""

    def use(provider: keyturn.plugins.Provider[Any]) -> None:
        connection = world.connect(provider)
        connection.headers()
        _ = connection.api_url
        connection.revoke()

    caplog.set_level(logging.DEBUG)
    with pytest.raises(errors.KeyturnError) as caught:
        use(world.changed(**{method: fail}))

    shown = str(caught.value) + caplog.text
    assert "ZeroDivisionError" in shown
    assert "s3cret-for-tests" not in shown
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("rubbish", [None, 7, "t0ken", {"access_token": "x"}])
def test_invalid_token_of_a_provider_is_a_keyturn_error(world: World, rubbish: object) -> None:
    """A value that is not a token would be returned to the caller."""
    provider = world.changed(read_token=lambda *_: rubbish)

    returned = f"provider acme returned a wrong {type(rubbish).__name__} from read_token"
    with pytest.raises(errors.KeyturnError, match=returned):
        world.connect(provider).token()


RUBBISH: dict[str, list[object]] = {
    "for_settings": [None, "rubbish"],
    "token_request": [None, "rubbish"],
    "authorization": [None, "Bearer x", ("Authorization", 7), ("Authorization",)],
    "api_request_headers": [None, "rubbish", {"X": 5}, {5: "x"}],
    "api_url_for": [7, b"https://acme.example"],
    "revocation_request": ["rubbish", 7],
    "warnings": [[object()], 7],
    "token_rejected": ["maybe", None],
}


@pytest.mark.parametrize(
    ("method", "rubbish"), [(name, each) for name, some in RUBBISH.items() for each in some]
)
def test_wrong_result_of_a_provider_is_a_keyturn_error(
    world: World, method: str, rubbish: object
) -> None:
    """A plugin's mistake would be a raw Python error, or cause another failure later."""
    provider = world.changed(**{method: lambda *_: rubbish})

    def use() -> None:
        connection = world.connect(provider)
        connection.headers()
        _ = connection.api_url
        manager_of(connection).token_rejected(world.endpoint.response(401, {}))
        connection.revoke()

    with pytest.raises(errors.KeyturnError, match=rf"provider acme .*{method}"):
        use()


def test_error_of_a_provider_has_no_frames_of_the_provider() -> None:
    """A traceback with local variables would show the provider's values."""

    def in_the_provider() -> NoReturn:
        raise errors.InvalidTokenResponse("no token.")

    with pytest.raises(errors.InvalidTokenResponse) as caught:
        translate_errors("acme", in_the_provider)

    assert "in_the_provider" not in [entry.name for entry in caught.traceback]
