"""The headers of a request that was redirected."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import socket
import socketserver
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import pytest
import requests
from tests.conftest import for_each

import keyturn

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "made-up-token-canary"


def redirect(site: Any, to: str, status: int = 307) -> str:
    """Return an address of a site that redirects."""
    return f"{site.url}/redirect?status={status}&to={quote(to, safe='')}"


def auth_for(library: Any, connection: keyturn.Connection) -> Any:
    """Return the adapter for httpx or httpx2."""
    return getattr(keyturn.integrations, library.__name__).KeyturnAuth(connection)


@for_each("status", [301, 302, 303, 307, 308])
def test_redirect_to_another_host_leaks_nothing(
    connect: Any, api: Any, elsewhere: Any, client_class: type[Any], status: int
) -> None:
    """The target of a redirect would get the token and the application ID."""
    elsewhere.requests.clear()
    client = client_class(connect())
    for method in ("GET", "POST"):
        client.send(method, redirect(api, f"{elsewhere.url}/open", status))
    assert len(elsewhere.requests) == 2
    for arrived in elsewhere.requests:
        assert not {"authorization", "applicationid"} & arrived.headers.keys()
        assert CANARY not in str(arrived)


def test_redirect_to_another_host_after_renewal_leaks_nothing(
    connect: Any, api: Any, elsewhere: Any, client_class: type[Any]
) -> None:
    """The renewed request would leak the token that the first one does not."""
    client = client_class(connect())
    client.send("GET", api.url)
    api.forget_tokens()
    reply = client.send("GET", redirect(api, f"{elsewhere.url}/open"))
    assert (reply.status, api.token_requests) == (200, 2)
    assert not {"authorization", "applicationid"} & elsewhere.requests[0].headers.keys()


def test_rejection_by_another_host_renews_nothing(
    connect: Any, api: Any, elsewhere: Any, client_class: type[Any]
) -> None:
    """Another host could make keyturn renew tokens, or receive one."""
    reply = client_class(connect()).send("GET", redirect(api, f"{elsewhere.url}/never"))
    assert (reply.status, reply.url) == (401, f"{elsewhere.url}/never")
    assert (api.token_requests, len(elsewhere.requests)) == (1, 1)


def test_redirect_to_another_host_and_back_carries_no_token(
    connect: Any, api: Any, elsewhere: Any, client_class: type[Any]
) -> None:
    """Another host could choose what is done at the API with the token."""
    back = f"{elsewhere.url}/open/redirect?status=307&to={quote(f'{api.url}/x', safe='')}"
    reply = client_class(connect()).send("GET", redirect(api, back))
    assert (reply.status, reply.url, api.token_requests) == (401, f"{api.url}/x", 1)
    assert "authorization" not in api.api_requests[-1].headers


# `{other}` is a port where another service listens.
NAMES = (
    *("http://{host}/open", "HTTP://{host}/open", "//{host}/open", "/open", "open"),
    *("http://localhost:{port}/open", "http://LOCALHOST:{port}/open", "http://user:x@{host}/open"),
    *("http://localhost.:{port}/open", "http://127.0.0.2:{port}/open", "http://[::1]:{port}/open"),
    *("http://127.0.0.1:{other}/open", "//127.0.0.1:{other}/open", "////127.0.0.1:{other}/open"),
    *("http://{host}@127.0.0.1:{other}/open", "http://127.0.0.1:{other}\\@{host}/open"),
    *("http://{host}\\@127.0.0.1:{other}/open", "http://127.0.0.1:{other}#@{host}/open"),
    *("////{host}/open", "/\\127.0.0.1:{other}/open", "ht\ttp://127.0.0.1:{other}/open"),
    *("http://127.1:{other}/open", "http://0x7f.1:{other}/open", "http://%3127.0.0.1:{port}/open"),
    *("http://\uff4cocalhost:{port}/open", "http://l\u2092calhost:{other}/open"),
    *("http://[::1%25lo]:{port}/open", "http://[::ffff:127.0.0.1]:{port}/open"),
)


def test_other_names_of_this_machine_get_no_token(
    connect: Any, api: Any, elsewhere: Any, client_class: type[Any]
) -> None:
    """Another service of this machine would get the token, or the API under another name."""
    client = client_class(connect())
    host = api.url.removeprefix("http://")
    port, other = int(host.rpartition(":")[2]), elsewhere.url.rpartition(":")[2]
    with contextlib.ExitStack() as stack:
        sites = [elsewhere]
        for address in ("127.0.0.2", "::1"):
            with contextlib.suppress(OSError):  # not every machine has both
                sites.append(stack.enter_context(type(api)(address, port)))
        for number, name in enumerate(NAMES):
            to = name.format(host=host, port=port, other=other)
            if number < 3:
                api.forget_tokens()
            with contextlib.suppress(*client.failures, ValueError):
                client.send("GET", redirect(api, to, (301, 302, 303, 307, 308)[number % 5]))
    foreign = [arrived for site in sites for arrived in site.requests]
    foreign += [each for each in api.api_requests if each.headers["host"].lower() != host]
    own = [each for each in api.api_requests if each.path.startswith("/redirect")]
    assert {each.headers["host"].partition(":")[0] for each in foreign} > {
        "localhost",
        "127.0.0.1",
    }
    assert CANARY not in str(foreign)
    assert "applicationid" not in str(foreign)
    assert len(own) >= len(NAMES)
    assert all("applicationid" in each.headers for each in own)
    assert all(CANARY in each.headers["authorization"] for each in own)


@for_each(
    ("to", "method"),
    product(["{url}/needs-application", "/needs-application", "//{host}/x"], ["GET", "POST"]),
)
def test_redirect_within_the_api_keeps_its_headers(
    connect: Any, api: Any, client_class: type[Any], to: str, method: str
) -> None:
    """An API that redirects to another of its paths would reject the request."""
    api.requests.clear()
    to = to.format(url=api.url, host=api.url.removeprefix("http://"))
    reply = client_class(connect()).send(method, redirect(api, to), content=b"body")
    assert (reply.status, reply.body) == (200, b"fine: body")
    assert api.token_requests == 1


def test_redirect_within_the_api_of_a_plain_provider_keeps_its_headers(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """The provider's `Accept` would be lost at the redirect."""
    client_class(connect("orocommerce")).send("GET", redirect(api, "/x"))
    first, *bare, last = [request.headers["accept"] for request in api.api_requests]
    assert first == last == "application/vnd.api+json"
    assert bare == (["*/*"] if client_class.follows_bare else [])


def test_redirect_to_a_public_resource_of_the_api_keeps_its_headers(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """An API that also serves anonymous clients would not know the caller."""
    assert client_class(connect()).send("GET", redirect(api, "/open")).status == 200
    sent = [request.headers for request in api.api_requests]
    assert sent[-1]["authorization"] == f"Bearer {CANARY}-1"
    assert sent[-1]["applicationid"] == "1042"
    assert len(sent) == (3 if client_class.follows_bare else 2)


def test_httpx_redirected_post_is_not_sent_twice(
    connect: Any, api: Any, library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An order would be placed twice, or anonymously without a log message."""
    auth = auth_for(library, connect(name="shop"))
    with library.Client(auth=auth, follow_redirects=True) as client:
        assert client.post(redirect(api, "/open"), content=b"order").status_code == 200
    assert [request.body for request in api.api_requests] == [b"order", b"order"]
    assert "shop: a redirected POST request succeeded without the token" in caplog.text


def test_rejection_after_a_redirect_within_the_api_renews_the_token(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """A token revoked between two redirects would not be renewed."""
    reply = client_class(connect()).send("GET", redirect(api, "/never"))
    assert (reply.status, api.token_requests) == (401, 2)


@for_each(
    "to",
    [
        "http://{host}@127.0.0.1:{port}/open",
        "http://{host}\\@127.0.0.1:{port}/open",
        "//127.0.0.1:{port}/open",
        "http://LOCALHOST:{port}/open",
    ],
)
def test_ambiguous_redirects_leak_nothing(
    connect: Any, api: Any, elsewhere: Any, client_class: type[Any], to: str
) -> None:
    """A URL that parsers read differently would take the token to another host."""
    port = elsewhere.url.rpartition(":")[2]
    to = to.format(host=api.url.removeprefix("http://"), port=port)
    with contextlib.suppress(*client_class.failures):
        client_class(connect()).send("GET", redirect(api, to))
    assert CANARY not in str(elsewhere.requests)
    assert "applicationid" not in str(elsewhere.requests)


def test_callers_own_application_id_is_kept(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """A header that the caller set would be replaced at a redirect."""
    given = {"ApplicationId": "7"}
    client_class(connect()).send("GET", redirect(api, "/x"), headers=given)
    assert {request.headers["applicationid"] for request in api.api_requests} == {"7"}


def test_requests_redirect_followed_manually_leaks_nothing(
    connect: Any, api: Any, elsewhere: Any
) -> None:
    """A redirect that the caller follows manually would carry keyturn's headers."""
    auth = keyturn.integrations.requests.KeyturnAuth(connect())
    to = redirect(api, f"{elsewhere.url}/open")
    with requests.Session() as session:
        response = session.get(to, auth=auth, allow_redirects=False, timeout=10)
        assert response.next is not None
        session.send(response.next)
    (arrived,) = elsewhere.requests
    assert not {"authorization", "applicationid"} & arrived.headers.keys()


def test_requests_redirect_within_the_api_ignores_netrc(
    connect: Any, api: Any, elsewhere: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry of .netrc would replace the token at a redirect."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password made-up", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    auth = keyturn.integrations.requests.KeyturnAuth(connect())
    with requests.Session() as session:
        assert session.get(redirect(api, "/x"), auth=auth, timeout=10).status_code == 200
        session.get(redirect(api, f"{elsewhere.url}/open"), auth=auth, timeout=10)
    assert elsewhere.requests[0].headers["authorization"].startswith("Basic ")
    assert api.token_requests == 1


def test_requests_copies_of_a_request_leak_nothing(connect: Any, api: Any, elsewhere: Any) -> None:
    """A request that is sent again elsewhere, or its history, would carry keyturn's headers."""
    auth = keyturn.integrations.requests.KeyturnAuth(connect())
    with requests.Session() as session:
        prepared = session.prepare_request(
            requests.Request("GET", redirect(api, f"{elsewhere.url}/open"), auth=auth)
        )
        for _ in range(2):
            response = session.send(prepared)
        (first,) = response.history
        assert "ApplicationId" in first.request.headers
        assert "ApplicationId" not in response.request.headers
        for copied in (prepared.copy(), copy.copy(prepared), prepared, first.request):
            copied.url = f"{elsewhere.url}/open"
            session.send(copied)
    assert len(elsewhere.requests) == 6
    assert CANARY not in str(elsewhere.requests)
    assert "applicationid" not in str(elsewhere.requests)


def test_httpx_history_shows_what_was_sent(
    connect: Any, api: Any, elsewhere: Any, library: Any
) -> None:
    """A user would look for the cause of a 401 in headers that were not sent."""
    auth = auth_for(library, connect())
    with library.Client(auth=auth, follow_redirects=True) as client:
        request = client.build_request("GET", redirect(api, f"{elsewhere.url}/open"))
        for _ in range(2):
            response = client.send(request)
            (first,) = response.history
            assert first.request.headers["ApplicationId"] == "1042"
            assert "ApplicationId" not in response.request.headers
    assert CANARY not in str(elsewhere.requests)


def test_httpx_redirect_followed_manually_leaks_nothing(
    connect: Any, api: Any, elsewhere: Any, library: Any
) -> None:
    """A redirect that the caller follows manually would carry keyturn's headers."""
    auth = auth_for(library, connect())
    with library.Client(auth=auth) as client:
        following = client.get(redirect(api, f"{elsewhere.url}/open")).next_request
        with pytest.raises(keyturn.errors.ForeignOrigin):
            client.send(following)
        client.send(following, auth=None)
    (arrived,) = elsewhere.requests
    assert not {"authorization", "applicationid"} & arrived.headers.keys()


def test_httpx_hooks_and_transports_see_the_added_headers(
    connect: Any, api: Any, library: Any
) -> None:
    """A hook, or a transport in a user's tests, would not see the headers that are sent."""
    seen: list[Any] = []
    shown: list[str] = []

    def hook(request: Any) -> None:
        shown.append(f"{request.headers!r}{request.headers.raw!r}")
        request.headers["Authorization"] = request.headers["authorization"]
        if request.url.path == "/changed":
            request.headers["ApplicationId"] = "7"
        if request.url.path == "/removed":
            del request.headers["ApplicationId"]
            del request.headers["User-Agent"]
        seen.append(request.headers)

    auth = auth_for(library, connect())
    with library.Client(auth=auth, event_hooks={"request": [hook]}) as client:
        for path in ("x", "changed", "removed"):
            client.get(f"{api.url}/{path}")
    plain, changed, removed = seen
    assert plain["APPLICATIONID"] == plain.get("ApplicationId") == "1042"
    assert plain.get_list("ApplicationId") == ["1042"]
    assert "applicationid" in plain
    assert "applicationid" in plain.keys()  # noqa: SIM118 - each way of reading is tested
    assert ("applicationid", "1042") in plain.items()
    assert ("applicationid", "1042") in plain.multi_items()
    assert "1042" in plain.values()
    assert len(plain) == len(plain.raw) == len(list(plain))
    assert plain == library.Headers(plain.raw)
    assert plain != plain.copy()
    assert CANARY not in "".join(shown)
    assert changed.get_list("ApplicationId") == ["7"]
    assert "applicationid" not in removed
    sent = [request.headers.get("applicationid") for request in api.api_requests]
    assert sent == ["1042", "7", None]
    assert CANARY not in repr(plain)


def test_httpx_sends_again_only_after_a_redirect(connect: Any, api: Any, library: Any) -> None:
    """A request whose hook removes a header would be sent twice."""

    def hook(request: Any) -> None:
        del request.headers["ApplicationId"]

    auth = auth_for(library, connect())
    with library.Client(auth=auth, event_hooks={"request": [hook]}) as client:
        assert client.post(f"{api.url}/needs-application").status_code == 400
    assert len(api.api_requests) == 1


def test_httpx_rejection_by_the_https_port_renews_nothing(
    connect: Any, api: Any, library: Any
) -> None:
    """A port that httpx takes for the same origin could make keyturn renew the token."""

    def response(request: Any) -> Any:
        if request.url.scheme == "https":
            return library.Response(401)
        return library.Response(307, headers={"Location": "https://localhost/x"})

    auth = auth_for(library, connect(api_url="http://localhost"))
    transport = library.MockTransport(response)
    with library.Client(auth=auth, transport=transport, follow_redirects=True) as client:
        assert client.get("http://localhost/x").status_code == 401
    assert api.token_requests == 1


@pytest.fixture(params=["threads", "tasks"])
def statuses_of(request: pytest.FixtureRequest, library: Any, connect: Any) -> Any:
    """Return a function that sends one request, or several, to an API at `origin`."""

    def send(
        response: Any, path: str, *, origin: str = "http://localhost", times: int = 1, **given: Any
    ) -> list[int]:
        auth = auth_for(library, connect(api_url=origin, **given))
        options = {"follow_redirects": True, "transport": library.MockTransport(response)}
        if request.param == "threads":
            with library.Client(auth=auth, **options) as client:
                built = client.build_request("GET", f"{origin}{path}")
                return [client.send(built).status_code for _ in range(times)]

        async def talk() -> list[int]:
            async with library.AsyncClient(auth=auth, **options) as client:
                built = client.build_request("GET", f"{origin}{path}")
                return [(await client.send(built)).status_code for _ in range(times)]

        return asyncio.run(talk())

    return send


def api_without_port(library: Any, seen: list[tuple[str, str, str]], **redirects: str) -> Any:
    """Return a handler for an API at http://localhost, and other hosts; it records requests."""

    def response(request: Any) -> Any:
        application = request.headers.get("ApplicationId", "")
        seen.append((str(request.url), request.headers.get("Authorization", ""), application))
        if location := redirects.get(request.url.path.removeprefix("/")):
            return library.Response(307, headers={"Location": location})
        known = "Authorization" in request.headers or request.url.host != "localhost"
        return library.Response(200 if known else 401)

    return response


@pytest.mark.parametrize("application", [1042, None])
def test_httpx_upgrade_to_https_leaks_nothing(
    statuses_of: Any, library: Any, application: int | None
) -> None:
    """The https port, which httpx takes for the same origin as http's, would get the token."""
    seen: list[tuple[str, str, str]] = []
    response = api_without_port(library, seen, moved="https://localhost/x")
    # The fast path is used only for a token that was sent before.
    statuses_of(response, "/moved", times=3, application_id=application)
    assert [authorization for _, authorization, _ in seen[::2]] == [f"Bearer {CANARY}-1"] * 3
    assert seen[1::2] == [("https://localhost/x", "", "")] * 3


@pytest.mark.parametrize("application", [1042, None])
def test_httpx_redirect_within_an_api_without_a_port_keeps_its_headers(
    statuses_of: Any, library: Any, application: int | None
) -> None:
    """An API at the default port would reject the request after its own redirect."""
    seen: list[tuple[str, str, str]] = []
    response = api_without_port(library, seen, moved="/x")
    assert statuses_of(response, "/moved", application_id=application) == [200]
    x = "http://localhost/x"
    assert seen[1:] == [(x, "", ""), (x, *seen[0][1:])]


@pytest.mark.parametrize("origin", ["https://localhost", "http://localhost:8080"])
def test_httpx_redirect_within_apis_at_other_ports_keeps_its_headers(
    statuses_of: Any, library: Any, origin: str
) -> None:
    """httpx would copy the token at some origins, although no origin can rely on that."""
    seen: list[tuple[str, str, str]] = []
    response = api_without_port(library, seen, moved="/x")
    statuses = statuses_of(response, "/moved", origin=origin, times=2, application_id=None)
    assert statuses == [200, 200]
    token = f"Bearer {CANARY}-1"
    moved, x = f"{origin}/moved", f"{origin}/x"
    assert seen == [(moved, token, ""), (x, "", ""), (x, token, "")] * 2


@pytest.mark.parametrize("way", ["https://localhost/back", "http://elsewhere.example/back"])
def test_httpx_redirect_to_another_host_and_back_carries_no_token_without_a_port(
    statuses_of: Any, library: Any, way: str
) -> None:
    """Another host could choose what is done at such an API with the token."""
    seen: list[tuple[str, str, str]] = []
    response = api_without_port(library, seen, moved=way, back="http://localhost/x")
    assert statuses_of(response, "/moved") == [401]
    assert [url for url, *_ in seen] == ["http://localhost/moved", way, "http://localhost/x"]
    assert {*seen[1][1:], *seen[2][1:]} == {""}


def test_httpx_request_sent_twice_without_a_port_keeps_its_headers(
    statuses_of: Any, library: Any
) -> None:
    """A request that the caller sends a second time would lose the application ID."""
    seen: list[tuple[str, str, str]] = []
    assert statuses_of(api_without_port(library, seen), "/", times=2) == [200, 200]
    assert seen == [("http://localhost/", f"Bearer {CANARY}-1", "1042")] * 2


@pytest.mark.parametrize(
    ("own", "sent_again"), [("Basic b3du", []), (None, [None])], ids=["replaced", "removed"]
)
def test_httpx_hook_may_replace_authorization(
    connect: Any, library: Any, own: str | None, sent_again: list[None]
) -> None:
    """A header that a caller's hook sets would be replaced."""
    seen: list[str | None] = []

    def hook(request: Any) -> None:
        if request.url.path == "/x":
            request.headers.pop("Authorization", None)
            request.headers.update({"Authorization": own} if own else {})

    def response(request: Any) -> Any:
        seen.append(request.headers.get("Authorization"))
        moved = library.Response(307, headers={"Location": "/x"})
        return moved if request.url.path == "/moved" else library.Response(403)

    with library.Client(
        auth=auth_for(library, connect(api_url="http://localhost")),
        transport=library.MockTransport(response),
        event_hooks={"request": [hook]},
        follow_redirects=True,
    ) as client:
        assert client.get("http://localhost/moved").status_code == 403
    assert seen == [f"Bearer {CANARY}-1", own, *sent_again]


def aiohttp_statuses(auth: Any, *urls: str, **options: Any) -> list[int]:
    """Send requests one after another in one task; return their status, 0 for an error."""

    async def status(session: aiohttp.ClientSession, url: str) -> int:
        try:
            async with session.get(url, **options) as response:
                return response.status
        except (aiohttp.ClientError, keyturn.errors.ForeignOrigin):
            return 0

    async def talk() -> list[int]:
        async with aiohttp.ClientSession(middlewares=[auth]) as session:
            return [await status(session, url) for url in urls]

    return asyncio.run(talk())


def test_aiohttp_forgets_redirects_after_each_request(
    connect: Any, api: Any, elsewhere: Any
) -> None:
    """The target of one redirect would be allowed, or blocked, for all later requests."""
    auth = keyturn.integrations.aiohttp.KeyturnAuth(connect())
    back = f"{elsewhere.url}/open/redirect?status=307&to={quote(f'{api.url}/x', safe='')}"
    urls = (
        redirect(api, back),
        f"{api.url}/x",
        redirect(api, f"{elsewhere.url}/open"),
        elsewhere.url,
    )
    assert aiohttp_statuses(auth, *urls) == [401, 200, 200, 0]
    unfollowed = redirect(api, elsewhere.url), f"{api.url}/x", redirect(api, "/x"), elsewhere.url
    assert aiohttp_statuses(auth, *unfollowed, allow_redirects=False) == [307, 200, 307, 0]


@pytest.mark.parametrize("header", ["Location", "URI"])
def test_aiohttp_redirect_by_another_header_carries_no_token(
    connect: Any, api: Any, elsewhere: Any, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    """Another host could use a header that aiohttp also obeys to return with a token."""
    responses = [(302, {header: f"{api.url}/x"}, b"")]
    monkeypatch.setattr(elsewhere, "response", lambda _: responses[0])
    auth = keyturn.integrations.aiohttp.KeyturnAuth(connect())
    assert aiohttp_statuses(auth, redirect(api, elsewhere.url)) == [401]
    assert "authorization" not in api.api_requests[-1].headers


@pytest.mark.parametrize("headers", [{}, {"Location": "http://[odd/"}])
def test_aiohttp_redirect_without_a_target_raises_its_error(
    connect: Any, api: Any, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    """The caller would get another error than aiohttp's, or the next request would fail."""
    auth = keyturn.integrations.aiohttp.KeyturnAuth(connect())
    usual = api.response
    moved = 302, headers, b""
    monkeypatch.setattr(api, "response", lambda r: moved if r.path == "/moved" else usual(r))
    statuses = aiohttp_statuses(auth, f"{api.url}/moved", f"{api.url}/x")
    assert statuses == [0 if headers else 302, 200]


def test_aiohttp_forgets_a_redirect_to_an_unreachable_host(connect: Any, api: Any) -> None:
    """A later request of the same task would go to that host, instead of being rejected."""
    auth = keyturn.integrations.aiohttp.KeyturnAuth(connect())
    with socket.create_server(("127.0.0.1", 0)) as server:
        dead = f"http://127.0.0.1:{server.getsockname()[1]}"
    errors: list[type[Exception]] = []

    async def talk() -> None:
        async with aiohttp.ClientSession(middlewares=[auth]) as session:
            for url in (redirect(api, dead), dead):
                try:
                    await session.get(url)
                except (aiohttp.ClientError, keyturn.errors.ForeignOrigin) as error:
                    errors.append(type(error))

    asyncio.run(talk())
    assert errors == [aiohttp.ClientConnectorError, keyturn.errors.ForeignOrigin]


def test_aiohttp_redirect_back_carries_no_token_after_a_lost_connection(
    connect: Any, api: Any, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The redirect that aiohttp repeats on a new connection would carry the token."""
    auth = keyturn.integrations.aiohttp.KeyturnAuth(connect())
    usual, lost = api.response, iter(["once"])

    def response(arrived: Any) -> Any:
        if arrived.path == "/x" and next(lost, None):
            raise ConnectionAbortedError  # the handler ends and closes the connection
        return usual(arrived)

    monkeypatch.setattr(api, "response", response)
    monkeypatch.setattr(socketserver.BaseServer, "handle_error", lambda *_: None)
    back = f"{elsewhere.url}/open/redirect?status=307&to={quote(f'{api.url}/x', safe='')}"
    assert aiohttp_statuses(auth, redirect(api, back)) == [401]
    again = [arrived.headers for arrived in api.api_requests if arrived.path == "/x"]
    assert len(again) == 2
    assert not any("authorization" in headers for headers in again)
