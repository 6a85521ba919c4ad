"""Responses of a token endpoint, and the token or the error that each one gives."""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.conftest import World, for_each

import keyturn
from keyturn import errors
from keyturn._common.redaction import Redaction
from keyturn._http.response import error_for, retry_after
from keyturn._providers.data import TokenResponseMapping
from keyturn._providers.token_response import field_of, read_error, read_token

if TYPE_CHECKING:
    from collections.abc import Callable


JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}
SECRET = "s3cret-for-tests"
USUAL = {"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}
OURS = keyturn.errors.KeyturnError
RFC_6749 = TokenResponseMapping()


def with_fields(**fields: object) -> bytes:
    """Return the body of a usual response with some fields changed; `...` leaves one out."""
    changed = {name: value for name, value in (USUAL | fields).items() if value is not ...}
    return json.dumps(changed).encode()


def raw(field: str, text: str) -> bytes:
    """Return the body of a usual response with one field's JSON text as given."""
    return with_fields(**{field: "@"}).replace(b'"@"', text.encode())


# Each row: description, HTTP status, headers, body, expected error, words in its message.
Row = tuple[str, int, dict[str, str], bytes, type[OURS], str]
ERROR_ROWS: list[Row] = [
    ("a page", 200, HTML, b"<html>Log in</html>", errors.InvalidTokenResponse, "JSON object"),
    ("a token as a page", 200, HTML, with_fields(), errors.InvalidTokenResponse, "JSON object"),
    ("no content type", 200, {}, with_fields(), errors.InvalidTokenResponse, "JSON object"),
    ("error inside 200", 200, JSON, b'{"error":"invalid_client"}', errors.InvalidClient,
     "invalid_client"),
    ("error beside a token", 200, JSON, with_fields(error="invalid_scope"), errors.InvalidScope,
     "invalid_scope"),
    ("empty 200", 200, JSON, b"", errors.InvalidTokenResponse, "JSON object"),
    ("204", 204, JSON, b"", errors.InvalidTokenResponse, "HTTP 204"),
    ("201 with a token", 201, JSON, with_fields(), errors.InvalidTokenResponse, "HTTP 201"),
    ("truncated", 200, JSON, with_fields()[:-5], errors.InvalidTokenResponse, "JSON object"),
    ("a list", 200, JSON, b"[1]", errors.InvalidTokenResponse, "access_token is missing"),
    ("null", 200, JSON, b"null", errors.InvalidTokenResponse, "JSON object"),
    ("latin-1", 200, JSON, b'{"access_token":"\xe9"}', errors.InvalidTokenResponse, "JSON object"),
    ("UTF-16", 200, JSON, with_fields().decode().encode("utf-16"), errors.InvalidTokenResponse,
     "JSON object"),
    ("a byte order mark", 200, JSON, b"\xef\xbb\xbf" + with_fields(), errors.InvalidTokenResponse,
     "JSON object"),
    ("nested lists", 200, JSON, raw("scope", "[" * 100_000), errors.InvalidTokenResponse,
     "JSON object"),
    ("nested objects", 200, JSON, raw("scope", '{"a":' * 100_000), errors.InvalidTokenResponse,
     "JSON object"),
    ("5000 digits", 200, JSON, raw("expires_in", "9" * 5000), errors.InvalidTokenResponse,
     "JSON object"),
    ("20 digits", 200, JSON, raw("expires_in", "9" * 20), errors.InvalidTokenResponse,
     "JSON object"),
    ("NaN", 200, JSON, raw("expires_in", "NaN"), errors.InvalidTokenResponse, "JSON object"),
    ("Infinity", 200, JSON, raw("x", "Infinity"), errors.InvalidTokenResponse, "JSON object"),
    ("duplicate keys", 200, JSON, with_fields()[:-1] + b',"access_token":"other"}',
     errors.InvalidTokenResponse, "JSON object"),
    ("access_token missing", 200, JSON, with_fields(access_token=...), errors.InvalidTokenResponse,
     "access_token"),
    *(
        (f"access_token {text[:12]}", 200, JSON, raw("access_token", text),
         errors.InvalidTokenResponse, "access_token")
        for text in ('""', "null", "7", "true", "[]", '" "', r'"a\nb"', r'"a\r\nX: b"', '" a"',
                     '"é"', '"t "', r'"\ud800"', r'"\u0000"', f'"{"a" * 65_537}"')
    ),
    *(
        (f"token_type {text}", 200, JSON, raw("token_type", text), errors.InvalidTokenResponse,
         "token_type")
        for text in ('""', "null", "7", '"mac"', '"DPoP"', '"Bearer "', '"N_A"', '["Bearer"]')
    ),
    ("token_type missing", 200, JSON, with_fields(token_type=...), errors.InvalidTokenResponse,
     "token_type"),
    *(
        (f"expires_in {text[:12]}", 200, JSON, raw("expires_in", text), errors.InvalidTokenResponse,
         "expires_in is not a number")
        for text in ('"soon"', '""', '"-1"', '"1e3"', '"3600 "', '"٣"', "true", "false", "0",
                     "-1", "-0.5", "[]", "{}")
    ),
    ("expires_in 1e400", 200, JSON, raw("expires_in", "1e400"), errors.InvalidTokenResponse, ""),
    ("expires_in missing", 200, JSON, with_fields(expires_in=...), errors.InvalidTokenResponse,
     "expires_in is missing"),
    ("expires_in null", 200, JSON, with_fields(expires_in=None), errors.InvalidTokenResponse,
     "expires_in is missing"),
    *(
        (f"scope {text}", 200, JSON, raw("scope", text), errors.InvalidTokenResponse, "scope")
        for text in ("7", '["a"]', r'"a\nb"', '" a"', '"a\\"b"', '"é"', "{}")
    ),
    *(
        (f"redirect {status}", status, {"location": "https://evil.example/"}, b"",
         errors.InvalidTokenResponse, "redirects")
        for status in (300, 301, 302, 303, 304, 307, 308)
    ),
    ("redirect with a token", 302, JSON, with_fields(), errors.InvalidTokenResponse, "redirects"),
    ("invalid_client", 400, JSON, b'{"error":"invalid_client"}', errors.InvalidClient,
     "client_secret"),
    ("401 page", 401, HTML, b"<html>", errors.InvalidClient, "HTTP 401"),
    ("401 empty", 401, {}, b"", errors.InvalidClient, "HTTP 401"),
    ("401 with errors", 401, JSON, b'{"errors":[{"title":"x"}]}', errors.InvalidClient, "HTTP 401"),
    ("401 with a token", 401, JSON, with_fields(), errors.InvalidClient, "HTTP 401"),
    ("invalid_scope", 400, JSON, b'{"error":"invalid_scope"}', errors.InvalidScope, "scope"),
    ("unauthorized_client", 400, JSON, b'{"error":"unauthorized_client"}',
     errors.TokenRequestRefused, "Enable the client-credentials grant"),
    ("an unknown code", 400, JSON, b'{"error":"own_code"}', errors.TokenRequestRefused, "own_code"),
    ("no code", 400, JSON, b'{"status":400,"error":"Bad Request"}', errors.TokenRequestRefused,
     "HTTP 400"),
    ("403 empty", 403, {}, b"", errors.TokenRequestRefused, "HTTP 403"),
    ("404", 404, HTML, b"<html>", errors.TokenRequestRefused, "address"),
    ("408", 408, {}, b"", errors.EndpointUnavailable, "HTTP 408"),
    ("429 JSON", 429, JSON, b'{"error":"slow_down"}', errors.RateLimited, "slow_down"),
    ("429 page", 429, HTML, b"<html>", errors.RateLimited, "HTTP 429"),
    ("429 as invalid_client", 429, JSON, b'{"error":"invalid_client"}', errors.RateLimited, ""),
    ("500", 500, HTML, b"<html>", errors.EndpointUnavailable, "HTTP 500"),
    ("503 with a token", 503, JSON, with_fields(), errors.EndpointUnavailable, "HTTP 503"),
    ("server_error in 400", 400, JSON, b'{"error":"server_error"}', errors.EndpointUnavailable,
     "server_error"),
    ("temporarily_unavailable in 200", 200, JSON, b'{"error":"temporarily_unavailable"}',
     errors.EndpointUnavailable, "temporarily_unavailable"),
]  # fmt: skip


@pytest.mark.usefixtures("world")
@for_each(("status", "headers", "body", "kind", "words"), [row[1:] for row in ERROR_ROWS])
def test_response_without_a_token_raises_the_expected_error(
    status: int, headers: dict[str, str], body: bytes, kind: type[OURS], words: str
) -> None:
    """An error body would be used as a token, or the user would get the wrong error."""
    world = World()
    world.endpoint.responses += [
        keyturn.plugins.Response(status, headers, body, world.clock.now)
    ] * 3
    connection = world.connect()

    with pytest.raises(errors.KeyturnError) as caught:
        connection.token()
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert "t0ken" not in str(caught.value)
    assert str(caught.value).isascii()
    assert world.store.read(connection.token_request().fingerprint) is None


YEAR = 31_536_000
# Each row: description, headers, body, and the fields of the expected token.
TOKEN_ROWS: list[tuple[str, dict[str, str], bytes, dict[str, Any]]] = [
    ("usual", JSON, with_fields(), {"token_type": "Bearer", "scope": None}),
    ("charset", {"content-type": "Application/JSON; charset=utf-8"}, with_fields(), {}),
    ("+json", {"content-type": "application/vnd.api+json"}, with_fields(), {}),
    ("bearer", JSON, with_fields(token_type="bearer"), {"token_type": "bearer"}),
    ("BEARER", JSON, with_fields(token_type="BEARER"), {"token_type": "BEARER"}),
    ("lifetime as a string", JSON, with_fields(expires_in="3600"), {}),
    ("lifetime as a float", JSON, with_fields(expires_in=3600.0), {}),
    ("a second", JSON, with_fields(expires_in=1), {"lifetime": 1}),
    ("absurd lifetime", JSON, with_fields(expires_in=10**12), {"lifetime": YEAR}),
    ("absurd lifetime as a string", JSON, with_fields(expires_in="9" * 18), {"lifetime": YEAR}),
    ("scope", JSON, with_fields(scope="a b"), {"scope": "a b"}),
    ("empty scope", JSON, with_fields(scope=""), {"scope": None}),
    ("more fields", JSON, with_fields(created_at=1, x={"y": [None]}),
     {"extra": {"created_at": 1, "x": {"y": [None]}}}),
    ("lone surrogate", JSON, raw("x", r'"\ud800"'), {"extra": {"x": "\ud800"}}),
    ("other secrets", JSON, with_fields(refresh_token="r", id_token="i"), {"extra": {}}),
    ("error is null", JSON, with_fields(error=None), {}),
    ("a long token", JSON, with_fields(access_token="a" * 65_536), {"access_token": "a" * 65_536}),
    ("18 digits", JSON, raw("x", "-" + "9" * 18), {"extra": {"x": -999_999_999_999_999_999}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [row[1:] for row in TOKEN_ROWS],
    ids=[row[0] for row in TOKEN_ROWS],
)
def test_response_gives_the_expected_token(
    world: World, headers: dict[str, str], body: bytes, expected: dict[str, Any]
) -> None:
    """A valid token would be rejected, or its lifetime misread."""
    world.endpoint.responses.append(keyturn.plugins.Response(200, headers, body, world.clock.now))
    token = world.connect().token()

    usual = {"access_token": "t0ken", "lifetime": 3600, "issued_at": world.clock.now}
    found = {name: getattr(token, name) for name in usual | expected}
    assert found == usual | expected
    # The token is unchanged after it is stored and read.
    assert world.connect().token() == token
    assert len(world.endpoint.requests) == 1


def test_number_beyond_a_double_is_rejected(world: World) -> None:
    """An infinite number in an entry could not be read back by another JSON reader."""
    world.endpoint.responses.append(
        keyturn.plugins.Response(200, JSON, raw("x", "1e400"), world.clock.now)
    )

    with pytest.raises(errors.InvalidTokenResponse):
        world.connect().token()


def test_narrower_scope_is_a_warning_and_the_token_is_used(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The log would not explain why an API refuses requests, or the call would fail."""
    world.endpoint.responses.append(world.endpoint.token("t", scope="read"))
    token = world.connect(scope="read write").token()

    assert token.scope == "read"
    assert "acme granted the scope 'read'" in caplog.text


def test_requested_scope_counts_as_granted_if_the_response_names_none(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A token would have no scope, but RFC 6749 section 5.1 says it has the requested one."""
    assert world.connect(scope=["read", "write"]).token().scope == "read write"
    assert caplog.text == ""


RETRY_AFTER = [
    ("7", 7.0),
    (" 7 ", 7.0),
    ("0", 0.0),
    ("999999", 3600.0),
    ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
    ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
    ("Fri, 15 Jan 2066 08:00:00 GMT", 3600.0),
    *((nonsense, None) for nonsense in ("", "soon", "-5", "1.5", "1e9", "Fri, 99 Jan", "٣")),
    *((digits, 3600.0) for digits in ("9" * 14, "9" * 40, "9" * 5000)),
    ("0" * 40 + "7", 7.0),
    ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ("Fri, 15 Jan 99999 08:00:00 GMT", None),
    ("Fri Jan 15 08:00:30 2027", 30.0),
]


@for_each(("text", "seconds"), RETRY_AFTER)
def test_retry_after_is_understood(text: str, seconds: float | None) -> None:
    """keyturn would send requests during the pause that a server asked for, or never again."""
    response = keyturn.plugins.Response(429, {"retry-after": text}, sent_at=1_800_000_000.0)

    assert retry_after(response) == seconds


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Fri, 15 Jan 2027 10:00:00 GMT", 30.0), ("soon", 3600.0), ("", 3600.0)],
)
def test_retry_after_date_is_measured_by_the_servers_clock(date: str, seconds: float) -> None:
    """A client whose clock is wrong would wait for too long, or not at all."""
    headers = {"retry-after": "Fri, 15 Jan 2027 10:00:30 GMT", "date": date}

    assert retry_after(keyturn.plugins.Response(429, headers, sent_at=1_800_000_000.0)) == seconds


@given(st.text())
def test_any_retry_after_is_bounded(text: str) -> None:
    """A server could block a client forever, or crash it."""
    seconds = retry_after(keyturn.plugins.Response(429, {"retry-after": text}))

    assert seconds is None or 0 <= seconds <= 3600


@given(st.text(), st.text(min_size=1))
@example("\x1b[2J", "made-up")
@example("\ud800", "\ud800\udc00")
def test_error_description_of_a_server_is_shortened_and_escaped(text: str, secret: str) -> None:
    """A server's text could forge log lines, control a terminal, or show the secret."""
    shown = Redaction([keyturn.Secret(secret)]).printable(f"{text}{secret}{text}")

    assert len(shown) <= 300
    assert shown.isprintable()
    if len(secret) > 8:
        assert secret not in shown


@pytest.mark.parametrize(("opened", "closed"), [('{"a":', "}"), ("[", "]")])
def test_deep_nesting_beside_a_token_does_not_matter(opened: str, closed: str) -> None:
    """The caller would get an exception that is not a KeyturnError."""
    body = raw("x", opened * 480 + "1" + closed * 480)
    response = keyturn.plugins.Response(200, JSON, body, 1000.0)

    assert read_token(response, RFC_6749).access_token == "t0ken"


def test_index_outside_a_list_gives_no_value() -> None:
    """A path in a description would raise an exception that is not a KeyturnError."""
    assert field_of(["x"], "0") == "x"
    assert field_of(["x"], "1") is None
    assert field_of(["x"], "9" * 5000) is None


def test_response_is_read_by_default_as_rfc_6749_defines_it() -> None:
    """A provider that calls `read_token` itself would get another token."""
    response = keyturn.plugins.Response(200, JSON, with_fields(scope="a b", created_at=1), 1000.0)
    token = read_token(response, RFC_6749)

    assert (token.access_token, token.expires_at, token.scope) == ("t0ken", 4600.0, "a b")
    assert token.extra == {"created_at": 1}


@pytest.mark.parametrize(
    "encode",
    [
        str,
        lambda text: quote(text, safe=""),
        quote_plus,
        lambda text: json.dumps(text)[1:-1],
        lambda text: base64.b64encode(text.encode()).decode(),
    ],
    ids=["plain", "URL", "form", "JSON", "Base64"],
)
def test_encoded_secret_is_hidden_and_the_text_around_it_is_not(
    encode: Callable[[str], str],
) -> None:
    """An error response that quotes the request would put a short secret into logs."""
    secret = 'a "b"/é+c'
    shown = Redaction([keyturn.Secret(secret)]).printable(f"wrong: {encode(secret)} is unknown")

    assert shown.replace("=", "") == "wrong: [hidden] is unknown"


def test_error_of_a_server_is_shown_without_secrets(world: World) -> None:
    """The error would not give the server's reason, or would show a secret in it."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    description = f"{SECRET} is wrong, see https://acme.example/docs?id={trace}\r\nfor\x1b[2Jged"
    fields = {"error": "authorization_type_invalid", "error_description": description}
    world.endpoint.responses.append(world.endpoint.response(403, fields))

    with pytest.raises(errors.TokenRequestRefused) as caught:
        world.connect().token()
    assert (
        "HTTP 403, authorization_type_invalid: [hidden] is wrong, see "
        f"https://acme.example/docs?id={trace} for\\x1b[2Jged)" in str(caught.value)
    )
    assert caught.value.error == "authorization_type_invalid"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(["access_token", "token_type", "expires_in", "scope", "error", "errors", "x"]),
    JSON_VALUES | st.sampled_from(["Bearer", "t0ken", 3600, "3600", "invalid_client"]),
)
BODIES = st.binary(max_size=200) | FIELDS.map(lambda fields: json.dumps(fields).encode())


@given(st.integers(100, 599), st.sampled_from([JSON, HTML, {}, {"content-type": "\x00"}]), BODIES)
def test_any_bytes_give_a_token_or_a_keyturn_error(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    """A hostile response would crash the caller, or give an invalid token."""
    response = keyturn.plugins.Response(status, headers, body, 1_800_000_000.0)
    failure = error_for(read_error(response, RFC_6749), response, [keyturn.Secret(SECRET)])
    assert isinstance(failure, errors.KeyturnError)
    assert str(failure)
    try:
        token = read_token(response, RFC_6749, missing_lifetime=60.0)
    except errors.InvalidTokenResponse:
        return
    assert token.access_token
    assert token.access_token.isascii()
    assert 0 < token.lifetime <= YEAR
    assert token.token_type.lower() == "bearer"


@given(st.sampled_from(["norce-commerce", "norce-storm", "orocommerce", "commercelayer"]), BODIES)
def test_every_provider_reads_any_error_body(name: str, body: bytes) -> None:
    """A provider's `read_error` would raise on a response with another structure."""
    response = keyturn.plugins.Response(400, JSON, body)
    provider = keyturn.provider(name)
    error = provider.read_error(None, response)

    assert error is None or isinstance(error.code, str)
    assert isinstance(error.description if error else "", str)
    assert isinstance(provider.token_rejected(None, response), bool)


@pytest.mark.parametrize("depth", range(50, 1000, 50))
def test_nested_response_gives_a_token_or_a_keyturn_error(world: World, depth: int) -> None:
    """A deeply nested response that cannot be stored would crash the caller or lose the token."""
    body = raw("x", "[" * depth + "]" * depth)
    world.endpoint.responses.append(keyturn.plugins.Response(200, JSON, body, world.clock.now))
    connection = world.connect()
    try:
        token = connection.token()
    except errors.InvalidTokenResponse:
        return
    assert connection.token() == token


@pytest.mark.parametrize("status", [200, 400, 401])
def test_error_code_that_quotes_a_secret_is_left_out(status: int) -> None:
    """The secret would be in the error's fields, in its pickle and in the store."""
    response = keyturn.plugins.Response(status, JSON)
    error = error_for(
        keyturn.plugins.OAuthError("hunter2-prod"), response, [keyturn.Secret("hunter2-prod")]
    )

    assert isinstance(error, errors.TokenRequestRefused)
    assert error.error == ""
    assert "hunter2" not in f"{error!r} {vars(error)}"


def test_public_word_is_shown_though_it_contains_a_secret() -> None:
    """A user with a weak secret would get wrong advice, or an unreadable error."""
    code = keyturn.plugins.OAuthError("invalid_client", "not application/x-www-form-urlencoded")
    for secret in ("client", "form", "x1", "a", "invalid"):
        error = error_for(code, keyturn.plugins.Response(400), [keyturn.Secret(secret)])

        assert isinstance(error, errors.InvalidClient)
        assert error.error == "invalid_client"
        assert "invalid_client: not application/x-www-form-urlencoded" in str(error)


DISGUISES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "URL": lambda text: "".join(f"%{ord(char):02x}" for char in text),
    "JSON": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "JSON in a URL": lambda text: quote("".join(f"\\u{ord(char):04x}" for char in text), safe=""),
    "every character of JSON in a URL": lambda text: "".join(
        f"%{ord(char):02x}" for char in "".join(f"\\u{ord(each):04x}" for each in text)
    ),
    "HTML": lambda text: "".join(f"&#x{ord(char):x};" for char in text),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_secret_is_hidden_wherever_a_long_string_is_cut(disguise: Callable[[str], str]) -> None:
    """Half of a secret would be shown if the string is cut within it."""
    quoted = disguise("hunter2-prod")
    for length in range(2990 - len(quoted), 3010):
        shown = Redaction([keyturn.Secret("hunter2-prod")]).printable(" " * length + quoted)
        assert shown in {"", "[hidden]"}


@for_each("secrets", list(itertools.permutations(["hunter2", "hunter2-prod", "prod-eu"])))
@for_each(
    ("text", "shown"),
    [
        ("of hunter2-prod here", "of [hidden] here"),
        ("of hunter2-prod-eu here", "of [hidden] here"),
        ("of hunter2 here", "of [hidden] here"),
        ("of hunter2%2dprod here", "of [hidden] here"),
        ("of\0hunter2-pro", "of\\x00[hidden]-pro"),
    ],
)
def test_secret_that_is_part_of_another_is_hidden_with_it(
    secrets: list[str], text: str, shown: str
) -> None:
    """The rest of the longer secret would be shown."""
    assert Redaction(map(keyturn.Secret, secrets)).printable(text) == shown
