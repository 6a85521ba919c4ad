"""A token endpoint that sends invalid responses: what the caller gets, and at what cost.

The tests of the documentation run the first table of `docs/reference/responses.md`. The page's
other tables are run here, each row through `keyturn.connect`.
"""

from __future__ import annotations

import gzip
import json
import re
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keyturn
from keyturn._clock import Clock
from keyturn._connection import make_connection, manager_of
from keyturn._tokens.options import Specification
from keyturn._tokens.snapshot import EMPTY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer

Serve: TypeAlias = "Callable[[bytes], RawServer]"
HttpResponse: TypeAlias = "Callable[..., bytes]"

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "responses.md"
SECRET = "s3cret-for-tests"
CREDENTIALS = {"client_id": "cid", "client_secret": SECRET}
NEEDED: dict[str, dict[str, Any]] = {
    "norce-commerce": {"client": "acme", "environment": "stage"},
    "norce-storm": {"scope": "lab"},
    "orocommerce": {"url": "https://shop.example"},
    "commercelayer": {"kind": "integration"},
}
GOOD = b'{"access_token":"abc","token_type":"Bearer","expires_in":3600}'


def table(title: str) -> list[list[str]]:
    """Return the rows of the table below a heading of the page, without its head."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines[2:]]


def connected(provider: str, url: str, seconds: float) -> keyturn.Connection:
    """Return a connection whose token endpoint is at `url`."""
    given_settings = CREDENTIALS | NEEDED[provider] | {"token_url": url}
    return keyturn.connect(provider, store="memory://", timeout=seconds, **given_settings)


def check(connection: keyturn.Connection, outcome: str) -> None:
    """Check that the caller gets what a cell of the page says."""
    if outcome.startswith("a token"):
        assert re.fullmatch("abc|a{65536}", connection.token().access_token)
        return
    with pytest.raises(keyturn.errors.KeyturnError) as caught:
        connection.token()
    assert type(caught.value).__name__ == outcome.split("`")[1], str(caught.value)
    assert SECRET not in str(caught.value)
    assert "abc" not in str(caught.value)
    assert manager_of(connection).peek() is EMPTY


def filled(field: str, value: str | bytes) -> bytes:
    """Return the body of a usual response with the given JSON for one field."""
    fields = json.loads(GOOD) | {field: "@"}
    given = value if isinstance(value, bytes) else value.encode()
    return json.dumps(fields).encode().replace(b'"@"', given)


def pumped(megabytes: int, window_bits: int) -> bytes:
    """Return that many megabytes of spaces, compressed, without the end of the stream.

    After a full flush each further megabyte is compressed to the same bytes.
    """
    packer = zlib.compressobj(wbits=window_bits)
    first, other = (
        packer.compress(b" " * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    return first + other * (megabytes - 1)


GZIP = zlib.MAX_WBITS | 16
# Each row: the page's words for the body, extra headers (None: left out), the body.
BODIES: dict[str, tuple[dict[str, str | None], Callable[[], bytes]]] = {
    "10 MB of JSON": ({}, lambda: filled("x", f'"{"a" * 10_000_000}"')),
    "a page of 10 MB": ({"content_type": "text/html"}, lambda: b"<p>Hello</p>" * 900_000),
    "10 MB without a `Content-Length`": ({"content_length": None}, lambda: b" " * 10_000_000),
    "a gzip of 200 KB that unpacks to 200 MB": (
        {"content_encoding": "gzip"},
        lambda: pumped(200, GZIP),
    ),
    "a deflate of 200 KB that unpacks to 200 MB": (
        {"content_encoding": "deflate"},
        lambda: pumped(200, zlib.MAX_WBITS),
    ),
    "a gzip within a gzip": (
        {"content_encoding": "gzip, gzip"},
        lambda: gzip.compress(gzip.compress(GOOD)),
    ),
    "an invalid gzip": ({"content_encoding": "gzip"}, lambda: GOOD),
    "a gzip that is cut off": ({"content_encoding": "gzip"}, lambda: gzip.compress(GOOD)[:-4]),
    "a gzip of a token": ({"content_encoding": "gzip"}, lambda: gzip.compress(GOOD)),
    "another `Content-Encoding` (`br`)": ({"content_encoding": "br"}, lambda: GOOD),
    "lists nested 100 000 deep": ({}, lambda: filled("x", "[" * 100_000 + "]" * 100_000)),
    "objects nested 100 000 deep": (
        {},
        lambda: filled("x", '{"a":' * 100_000 + "1" + "}" * 100_000),
    ),
    "an `expires_in` of 5000 digits": ({}, lambda: filled("expires_in", "9" * 5000)),
    "another number of 5000 digits": ({}, lambda: filled("x", "-" + "9" * 5000)),
    "an `access_token` of 65 536 characters": (
        {},
        lambda: filled("access_token", f'"{"a" * 65_536}"'),
    ),
    "an `access_token` of 65 537 characters": (
        {},
        lambda: filled("access_token", f'"{"a" * 65_537}"'),
    ),
    "UTF-16": ({}, lambda: GOOD.decode().encode("utf-16")),
    "UTF-8 with a byte order mark": ({}, lambda: b"\xef\xbb\xbf" + GOOD),
    "Latin-1": ({}, lambda: filled("x", b'"\xe9"')),
    "a lone surrogate as three bytes": ({}, lambda: filled("x", b'"\xed\xa0\x80"')),
    "NUL bytes before the JSON": ({}, lambda: b"\0\0" + GOOD),
}
CUT_OFF = "a token cut off after any of its bytes"


def test_every_row_that_cannot_be_literal_is_run() -> None:
    """The page would describe a response that no test tries, or omit one."""
    rows = [row[0] for row in table("Responses that this page can't quote")]

    assert rows == [*BODIES, CUT_OFF]


@pytest.mark.parametrize(("what", "outcome"), table("Responses that this page can't quote")[:-1])
def test_unusual_body_is_read_as_documented(
    serve: Serve, http_response: HttpResponse, what: str, outcome: str
) -> None:
    """A hostile response would fill the memory, end the caller or be read as a token."""
    headers, body = BODIES[what]
    response = http_response(body(), **{k: v for k, v in headers.items() if v is not None})
    if headers.get("content_length", "") is None:
        response = re.sub(rb"content-length: \d+\r\n", b"", response, count=1)
    # Failures that are retried need not be retried for long.
    seconds = 0.3 if "Unavailable" in outcome else 20.0

    check(connected("orocommerce", serve(response).url, seconds), outcome)


# Each row: the page's words for the body, extra headers, the body.
UNREADABLE: dict[str, tuple[dict[str, str], Callable[[], bytes]]] = {
    "an invalid gzip": ({"content_encoding": "gzip"}, lambda: GOOD),
    "a gzip that is cut off": ({"content_encoding": "gzip"}, lambda: gzip.compress(GOOD)[:-4]),
    "another `Content-Encoding` (`br`)": ({"content_encoding": "br"}, lambda: GOOD),
    "10 MB": ({}, lambda: b" " * 10_000_000),
    "shorter than its `Content-Length`": ({"content_length": "99"}, lambda: GOOD),
}
ERROR_RESPONSES = table("Error responses with an unreadable body")


def test_every_unreadable_error_response_is_run() -> None:
    """The page would describe a response that no test tries, or omit one."""
    assert {row[0] for row in ERROR_RESPONSES} == set(UNREADABLE)


@pytest.mark.parametrize("row", ERROR_RESPONSES, ids=lambda row: " ".join(row[:3]))
def test_error_response_without_a_readable_body_counts(
    serve: Serve, http_response: HttpResponse, row: list[str]
) -> None:
    """Each call would send three requests to a server, despite its Retry-After."""
    body, status, header, outcome, requests = row
    headers, make = UNREADABLE[body]
    name, colon, value = header.strip("`()").partition(": ")
    if colon:
        headers = headers | {name.lower(): value}
    server = serve(http_response(make(), int(status), **headers))
    connection = connected("orocommerce", server.url, 20.0)
    for _ in range(3):
        check(connection, outcome)

    assert len(server.received) == int(requests)


def test_response_cut_off_at_any_byte_gives_no_token(
    serve: Serve, http_response: HttpResponse
) -> None:
    """Half a token would be used."""
    bodies = iter([GOOD[:length] for length in range(len(GOOD))])

    def next_body(server: RawServer, connection: Any) -> None:
        server.read_request(connection)
        connection.sendall(http_response(next(bodies)))

    server = serve(next_body)  # type: ignore[arg-type]
    (outcome,) = [
        row[1] for row in table("Responses that this page can't quote") if row[0] == CUT_OFF
    ]
    for _ in GOOD:
        check(connected("orocommerce", server.url, 20.0), outcome)
    assert next(bodies, None) is None


BOMBED = """
import resource, sys, threading, keyturn

def token(url):
    try:
        return keyturn.connect(
            "orocommerce", url="https://shop.example", token_url=url, client_id="cid",
            client_secret="made-up", store="memory://",
        ).token().access_token
    except keyturn.errors.KeyturnError as error:
        return f"{type(error).__name__}: {error}"

plain, bomb = sys.argv[1:]
assert token(plain) == "t0ken"  # from now on everything is imported and built
used = 4096 * int(open("/proc/self/statm").read().split()[0])
# A new thread alone reserves 8 MB for its stack.
threading.stack_size(1 << 20)
resource.setrlimit(resource.RLIMIT_AS, (used + 48 * 2**20,) * 2)
print(token(bomb))
"""


def test_compression_bomb_is_rejected_with_little_memory(
    serve: Serve, http_response: HttpResponse, token_response: bytes, run_python: Callable[..., str]
) -> None:
    """A response of 200 KB would fill the memory of the machine."""
    bomb = serve(http_response(pumped(200, GZIP), content_encoding="gzip"))
    said = run_python(BOMBED, serve(token_response).url, bomb.url)

    assert said.startswith("InvalidTokenResponse: ")
    assert "larger than 1048576 bytes" in said


@pytest.mark.parametrize("row", table("What providers add"), ids=lambda row: " ".join(row[:4])[:60])
def test_response_of_a_provider_is_read_as_documented(
    serve: Serve, http_response: HttpResponse, row: list[str]
) -> None:
    """A provider's own errors would be misread, and the user would get the wrong advice."""
    provider, status, kind, body, outcome = row
    text = body.split("`")[1]
    response = http_response(text.encode(), int(status), content_type=kind.strip("`"))
    seconds = 0.3 if "Unavailable" in outcome else 20.0

    check(connected(provider.strip("`"), serve(response).url, seconds), outcome)


@pytest.mark.parametrize("provider", NEEDED)
def test_secret_is_never_sent_to_a_second_host(
    serve: Serve, http_response: HttpResponse, token_response: bytes, provider: str
) -> None:
    """An attacker who makes a token endpoint redirect would get the secret."""
    other = serve(token_response)
    targets = [
        other.url,
        other.url.removeprefix("http:"),
        other.url.replace("127.0.0.1", "localhost"),
    ]
    for status in (*range(300, 309), 399):
        for target in targets:
            response = http_response(b"", status, location=target)
            check(connected(provider, serve(response).url, 20.0), "`InvalidTokenResponse`")
    page = b'<meta http-equiv="refresh" content="0; url=%s">' % other.url.encode()
    pointers = [
        (http_response(page, content_type="text/html", refresh=f"0; url={other.url}"),
         "`InvalidTokenResponse`"),
        (http_response(b"", 201, location=other.url), "`InvalidTokenResponse`"),
        (http_response(b"", 401, www_authenticate='Basic realm="x"', location=other.url),
         "`InvalidClient`"),
        (http_response(GOOD, alt_svc=f'h2="127.0.0.1:{other.port}"', location=other.url),
         "a token"),
    ]  # fmt: skip
    for response, outcome in pointers:
        check(connected(provider, serve(response).url, 20.0), outcome)

    assert other.received == []


@pytest.mark.parametrize("provider", NEEDED)
def test_redirect_of_the_emulator_is_not_followed(provider: str, serve: Serve) -> None:
    """The token requests of a provider would follow a redirect."""
    other = serve(b"")
    with keyturn.testing.Emulator() as emulator:
        emulator.fault(provider, "redirect", location=other.url)
        connection = keyturn.connect(provider, store="memory://", **emulator.settings(provider))
        with pytest.raises(keyturn.errors.InvalidTokenResponse, match="redirects"):
            connection.token()
        assert emulator.token_requests(provider) == 1
        assert connection.token().access_token
    assert other.received == []


@pytest.mark.parametrize("granted", ["read", "other", ""])
def test_narrower_scope_is_logged(
    serve: Serve,
    http_response: HttpResponse,
    caplog: pytest.LogCaptureFixture,
    granted: str,
) -> None:
    """The user would not learn why an API rejects the token, or would get no token."""
    server = serve(http_response(json.loads(GOOD) | {"scope": granted}))
    settings = (
        CREDENTIALS | NEEDED["orocommerce"] | {"scope": "read write", "token_url": server.url}
    )
    connection = keyturn.connect("orocommerce", store="memory://", **settings)

    # RFC 6749 section 5.1: a response that names no scope means the requested one.
    assert connection.token().scope == (granted or "read write")
    assert (f"granted the scope {granted!r}" in caplog.text) == bool(granted)


# --- fuzzing: only keyturn's own errors are raised ---

ORO_ERROR = b'{"error":"invalid_client","error_description":"failed","hint":"x","message":"failed"}'
LAYER_ERROR = (
    b'{"errors":[{"title":"invalid_client","detail":"x","code":"UNAUTHORIZED","status":401}]}'
)
LAYER_TOKEN = (
    b'{"access_token":"eyJhbGciOiJSUzUxMiJ9.eyJvcmdhbml6YXRpb24iOnsic2x1ZyI6ImFjbWUifX0.eA",'
    b'"token_type":"bearer","expires_in":7200,"scope":"market:all","created_at":1719999999}'
)
REAL = [GOOD, ORO_ERROR, LAYER_ERROR, LAYER_TOKEN, b'{"error":"invalid_scope"}', b"<html></html>"]
PIECES = st.binary(max_size=4) | st.sampled_from(
    [b"null", b"[]", b"{}", b'"', b"1e400", b"NaN", b"\\ud800", b"9" * 5000, b"[" * 2000, b"\xff"]
)
EDITS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 20), PIECES), max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["access_token", "token_type", "expires_in", "scope", "created_at", "error", "errors", "hint",
     "error_description", "title", "detail", "code", "status", "message"]
)  # fmt: skip


def edited(original: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Return bytes with pieces of it replaced."""
    for start, length, piece in edits:
        original = original[:start] + piece + original[start + length :]
    return original


def refilled(original: bytes, fields: dict[str, Any]) -> bytes:
    """Return a JSON object with other fields, in it and in the first of its `errors`."""
    try:
        found = json.loads(original)
    except ValueError:
        return original
    if "errors" in found:
        found["errors"][0] |= fields
    return json.dumps(found | fields).encode()


MUTATED = st.builds(edited, st.sampled_from(REAL), EDITS) | st.builds(
    refilled, st.sampled_from(REAL), st.dictionaries(NAMES, VALUES, max_size=4)
)
TYPES = st.sampled_from(["application/json", "application/json;charset=x", "text/html", "", "\x00"])
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 408, 429, 500, 503, 599])


class Canned:
    """A transport with one fixed response."""

    def __init__(self, response: keyturn.plugins.Response) -> None:
        self.response = response

    def send(
        self, request: keyturn.plugins.TokenRequest, seconds: float, clock: Clock, policy: object
    ) -> keyturn.plugins.Response:
        """Return the response."""
        return self.response


SLEEPLESS = Clock(time=time.time, monotonic=time.monotonic, sleep=lambda _: None)


def responding(provider: str, response: keyturn.plugins.Response) -> keyturn.Connection:
    """Return a connection whose token endpoint always sends one response; it never sleeps."""
    usual = connected(provider, "https://shop.example/token", 30.0)
    return make_connection(
        Specification(usual.provider, usual.settings),
        keyturn.stores.from_url("memory://"),
        clock=SLEEPLESS,
        transport=Canned(response),
    )


@pytest.mark.parametrize("provider", NEEDED)
@given(
    status=STATUSES,
    kind=TYPES,
    body=MUTATED,
    retry_after=st.text(max_size=12) | st.integers().map(str),
)
def test_mutated_response_gives_a_token_or_an_error_of_keyturn(
    provider: str, status: int, kind: str, body: bytes, retry_after: str
) -> None:
    """A hostile response would raise another error, or be read as a token."""
    headers = {"content-type": kind, "retry-after": retry_after}
    connection = responding(provider, keyturn.plugins.Response(status, headers, body, time.time()))
    try:
        token = connection.token()
    except keyturn.errors.KeyturnError as error:
        shown = str(error)
        assert shown.startswith(f"{provider}: ")
        # A read_token that raises is reported as a defect of the provider.
        assert "is a defect" not in shown
        assert shown.isprintable()
        assert SECRET not in shown
        return
    assert status == 200
    assert token.access_token.isascii()
    assert token.access_token.isprintable()
    assert " " not in token.access_token
    assert token.token_type.lower() == "bearer"
    assert 0 < token.lifetime <= 31_536_000
    assert connection.token() == token


SHAPES: dict[str, dict[str, Any]] = {
    "nested": {"token_field": "errors.0.title", "lifetime_field": "errors.0.status"},
    "whole body": {"token_field": "", "missing_lifetime": 60.0},
    "milliseconds": {"lifetime_format": "milliseconds", "token_type": ""},
    "epoch": {"lifetime_field": "created_at", "lifetime_format": "epoch_milliseconds"},
    "date": {"lifetime_field": "scope", "lifetime_format": "date", "scope_separator": ","},
    "errors": {"error_field": "errors.0.code", "error_codes": {"1": "invalid_client"}},
    "API URL in the response": {"api_url_field": "scope", "api_domains": ("shop.example",)},
}


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=25)
@given(status=STATUSES, kind=TYPES, body=MUTATED, date=st.text(max_size=30))
def test_mutated_response_gives_a_token_or_an_error_under_any_mapping(
    shape: str, status: int, kind: str, body: bytes, date: str
) -> None:
    """A provider declared as data would raise another error for a hostile response."""
    plain = responding("orocommerce", keyturn.plugins.Response(status, {}, b""))
    provider = type("Shaped", (keyturn.plugins.Provider,), {
        "name": "shaped", "token_url": "https://shop.example/token",
        "settings": type(plain.settings), **SHAPES[shape],
    })()  # fmt: skip
    headers = {"content-type": kind, "date": date}
    said = ""
    try:
        connection = make_connection(
            Specification(provider, plain.settings),
            keyturn.stores.from_url("memory://"),
            clock=SLEEPLESS,
            transport=Canned(keyturn.plugins.Response(status, headers, body, time.time())),
        )
        token = connection.token()
        assert token.access_token.isascii()
        assert token.access_token.isprintable()
        assert 0 < token.lifetime <= 31_536_000
        assert connection.api_url
    except keyturn.errors.KeyturnError as error:
        said = str(error)
    assert "is a defect" not in said


@settings(max_examples=25)
@given(status=st.sampled_from([200, 401, 403, 500]), kind=TYPES, body=MUTATED)
@pytest.mark.parametrize("provider", NEEDED)
def test_mutated_api_response_is_returned_unchanged(
    provider: str, status: int, kind: str, body: bytes
) -> None:
    """A hostile 401 response of an API would raise in the adapter."""
    endpoint = keyturn.plugins.Response(
        200, {"content-type": "application/json"}, LAYER_TOKEN, time.time()
    )
    connection = responding(provider, endpoint)
    headers = {"content-type": kind} if kind.isprintable() else {}
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, content=body))
    auth = keyturn.integrations.httpx.KeyturnAuth(connection)
    with httpx.Client(auth=auth, transport=transport) as client:
        response = client.get(f"{connection.api_url}/x")
    assert (response.status_code, response.content) == (status, body)
