"""Token responses that deviate from RFC 6749: refused, with a hint how to accept them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

    Platform = Callable[..., keyturn.Connection]
    Read = Callable[..., keyturn.Token]

USUAL = {"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}
BODY = json.dumps(USUAL).encode()
JSON = "application/json"


def body(**changed: object) -> bytes:
    """Return the body of a usual response with some fields changed; `...` leaves one out."""
    return json.dumps({k: v for k, v in (USUAL | changed).items() if v is not ...}).encode()


@pytest.fixture
def read(world: World, platform: Platform) -> Read:
    """Give a function that returns the token of a response, as a platform with data reads it."""

    def token(
        data: dict[str, Any],
        content: bytes,
        *,
        kind: str = JSON,
        status: int = 200,
        headers: dict[str, str] | None = None,
        **given: Any,
    ) -> keyturn.Token:
        headers = ({"content-type": kind} if kind else {}) | (headers or {})
        world.endpoint.responses = [
            keyturn.plugins.Response(status, headers, content, world.clock.now)
        ]
        scope = {"kind": "scope", "title": "Scope", "optional": True}
        return platform({"settings": {"scope": scope}} | data, **given).token()

    return token


# The deviation, the data that accept it, the response, and its media type.
DEVIATIONS: dict[str, tuple[dict[str, Any], bytes, dict[str, Any]]] = {
    "text/plain": ({"media_types": ("text/plain",)}, BODY, {"kind": "Text/Plain; charset=utf-8"}),
    "a page's type": ({"media_types": ("text/html",)}, BODY, {"kind": "text/html"}),
    "no content type": ({"media_types": ("*",)}, BODY, {"kind": ""}),
    "a byte order mark": ({"response_encoding": "utf-8-sig"}, b"\xef\xbb\xbf" + BODY, {}),
    "UTF-16": ({"response_encoding": "utf-16"}, BODY.decode().encode("utf-16"), {}),
    "Latin-1": ({"response_encoding": "iso-8859-1"}, body(x="@").replace(b"@", b"\xe9"), {}),
    "201": ({"token_status": 201}, BODY, {"status": 201}),
    "200 or 201": ({"token_status": [200, 201]}, BODY, {"status": 201}),
    "a token elsewhere": (
        {"token_field": "data.token", "lifetime_field": "data.ttl", "token_type": ""},
        b'{"data":{"token":"t0ken","ttl":3600}}',
        {},
    ),
    "a token in a list": (
        {"token_field": "0.token", "missing_lifetime": 3600.0, "token_type": ""},
        b'[{"token":"t0ken"}]',
        {},
    ),
    "a bare token": (
        {"token_field": "", "missing_lifetime": 3600.0, "token_type": ""},
        b"t0ken\n",
        {"kind": "text/plain"},
    ),
    "a token in a header": (
        {"token_header": "X-Token"},
        body(access_token=...),
        {"headers": {"x-token": "t0ken"}},
    ),
    "a token in a header alone": (
        {"token_header": "X-Token", "token_type": "", "missing_lifetime": 3600.0},
        b"",
        {"headers": {"x-token": "t0ken"}},
    ),
    "a token in a cookie": (
        {"token_header": "set-cookie.SID"},
        body(access_token=...),
        {"headers": {"set-cookie": "a=SID=1; Path=/, SID=t0ken; Expires=Wed, 21 Oct 2027, b=2"}},
    ),
    "a token in a quoted cookie": (
        {"token_header": "Set-Cookie.SID"},
        body(access_token=...),
        {"headers": {"set-cookie": 'SID="t0ken"; Path=/'}},
    ),
    "a lifetime in a header": (
        {"lifetime_header": "X-Expires"},
        body(expires_in=...),
        {"headers": {"x-expires": "3600"}},
    ),
    "a bare token as JSON": (
        {"token_field": "", "missing_lifetime": 3600.0, "token_type": ""},
        b'"t0ken"',
        {},
    ),
    "no token_type": ({"token_type": ""}, body(token_type=...), {}),
    "another token_type": ({"token_type": "mac"}, body(token_type="mac"), {}),
    "no lifetime": ({"missing_lifetime": 3600.0}, body(expires_in=...), {}),
    "a lifetime elsewhere": ({"lifetime_field": "ttl"}, body(expires_in=..., ttl=3600), {}),
    "a decimal string": ({"lifetime_format": "decimal"}, body(expires_in="3600.0"), {}),
    "a date": ({"lifetime_format": "date"}, body(expires_in="2027-01-15T09:00:00Z"), {}),
    "a negative lifetime": (
        {"lifetime_field": "", "missing_lifetime": 3600.0},
        body(expires_in=-1),
        {},
    ),
    "a lifetime in words": (
        {"lifetime_field": "", "missing_lifetime": 3600.0},
        body(expires_in="an hour"),
        {},
    ),
    "a scope as an array": ({"scope_format": "array"}, body(scope=["read", "write"]), {}),
    "a scope of another kind": ({"scope_format": "ignored"}, body(scope={"read": True}), {}),
    "a scope with an escape": ({"scope_format": "ignored"}, body(scope="read\nwrite"), {}),
}


@pytest.mark.parametrize(("data", "content", "sent"), DEVIATIONS.values(), ids=DEVIATIONS)
def test_hint_names_the_data_that_accept_a_response(
    read: Read, data: dict[str, Any], content: bytes, sent: dict[str, Any]
) -> None:
    """A user would not find the setting that makes the platform work."""
    with pytest.raises(errors.InvalidTokenResponse) as refused:
        read({}, content, **sent)
    assert any(name in refused.value.hint for name in data)

    token = read(data, content, **sent, scope="read write")
    assert (token.access_token, token.lifetime) == ("t0ken", 3600)
    assert token.scope == "read write"


def test_generic_accepts_the_same_with_its_settings(world: World) -> None:
    """The hint would name a setting that the provider `generic` does not have."""
    for data, content, sent in DEVIATIONS.values():
        headers = {"content-type": sent.get("kind", JSON), **sent.get("headers", {})}
        status = sent.get("status", 200)
        world.endpoint.responses = [
            keyturn.plugins.Response(status, headers, content, world.clock.now)
        ]
        url = "https://login.acme.example/token"
        connection = world.connect("generic", token_url=url, **data)
        world.endpoint.responses *= 2
        connection.forget()
        assert connection.token().access_token == "t0ken"
        connection.forget()
        assert "t0ken" not in connection.explain()


REFUSED_ALWAYS: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "an array, of a provider with strings": ({}, body(scope=["a"]), JSON),
    "an array of numbers": ({"scope_format": "array"}, body(scope=["a", 7]), JSON),
    "an array with quotes": ({"scope_format": "array"}, body(scope=['"']), JSON),
    "another media type": ({"media_types": ("text/plain",)}, BODY, "text/html"),
    "no decimal": ({"lifetime_format": "decimal"}, body(expires_in="1e3"), JSON),
    "a null lifetime elsewhere": ({"lifetime_field": "ttl"}, body(ttl=None), JSON),
    "duplicate names": ({"media_types": ("*",)}, b'{"access_token":"a","access_token":"b"}', JSON),
    "a page": ({"media_types": ("*",)}, b"<html>", "text/html"),
    "a number": ({}, b"7", JSON),
}


@pytest.mark.parametrize(("data", "content", "kind"), REFUSED_ALWAYS.values(), ids=REFUSED_ALWAYS)
def test_data_accept_no_other_deviation(
    read: Read, data: dict[str, Any], content: bytes, kind: str
) -> None:
    """A datum that accepts one deviation would also accept a value that is not a token."""
    with pytest.raises(errors.InvalidTokenResponse) as refused:
        read(data, content, kind=kind)
    assert refused.value.hint


@pytest.mark.parametrize("scope", [[], "", None])
def test_empty_scope_is_the_requested_one(read: Read, scope: object) -> None:
    """A platform that grants the requested scope with an empty array would seem to grant none."""
    data = {"scope_format": "array"}

    assert read(data, body(scope=scope), scope="read").scope == "read"


def test_hint_names_the_read_token_of_a_plugin(world: World) -> None:
    """A user would not see that the plugin's code refuses the response."""

    def read_token(*_: object) -> keyturn.Token:
        raise errors.InvalidTokenResponse("there is no token.")

    with pytest.raises(errors.InvalidTokenResponse) as refused:
        world.connect(world.changed(read_token=read_token)).token()
    assert "read_token" in refused.value.hint


@pytest.mark.parametrize("word", ["text", "text/", "/plain", "text/plain;", "text /plain", "**"])
def test_media_type_is_checked(word: str) -> None:
    """A misspelt content type would silently have no effect."""
    with pytest.raises(errors.ConfigurationError, match=re.escape("content type such as")):
        keyturn.plugins.provider_from_data(
            {"name": "acme", "token_url": "https://a.example", "media_types": [word]}
        )
