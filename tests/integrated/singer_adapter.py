"""The adapters for the Singer SDK, in its environment; `test_singer.py` runs this."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import requests
from singer_sdk import RESTStream, Tap
from tests.integrated.requests_based import all_tests

import keyturn
from keyturn.integrations import RequestAuth
from keyturn.integrations.singer import KeyturnAuthenticator, TapAuthenticator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integrations.conftest import Site

globals().update(all_tests(KeyturnAuthenticator))


def tap(api: Site, authenticator: Any, **changed: Any) -> Tap:
    """Return a tap of two streams, whose second page fails once."""

    class Users(RESTStream[int]):
        name = "users"
        path = "/x"
        url_base = api.url
        schema = {"properties": {"line": {"type": "string"}}}  # noqa: RUF012 - the SDK's

        def parse_response(self, response: requests.Response) -> Iterator[dict[str, str]]:
            yield {"line": response.text}

        def get_new_paginator(self) -> None:
            return None

    Users.authenticator = authenticator
    authenticator.__set_name__(Users, "authenticator")

    class Products(Users):
        name = "products"

    class TapShop(Tap):
        name = "tap-shop"
        config_jsonschema = keyturn.provider("orocommerce").settings_schema(
            dialect="draft-07", style="singer"
        )

        def discover_streams(self) -> list[Any]:
            return [Users(self), Products(self)]

    config = {
        "url": api.url,
        "client_id": "made-up",
        "client_secret": "made-up-secret-canary",
        "token_url": f"{api.url}/token",
        "api_url": api.url,
    }
    return TapShop(config=config | changed)


def read(stream: Any) -> list[Any]:
    """Return the records of a stream."""
    return list(stream.get_records(None))


def test_streams_of_a_tap_share_and_renew_tokens(api: Site) -> None:
    """Each stream would request its own tokens, or end with a 401."""
    streams = tap(api, TapAuthenticator("orocommerce")).streams
    assert read(streams["users"]) == read(streams["products"]) == [{"line": "fine: "}]
    assert api.token_requests == 1
    api.forget_tokens()
    assert read(streams["users"]) == read(streams["products"])
    assert api.token_requests == 2


def test_request_is_authorized_once(
    api: Site, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK calls the authenticator twice a request, so a signature would be made for nothing."""
    calls: list[str] = []
    original = RequestAuth.authorize

    def counted(self: RequestAuth, method: str, url: str, *given: Any) -> Any:
        calls.append(url)
        return original(self, method, url, *given)

    monkeypatch.setattr(RequestAuth, "authorize", counted)
    connection = connect("orocommerce")
    authenticator = KeyturnAuthenticator(connection)
    with requests.Session() as session:
        session.auth = authenticator
        prepared = session.prepare_request(requests.Request("GET", f"{api.url}/x"))
        assert authenticator(prepared) is prepared
        assert calls == [f"{api.url}/x"]
        assert session.send(prepared).status_code == 200
        # The SDK repeats the request after a failure, which must use the current token.
        connection.invalidate(connection.token())
        for _ in range(2):
            authenticator(prepared)
        assert session.send(prepared).status_code == 200
    assert len(calls) == 3
    assert (
        api.api_requests[0].headers["authorization"] != api.api_requests[1].headers["authorization"]
    )


def test_authenticator_of_the_class_returns_what_was_set() -> None:
    """Tools that read a stream's class would fail."""
    authenticator = TapAuthenticator("orocommerce")

    class Stream:
        shop = authenticator

    assert Stream.shop is authenticator
    assert Stream.__dict__["shop"].__get__(None, Stream) is authenticator


def test_schema_of_the_tap_marks_the_secret_and_takes_other_settings(api: Site) -> None:
    """The SDK would show the secret, or reject the tap's own settings."""
    made = tap(api, TapAuthenticator("orocommerce"))
    properties = made.config_jsonschema["properties"]
    assert [name for name, each in properties.items() if each.get("secret")] == ["client_secret"]
    assert "stream_maps" in properties
    assert read(tap(api, TapAuthenticator("orocommerce"), stream_maps={}).streams["users"])


@pytest.mark.parametrize("secret", ["made-up-canary\n", ""])
def test_wrong_secret_is_not_shown(
    api: Site, capsys: Any, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    """The SDK, which logs a value that its schema rejects, would log the secret."""
    with pytest.raises(Exception, match=r".") as caught:
        read(tap(api, TapAuthenticator("orocommerce"), client_secret=secret).streams["users"])
    output = capsys.readouterr()
    shown = f"{vars(caught.value)}{caught.value!r}{output.out}{output.err}{caplog.text}"
    assert "client_secret" in shown
    assert "made-up-canary" not in shown


def test_name_can_be_copied(connect: Any) -> None:
    """A tap whose streams are copied would fail."""
    for copied in (copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):  # noqa: S301 - pickled here
        assert isinstance(copied(KeyturnAuthenticator("shop")), KeyturnAuthenticator)
        assert isinstance(copied(TapAuthenticator("orocommerce")), TapAuthenticator)
    with pytest.raises(TypeError, match="contains a secret"):
        pickle.dumps(KeyturnAuthenticator(connect()))
