"""Adapters with a hostile API: where tokens are sent, and how many token requests are made."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import ssl
import threading
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3
from tests.conftest import for_each

import keyturn
from keyturn.errors import ForeignOrigin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from tests.conftest import RawServer, World

Send: TypeAlias = "Callable[..., tuple[int, bytes]]"
Serve: TypeAlias = "Callable[[Any], RawServer]"
HttpResponse: TypeAlias = "Callable[..., bytes]"

# The most renewals that an API's 401 responses cause at once; two more each minute.
FORCED = 5
# The limit returns one token in half a minute: enough for a slow machine.
MOST = 1 + FORCED + 4
# Enough requests to exceed it.
MANY = MOST + 1
# Loading the usual certificates takes 30 ms for each client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def send_by_httpx(
    connection: keyturn.Connection,
    method: str,
    url: str,
    body: Iterable[bytes] = (),
    *,
    library: Any = httpx,
    **options: Any,
) -> tuple[int, bytes]:
    """Send a request with `httpx.Client`; return status and body of the response."""
    auth = getattr(keyturn.integrations, library.__name__).KeyturnAuth(connection)
    with library.Client(auth=auth, follow_redirects=True, verify=NO_TLS, trust_env=False) as client:
        content = iter(body) if body else None
        response = client.request(method, url, content=content, **options)
    return response.status_code, response.content


send_by_httpx2 = functools.partial(send_by_httpx, library=httpx2)


async def pieces(body: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a body."""
    for piece in body:
        yield piece


def send_by_async_httpx(
    connection: keyturn.Connection,
    method: str,
    url: str,
    body: Iterable[bytes] = (),
    **options: Any,
) -> tuple[int, bytes]:
    """Send a request with `httpx.AsyncClient`; return status and body of the response."""

    async def talk() -> tuple[int, bytes]:
        auth = keyturn.integrations.httpx.KeyturnAuth(connection)
        async with httpx.AsyncClient(
            auth=auth, follow_redirects=True, verify=NO_TLS, trust_env=False
        ) as client:
            content = pieces(body) if body else None
            response = await client.request(method, url, content=content, **options)
        return response.status_code, response.content

    return asyncio.run(talk())


def send_by_aiohttp(
    connection: keyturn.Connection,
    method: str,
    url: str,
    body: Iterable[bytes] = (),
    **options: Any,
) -> tuple[int, bytes]:
    """Send a request with `aiohttp.ClientSession`; return status and body of the response."""

    async def talk() -> tuple[int, bytes]:
        auth = keyturn.integrations.aiohttp.KeyturnAuth(connection)
        data = pieces(body) if body else None
        async with (
            aiohttp.ClientSession(middlewares=[auth]) as session,
            session.request(method, url, data=data, **options) as response,
        ):
            return response.status, await response.read()

    return asyncio.run(talk())


def send_by_requests(
    connection: keyturn.Connection,
    method: str,
    url: str,
    body: Iterable[bytes] = (),
    **options: Any,
) -> tuple[int, bytes]:
    """Send a request with `requests.Session`; return status and body of the response."""
    auth = keyturn.integrations.requests.KeyturnAuth(connection)
    data = iter(body) if body else None
    response = requests.request(method, url, auth=auth, data=data, timeout=20, **options)
    return response.status_code, response.content


def send_by_urllib3(
    connection: keyturn.Connection,
    method: str,
    url: str,
    body: Iterable[bytes] = (),
    **options: Any,
) -> tuple[int, bytes]:
    """Send a request with `urllib3.PoolManager`; return status and body of the response."""
    data = iter(body) if body else None
    adapter = keyturn.integrations.urllib3
    with adapter.KeyturnPoolManager(connection, timeout=20) as manager:
        response = manager.request(method, url, body=data, **options)
    return response.status, response.data


@pytest.fixture(
    params=[
        send_by_httpx,
        send_by_async_httpx,
        send_by_httpx2,
        send_by_aiohttp,
        send_by_requests,
        send_by_urllib3,
    ],
    ids=["httpx", "httpx-async", "httpx2", "aiohttp", "requests", "urllib3"],
)
def send(request: pytest.FixtureRequest) -> Send:
    """Send a request with the adapter that the parameter names."""
    way: Send = request.param
    return way


@pytest.fixture(scope="module")
def emulator() -> Iterator[keyturn.testing.Emulator]:
    """Yield an emulator without rate limits, so that only keyturn's own limit applies."""
    with keyturn.testing.Emulator(rate_limits=False) as running:
        yield running


class Api:
    """A hostile API, whose tokens the emulator issues."""

    def __init__(
        self, serve: Serve, emulator: keyturn.testing.Emulator, provider: str, response: bytes
    ) -> None:
        self.response: bytes | Callable[[bytes], bytes] = response
        self.server = serve(self._handle)
        self.url = self.server.url.removesuffix("/token")
        self.connection = keyturn.connect(
            provider,
            store="memory://",
            **(emulator.settings(provider) | {"api_url": self.url}),
        )
        self._emulator, self._provider = emulator, provider
        self._before = emulator.token_requests(provider)

    @property
    def token_requests(self) -> int:
        """Return how many token requests the test has caused."""
        return self._emulator.token_requests(self._provider) - self._before

    def _handle(self, server: RawServer, connection: socket.socket) -> None:
        if connection.recv(1, socket.MSG_PEEK) == b"\x16":
            return  # a TLS handshake
        request = server.read_request(connection)
        while b"chunked" in request and not request.endswith(b"\r\n0\r\n\r\n"):
            request += connection.recv(65_536)
        connection.sendall(self.response(request) if callable(self.response) else self.response)


@pytest.fixture
def api_of(serve: Serve, emulator: keyturn.testing.Emulator) -> Callable[[str, bytes], Api]:
    """Return a function that makes an API with the tokens of a provider."""
    return lambda provider, response: Api(serve, emulator, provider, response)


@pytest.fixture
def unauthorized(http_response: HttpResponse) -> bytes:
    """Return the response of an API that rejects every token."""
    fields = {"errors": [{"code": "INVALID_TOKEN", "status": "401"}]}
    return http_response(fields, 401, connection="close")


@pytest.mark.parametrize("provider", ["norce-commerce", "orocommerce"])
def test_api_that_rejects_every_token_does_not_use_up_the_rate_limit(
    api_of: Callable[..., Api], unauthorized: bytes, send: Send, provider: str
) -> None:
    """Each rejected API request would cost a token request, until the rate limit is used up."""
    api = api_of(provider, unauthorized)
    replies = [send(api.connection, "GET", f"{api.url}/x") for _ in range(MANY)]

    assert {status for status, _ in replies} == {401}
    assert all(b"INVALID_TOKEN" in body for _, body in replies)
    assert 1 + FORCED <= api.token_requests <= MOST
    # One renewal each: no request was sent a third time.
    assert len(api.server.received) == MANY + api.token_requests - 1


def test_api_that_rejects_a_repeated_token_does_not_use_up_the_rate_limit(
    api_of: Callable[..., Api], unauthorized: bytes, send: Send
) -> None:
    """Commerce Layer returns the same token again: every 401 would request it once more."""
    api = api_of("commercelayer", unauthorized)
    replies = [send(api.connection, "GET", f"{api.url}/x") for _ in range(MANY)]

    assert {status for status, _ in replies} == {401}
    assert 1 + FORCED <= api.token_requests <= MOST
    # The same token is not tried twice.
    assert len(api.server.received) == MANY


def test_api_that_rejects_every_token_does_not_use_up_the_rate_limit_of_threads(
    api_of: Callable[..., Api], unauthorized: bytes, send: Send
) -> None:
    """Callers that are rejected at the same time would each have their own limit."""
    api = api_of("norce-commerce", unauthorized)
    statuses: list[int] = []

    def work() -> None:
        statuses.extend(send(api.connection, "GET", f"{api.url}/x")[0] for _ in range(MANY))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [401] * 2 * MANY
    assert api.token_requests <= MOST


def test_limit_of_renewals_holds_over_time(world: World) -> None:
    """An API that rejects all tokens would use up the rate limit slowly instead of at once."""
    connection = world.connect()
    limits: list[keyturn.errors.RateLimited] = []
    for _ in range(1000):
        token = connection.token()
        world.clock.advance(3.6)
        try:
            connection.token(stale=token)
        except keyturn.errors.RateLimited as limited:
            limits.append(limited)

    assert all(0 < each.retry_after <= 30 for each in limits)
    assert all("keeps refusing new tokens" in str(each) for each in limits)
    assert len(limits) >= 1000 - FORCED - 2 * 60 - 1
    # In an hour: the first token, the renewals at once, two a minute, and one at the expiry.
    assert len(world.endpoint.requests) <= 1 + FORCED + 2 * 60 + 1


def test_forbidden_response_never_renews_the_token(
    emulator: keyturn.testing.Emulator, send: Send
) -> None:
    """Every forbidden request would cost a token request that cannot help."""
    before = emulator.token_requests("commercelayer")
    with keyturn.connect(
        "commercelayer", store="memory://", **emulator.settings("commercelayer")
    ) as connection:
        replies = [
            send(connection, "GET", f"{connection.api_url}/webhooks") for _ in range(FORCED + 1)
        ]

    assert {status for status, _ in replies} == {401}
    assert all(b"UNAUTHORIZED" in body for _, body in replies)
    assert emulator.token_requests("commercelayer") == before + 1


def test_upload_that_cannot_be_sent_again_returns_its_response(
    api_of: Callable[..., Api], http_response: HttpResponse, send: Send
) -> None:
    """The client would raise its own error for a body that is used up, or send an empty one."""
    refused = http_response(b"the API's own words", 401, connection="close")
    api = api_of("orocommerce", refused)
    replies = [
        send(api.connection, "POST", f"{api.url}/x", [b"once ", b"only"]) for _ in range(MANY)
    ]

    assert replies == [(401, b"the API's own words")] * MANY
    assert len(api.server.received) == MANY
    assert api.token_requests <= 1 + FORCED + 1


# --- hosts that may get a token, and hosts that may not ---


@pytest.fixture
def elsewhere(serve: Serve, http_response: HttpResponse) -> RawServer:
    """Yield another host."""
    return serve(http_response(b"elsewhere", connection="close"))


def leaked(server: RawServer, api: Api) -> list[bytes]:
    """Return the requests to another host that contained a token or a secret."""
    token = api.connection.token().access_token.encode()
    return [
        request
        for request in server.received
        if token in request or b"applicationid" in request.lower()
    ]


@for_each(
    "link",
    [
        "http://{other}/page/2",
        "//{other}/page/2",
        "https://{home}/page/2",
        "http://localhost:{port}/page/2",
        "http://{home}@{other}/page/2",
        "http://{other}#{home}/page/2",
        "http://{home}.{other}/page/2",
        "http://{home}0/page/2",
        "HTTP://{other}\\@{home}/page/2",
    ],
)
def test_pagination_link_to_another_host_gets_no_token(
    api_of: Callable[..., Api],
    http_response: HttpResponse,
    elsewhere: RawServer,
    send: Send,
    link: str,
) -> None:
    """The author of an API's responses could have the token sent to another host."""
    api = api_of("norce-commerce", b"")
    home, other = (url.removeprefix("http://") for url in (api.url, elsewhere.url))
    other = other.removesuffix("/token")
    following = link.format(home=home, other=other, port=elsewhere.port)
    api.response = http_response({"links": {"next": following}}, connection="close")
    _, page = send(api.connection, "GET", f"{api.url}/page/1")
    following = json.loads(page)["links"]["next"]
    following = f"http:{following}" if link.startswith("//") else following
    refused = (
        ForeignOrigin,
        httpx.InvalidURL,
        httpx2.InvalidURL,
        ValueError,  # aiohttp raises it for user information beside a header
        requests.exceptions.InvalidURL,
    )
    with pytest.raises(refused):
        send(api.connection, "GET", following, headers={"Authorization": "Bearer the-callers-own"})

    assert elsewhere.received == []
    assert len(api.server.received) == 1


def moved(http_response: HttpResponse, to: str, status: int = 307) -> bytes:
    """Return a response that redirects."""
    return http_response(b"", status, location=to, connection="close")


@for_each(("status", "method"), product([301, 302, 303, 307, 308], ["GET", "POST"]))
def test_redirect_over_several_hops_takes_no_token_along(
    api_of: Callable[..., Api],
    http_response: HttpResponse,
    elsewhere: RawServer,
    send: Send,
    status: int,
    method: str,
) -> None:
    """A token kept at a first redirect, within the API, would leave it at the second one."""
    elsewhere.received.clear()
    api = api_of("norce-commerce", b"")

    def response(request: bytes) -> bytes:
        if request.split()[1] == b"/needs-application" and b"applicationid" not in request.lower():
            return http_response(b"", 400, connection="close")
        target = "/needs-application" if b"/first" in request.split()[1] else elsewhere.url
        return moved(http_response, target, status)

    api.response = response
    assert send(api.connection, method, f"{api.url}/first") == (200, b"elsewhere")
    assert elsewhere.received
    assert leaked(elsewhere, api) == []
    assert api.token_requests == 1


def test_callers_own_authorization_does_not_return_on_another_host(
    api_of: Callable[..., Api], http_response: HttpResponse, elsewhere: RawServer, send: Send
) -> None:
    """A token that the caller set would be sent to another host."""
    api = api_of("norce-commerce", moved(http_response, elsewhere.url))
    headers = {"Authorization": "Bearer the-callers-own", "ApplicationId": "7"}
    send(api.connection, "GET", f"{api.url}/x", headers=headers)

    token = api.connection.token().access_token.encode()
    assert b"Bearer " + token in api.server.received[0]
    assert all(
        b"the-callers-own" not in request for request in (*api.server.received, *elsewhere.received)
    )
    assert token not in elsewhere.received[0]


def test_error_response_after_a_redirect_renews_nothing(
    api_of: Callable[..., Api],
    serve: Serve,
    http_response: HttpResponse,
    unauthorized: bytes,
    send: Send,
) -> None:
    """Another host could make keyturn renew tokens, or receive a new one."""
    other = serve(unauthorized)
    api = api_of("norce-commerce", moved(http_response, other.url))
    replies = [send(api.connection, "GET", f"{api.url}/x") for _ in range(5)]

    assert {status for status, _ in replies} == {401}
    assert (api.token_requests, len(other.received), len(api.server.received)) == (1, 5, 5)
    assert leaked(other, api) == []


@for_each("to", ["https://{home}/x", "http://localhost:{port}/x", "//{other}/x"])
def test_redirect_to_another_port_or_scheme_takes_no_token_along(
    api_of: Callable[..., Api],
    http_response: HttpResponse,
    elsewhere: RawServer,
    send: Send,
    to: str,
) -> None:
    """Another service on the API's host would get the token."""
    elsewhere.received.clear()
    api = api_of("norce-commerce", b"")
    home = api.url.removeprefix("http://")
    other = f"127.0.0.1:{elsewhere.port}"
    target = to.format(home=home, other=other, port=elsewhere.port)
    api.response = moved(http_response, target)
    try:
        send(api.connection, "GET", f"{api.url}/x?to={quote(target)}")
    except (
        httpx.HTTPError,
        httpx2.HTTPError,
        aiohttp.ClientError,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
    ):
        assert to.startswith("https:")  # the server doesn't speak TLS
    else:
        assert len(elsewhere.received) == 1

    assert leaked(elsewhere, api) == []


class Badge(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
    """A platform that expects the token in its own header."""

    name = "badge"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://replaced.example"
    authorization_header = "X-Badge"
    authorization_scheme = ""


@pytest.fixture
def badge(
    serve: Serve, token_response: bytes, http_response: HttpResponse, elsewhere: RawServer
) -> Iterator[tuple[keyturn.Connection, RawServer]]:
    """Yield a connection with its own header, and an API that redirects to another host."""
    api = serve(moved(http_response, elsewhere.url))
    settings = keyturn.plugins.ConfidentialSettings(
        client_id="cid",
        client_secret=keyturn.Secret("s3cret-for-tests"),
        token_url=serve(token_response).url,
        api_url=api.url,
    )
    store = keyturn.stores.from_url("memory://")
    with keyturn.Connection(Badge(), settings, store=store) as connection:
        yield connection, api


def test_token_in_another_header_does_not_follow_a_redirect(
    badge: tuple[keyturn.Connection, RawServer], elsewhere: RawServer, send: Send
) -> None:
    """The clients strip `Authorization` alone: the token would go to another host."""
    connection, api = badge
    own = {"X-Badge": "the caller's own"}
    assert send(connection, "GET", api.url, headers=own) == (200, b"elsewhere")

    assert b"caller" not in api.received[0]
    assert b"x-badge: t0ken\r\n" in api.received[0].replace(b"X-Badge", b"x-badge")
    assert b"t0ken" not in elsewhere.received[0]
    with pytest.raises(ForeignOrigin):
        send(connection, "GET", elsewhere.url)
    assert len(elsewhere.received) == 1
