"""Error responses: status and code count together, and transient failures are not cached."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import World, for_each

import keyturn
from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    Platform = Callable[..., keyturn.Connection]

URL = "https://login.acme.example/token"
JSON, TEXT, HTML = "application/json", "text/plain", "text/html"


def failure(
    world: World,
    status: int,
    content: object,
    kind: str = JSON,
    headers: dict[str, str] | None = None,
    *,
    connect: Callable[[], keyturn.Connection] | None = None,
) -> tuple[errors.KeyturnError, bool]:
    """Return the error of a response, and whether the negative cache keeps it."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = keyturn.plugins.Response(status, {"content-type": kind} | (headers or {}), body)
    world.endpoint.responses = [response] * 3
    connection = connect() if connect else world.connect(token_url=URL)
    with pytest.raises(errors.KeyturnError) as caught:
        connection.token()
    key = connection.token_request().fingerprint
    return caught.value, world.store.read(f"refused-{key}") is not None


@pytest.mark.parametrize(
    ("own", "status", "headers", "kind"),
    [
        ("LOGIN_8", 500, {}, errors.InvalidClient),
        ("LOGIN_8", 503, {"retry-after": "7"}, errors.InvalidClient),
        ("LOGIN_8", 400, {"retry-after": "7"}, errors.InvalidClient),
        ("LOGIN_9", 500, {}, errors.EndpointUnavailable),
        ("invalid_client", 500, {}, errors.EndpointUnavailable),
        ("BUSY", 500, {}, errors.EndpointUnavailable),
        ("BUSY", 400, {}, errors.EndpointUnavailable),
        ("SLOW", 503, {}, errors.EndpointUnavailable),
        ("LOGIN_8", 429, {}, errors.RateLimited),
    ],
)
def test_codes_of_a_platform_count_at_any_status(
    world: World,
    platform: Platform,
    own: str,
    status: int,
    headers: dict[str, str],
    kind: type[errors.KeyturnError],
) -> None:
    """A wrong password in a SOAP fault (status 500) would be retried, and the account locked."""
    codes = {
        "LOGIN_8": "invalid_client",
        "BUSY": "temporarily_unavailable",
        "SLOW": "slow_down",
    }

    def connect() -> keyturn.Connection:
        return platform({"error_codes": codes})

    found, is_kept = failure(world, status, {"error": own}, headers=headers, connect=connect)

    assert type(found) is kind
    assert is_kept == isinstance(found, errors.TokenRequestRefused)


def test_407_without_a_proxy_names_no_variable(world: World) -> None:
    """The user would set HTTPS_PROXY, which a request to an http:// address does not use."""
    world.endpoint.responses.append(keyturn.plugins.Response(407, {}, b""))
    connection = world.connect(token_url="http://127.0.0.1:9/token")
    with pytest.raises(errors.TokenRequestRefused) as caught:
        connection.token()
    assert "http://127.0.0.1:9/token responds like a proxy" in caught.value.hint
    assert "HTTPS_PROXY" not in caught.value.hint


Row = tuple[int, object, str, type[errors.KeyturnError], str]
CREDENTIALS = "client_id and client_secret"
PERMANENT: list[Row] = [
    (401, {"error": "unauthorized_client"}, JSON, errors.InvalidClient, CREDENTIALS),
    (401, {"error": "invalid_request"}, JSON, errors.InvalidClient, CREDENTIALS),
    (401, {"error": "own_code"}, JSON, errors.InvalidClient, CREDENTIALS),
    (401, b"no", TEXT, errors.InvalidClient, CREDENTIALS),
    (401, {"error": "invalid_scope"}, JSON, errors.InvalidScope, "scope"),
    (400, {"error": "unauthorized_client"}, JSON, errors.TokenRequestRefused, "grant"),
    (401, {"error": "unsupported_grant_type"}, JSON, errors.TokenRequestRefused, "grant_type"),
    (400, {"error": "invalid_client"}, TEXT, errors.InvalidClient, CREDENTIALS),
    (400, {"error": "invalid_scope"}, TEXT, errors.InvalidScope, "scope"),
    (400, {"error": "invalid_scope"}, HTML, errors.InvalidScope, "scope"),
    (400, {"error": "invalid_scope"}, "", errors.InvalidScope, "scope"),
    (400, b"\xef\xbb\xbf" + b'{"error":"invalid_scope"}', JSON, errors.InvalidScope, "scope"),
    (400, b"invalid_scope\n", TEXT, errors.InvalidScope, "scope"),
    (403, b"", TEXT, errors.TokenRequestRefused, f"{URL} denies access"),
    (403, {"error": "own_code"}, JSON, errors.TokenRequestRefused, f"{URL} denies access"),
    (403, {"error": "invalid_client"}, JSON, errors.InvalidClient, CREDENTIALS),
    (
        404,
        {"error": "not_found"},
        JSON,
        errors.TokenRequestRefused,
        f"{URL} does not exist: check",
    ),
    (
        404,
        b"<html>",
        HTML,
        errors.TokenRequestRefused,
        f"{URL} does not exist: check",
    ),
    (405, b"", HTML, errors.TokenRequestRefused, f"{URL} does not accept this method"),
    (407, b"", HTML, errors.TokenRequestRefused, "HTTPS_PROXY"),
    (410, b"", HTML, errors.TokenRequestRefused, f"{URL} no longer exists"),
    (415, b"", HTML, errors.TokenRequestRefused, "body_format"),
    (
        406,
        b"",
        HTML,
        errors.TokenRequestRefused,
        f"{URL} does not support the accepted content type",
    ),
    (413, b"", HTML, errors.TokenRequestRefused, f"too large for {URL}"),
    (414, b"", HTML, errors.TokenRequestRefused, "check body_format"),
    (421, b"", HTML, errors.TokenRequestRefused, f"not responsible for {URL}"),
    (431, b"", HTML, errors.TokenRequestRefused, f"headers are too large for {URL}"),
    (451, b"", HTML, errors.TokenRequestRefused, f"{URL} denies access for legal reasons"),
    (400, b"", HTML, errors.TokenRequestRefused, f"Check token_url ({URL})"),
    (418, b"", HTML, errors.TokenRequestRefused, f"Check token_url ({URL})"),
    (
        400,
        {"error": "own_code"},
        JSON,
        errors.TokenRequestRefused,
        "the permissions of this client",
    ),
]


@pytest.mark.usefixtures("world")
@for_each(("status", "content", "kind", "error", "words"), PERMANENT)
def test_status_and_code_count_together(
    status: int,
    content: object,
    kind: str,
    error: type[errors.KeyturnError],
    words: str,
) -> None:
    """The error would send the user to the wrong setting."""
    raised, is_kept = failure(World(), status, content, kind)

    assert type(raised) is error
    assert words in raised.hint
    assert is_kept


TRANSIENT: list[tuple[int, object, str, dict[str, str], type[errors.KeyturnError]]] = [
    (401, {"error": "temporarily_unavailable"}, TEXT, {}, errors.EndpointUnavailable),
    (401, b"temporarily_unavailable", TEXT, {}, errors.EndpointUnavailable),
    (400, {"error": "server_error"}, HTML, {}, errors.EndpointUnavailable),
    (403, {"error": "service_unavailable"}, JSON, {}, errors.EndpointUnavailable),
    (500, {"error": "invalid_client"}, JSON, {}, errors.EndpointUnavailable),
    (503, {"error": "unauthorized_client"}, TEXT, {}, errors.EndpointUnavailable),
    (425, b"", TEXT, {}, errors.EndpointUnavailable),
    (403, b"busy", TEXT, {"retry-after": "7"}, errors.EndpointUnavailable),
    (401, b"", TEXT, {"retry-after": "7"}, errors.EndpointUnavailable),
    (400, {"error": "slow_down"}, JSON, {}, errors.RateLimited),
    (403, {"error": "rate_limit_exceeded"}, TEXT, {"retry-after": "7"}, errors.RateLimited),
    (429, {"error": "invalid_client"}, JSON, {}, errors.RateLimited),
    (401, {"error": "SERVER_ERROR"}, JSON, {}, errors.EndpointUnavailable),
    (401, {"error": "overloaded"}, JSON, {}, errors.EndpointUnavailable),
    (401, {"error": "Throttled"}, JSON, {}, errors.RateLimited),
]


@pytest.mark.parametrize(("status", "content", "kind", "headers", "error"), TRANSIENT)
def test_transient_failure_is_not_cached(
    world: World,
    status: int,
    content: object,
    kind: str,
    headers: dict[str, str],
    error: type[errors.KeyturnError],
) -> None:
    """An error of a server that was busy for a second would be cached for half a minute."""
    raised, is_kept = failure(world, status, content, kind, headers)

    assert type(raised) is error
    assert not is_kept


def test_retry_after_does_not_cause_retries_of_wrong_credentials(world: World) -> None:
    """A wrong secret would be sent three times if a gateway adds `Retry-After` to each error."""
    raised, is_kept = failure(world, 401, {"error": "invalid_client"}, JSON, {"retry-after": "1"})

    assert isinstance(raised, errors.InvalidClient)
    assert is_kept


SPECIAL, PLAIN = "s3cr+t/%25&=é", "plain-secret-123"


@pytest.mark.parametrize(
    ("way", "secret", "hinted"),
    [
        ("client_secret_basic", SPECIAL, "client_secret_basic_raw"),
        ("client_secret_basic_raw", SPECIAL, '"client_secret_basic"'),
        ("client_secret_basic", PLAIN, ""),
        ("client_secret_post", SPECIAL, ""),
    ],
)
@pytest.mark.parametrize("status", [401, 403])
def test_hint_names_the_encoding_of_basic_credentials(
    world: World, platform: Platform, *, way: str, secret: str, hinted: str, status: int
) -> None:
    """A user would be asked to check a valid secret, and never find the cause."""
    data: dict[str, Any] = {"client_authentication": way, "token_headers": {"X-A": "b"}}
    raised, _ = failure(world, status, b"", connect=lambda: platform(data, client_secret=secret))

    assert ("another encoding" in raised.hint) == bool(hinted)
    assert hinted in raised.hint
    assert secret not in str(raised)


def test_orocommerce_reads_a_hint_in_text(world: World) -> None:
    """An error labelled as text would be reported as a defect of the provider."""
    content = {"error": "invalid_request", "error_description": "missing", "hint": "client_id"}
    raised, _ = failure(
        world,
        400,
        content,
        TEXT,
        connect=lambda: world.connect("orocommerce", url="https://a.example"),
    )

    assert "client_id" in raised.message
