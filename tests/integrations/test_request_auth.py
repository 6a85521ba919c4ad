"""`RequestAuth`, the base of every adapter."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from tests.integrations.conftest import CLIENTS

import keyturn
from keyturn.errors import ConfigurationError, ForeignOrigin
from keyturn.integrations import AuthorizedRequest, RequestAuth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CANARY = "made-up-token-canary"
REFUSED = b'{"errors": [{"code": "INVALID_TOKEN"}]}'
ADAPTERS = ["httpx", "httpx2", "requests", "aiohttp"]


class Sync:
    """Calls the blocking methods."""

    def __init__(self, connection: keyturn.Connection | str) -> None:
        self.auth = RequestAuth(connection)

    def authorize(self, *given: Any) -> AuthorizedRequest:
        """Call `authorize`."""
        return self.auth.authorize(*given)

    def reauthorize(self, *given: Any) -> AuthorizedRequest | None:
        """Call `reauthorize`."""
        return self.auth.reauthorize(*given)


class Async(Sync):
    """Calls the async methods in a task of asyncio."""

    def authorize(self, *given: Any) -> AuthorizedRequest:
        """Call `aauthorize`."""
        return asyncio.run(self.auth.aauthorize(*given))

    def reauthorize(self, *given: Any) -> AuthorizedRequest | None:
        """Call `areauthorize`."""
        return asyncio.run(self.auth.areauthorize(*given))


class Trio(Sync):
    """Calls the async methods in a task of trio."""

    def authorize(self, *given: Any) -> AuthorizedRequest:
        """Call `aauthorize`."""
        return trio.run(self.auth.aauthorize, *given)

    def reauthorize(self, *given: Any) -> AuthorizedRequest | None:
        """Call `areauthorize`."""
        return trio.run(self.auth.areauthorize, *given)


@pytest.fixture(params=[Sync, Async, Trio])
def auth_class(request: pytest.FixtureRequest) -> type[Sync]:
    """Return each way to call it."""
    way: type[Sync] = request.param
    return way


def test_adds_token_and_provider_headers(connect: Any, api: Any, auth_class: type[Sync]) -> None:
    """An API request would lack a required header, or lose a header of the caller."""
    given = {"authorization": "Basic c3RhbGU=", "X-Own": "kept"}
    sent = auth_class(connect()).authorize("GET", f"{api.url}/x", given)
    added = {"Authorization": f"Bearer {CANARY}-1", "ApplicationId": "1042"}
    assert sent.url == f"{api.url}/x"
    assert dict(sent.added) == added
    assert sent.headers == {"X-Own": "kept"} | added


def test_callers_headers_are_kept(connect: Any, api: Any) -> None:
    """The caller could not set a media type or an application for one request."""
    auth = RequestAuth(connect("orocommerce"))
    accepts = [
        auth.authorize("GET", api.url, given).headers
        for given in ({}, {"accept": "*/*"}, {"accept": "text/csv"})
    ]
    default = "application/vnd.api+json"
    assert [headers.get("Accept") for headers in accepts] == [default, default, None]
    assert accepts[2]["accept"] == "text/csv"
    norce = RequestAuth(connect())
    chosen = norce.authorize("GET", api.url, {"applicationid": "*/*"})
    assert (chosen.headers["applicationid"], "ApplicationId" in chosen.headers) == ("*/*", False)


def test_given_headers_are_not_modified(connect: Any, api: Any) -> None:
    """Headers that the caller uses for other requests would carry the token."""
    given = {"X-Own": "kept"}
    RequestAuth(connect()).authorize("GET", api.url, given)
    assert given == {"X-Own": "kept"}


@pytest.mark.parametrize("url", ["https://elsewhere.example/", "/x", "", "http://[", "mailto:x"])
def test_other_urls_are_rejected(connect: Any, api: Any, auth_class: type[Sync], url: str) -> None:
    """The token would go to another host, or a token request would be made for nothing."""
    with pytest.raises(ForeignOrigin, match=r"shop: .*the token was not attached"):
        auth_class(connect(name="shop")).authorize("GET", url, {})
    assert api.requests == []


def test_unambiguous_urls_of_the_origin_only_are_accepted(connect: Any, api: Any) -> None:
    """A URL that parsers read differently would be accepted."""
    home = "http://localhost:8080"
    auth = RequestAuth(connect("orocommerce", url=home, api_url=None))
    pieces = ["//", "http:", "localhost", "evil.example", ":80", "8080", *"/\\@:#?.[]%\t x"]

    @given(st.lists(st.sampled_from(pieces), max_size=8).map("".join))
    def check(tail: str) -> None:
        for url in (home + tail, tail):
            with contextlib.suppress(ForeignOrigin):
                auth.authorize("GET", url, {})
                rest = url.lower().removeprefix(home)
                assert rest != url.lower()
                assert rest[:1] in ("", "/", "?", "#")

    check()
    assert api.token_requests == 1  # at least one URL was accepted


def test_rejected_token_is_renewed_once(connect: Any, api: Any, auth_class: type[Sync]) -> None:
    """A revoked token would fail each request, or one request would renew it repeatedly."""
    auth = auth_class(connect())
    first = auth.authorize("GET", f"{api.url}/x", {"X-Own": "kept"})
    second = auth.reauthorize(first, 401, {"Content-Type": "application/json"}, REFUSED)
    assert second is not None
    assert second.url == first.url
    assert second.headers == {
        "X-Own": "kept",
        "Authorization": f"Bearer {CANARY}-2",
        "ApplicationId": "1042",
    }
    assert auth.reauthorize(second, 401, {}, REFUSED) is None
    assert api.token_requests == 2


@pytest.mark.parametrize("status", [200, 400, 403, 500])
def test_other_statuses_renew_nothing(
    connect: Any, api: Any, auth_class: type[Sync], status: int
) -> None:
    """Each failed request would cost a token request."""
    auth = auth_class(connect())
    sent = auth.authorize("GET", api.url, {})
    assert auth.reauthorize(sent, status, {}, REFUSED) is None
    assert api.token_requests == 1


def test_provider_decides_whether_a_401_rejects_the_token(
    connect: Any, api: Any, auth_class: type[Sync]
) -> None:
    """A missing permission, which no other token has, would cost token requests."""
    auth = auth_class(connect("commercelayer"))
    sent = auth.authorize("GET", api.url, {})
    body = b'{"errors": [{"code": "UNAUTHORIZED"}]}'
    given = {"CONTENT-TYPE": "application/vnd.api+json"}
    assert auth.reauthorize(sent, 401, given, body) is None
    assert api.token_requests == 1


def test_failed_renewal_is_logged(
    connect: Any, api: Any, auth_class: type[Sync], caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the token endpoint would hide the API's response."""
    auth = auth_class(connect(name="shop"))
    sent = auth.authorize("GET", api.url, {})
    api.token_status = 400
    assert auth.reauthorize(sent, 401, {}, REFUSED) is None
    assert "shop: the API refused the token, and no other could be acquired" in caplog.text


def test_representation_of_an_authorized_request_shows_no_secret(connect: Any, api: Any) -> None:
    """A log or a crash report would contain the token."""
    auth = RequestAuth(connect())
    sent = auth.authorize("GET", f"{api.url}/x?key=hidden", {"Cookie": "hidden"})
    shown = f"{sent!r}{sent.headers!r}{sent.added!r}{auth!r}{vars(auth)!r}"
    assert f"{api.url}/x" in shown
    assert CANARY not in shown
    assert "hidden" not in f"{sent!r}{sent.added!r}"


@pytest.mark.parametrize("name", [*ADAPTERS, "RequestAuth"])
@pytest.mark.parametrize("wrong", [None, 7, {"client_id": "x"}])
def test_wrong_argument_is_rejected_at_once(name: str, wrong: Any) -> None:
    """The first request would fail with an AttributeError."""
    with pytest.raises(ConfigurationError, match="needs a connection or its name"):
        maker(name)(wrong)


def test_public_classes_show_their_public_names() -> None:
    """Users would see, and import, the name of a private module."""
    assert repr(RequestAuth) == "<class 'keyturn.integrations.RequestAuth'>"
    assert repr(AuthorizedRequest) == "<class 'keyturn.integrations.AuthorizedRequest'>"
    for name in ADAPTERS:
        assert repr(maker(name)) == f"<class 'keyturn.integrations.{name}.KeyturnAuth'>"
    assert repr(RequestAuth("shop")) == "<RequestAuth of 'shop'>"


def maker(name: str) -> Any:
    """Return `RequestAuth`, or the class of an adapter."""
    public = getattr(keyturn.integrations, name)
    if name == "urllib3":
        return public.KeyturnPoolManager
    return public if name == "RequestAuth" else public.KeyturnAuth


@pytest.fixture
def configured(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Configure a connection to the `api` fixture; return its name."""
    path = tmp_path / "keyturn.toml"
    path.write_text(
        f"""
        [connections.shop]
        provider = "norce-commerce"
        client = "acme"
        environment = "stage"
        application_id = 1042
        client_id = "made-up"
        client_secret = "s3cret-for-tests"
        token_url = "{api.url}/token"
        api_url = "{api.url}"
        """,
        encoding="utf-8",
    )
    path.chmod(0o600)
    monkeypatch.setenv("KEYTURN_CONFIG", str(path))
    monkeypatch.setenv("KEYTURN_STORE", "memory://")
    return "shop"


def test_adapter_accepts_the_name_of_a_connection(
    api: Any, configured: str, client_class: type[Any]
) -> None:
    """Code that is copied to other processes could not use an adapter."""
    client = client_class(configured)
    assert api.requests == []
    assert [client.send("GET", api.url).status for _ in range(2)] == [200, 200]
    assert {request.headers["applicationid"] for request in api.api_requests} == {"1042"}


def test_unknown_name_fails_at_its_first_use(configured: str, auth_class: type[Sync]) -> None:
    """A wrong name would stop a program that does not use it, or raise another error."""
    auth = auth_class(f"{configured}-2")
    with pytest.raises(ConfigurationError, match="shop-2"):
        auth.authorize("GET", "https://shop.example/", {})


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda auth: pickle.loads(pickle.dumps(auth))],  # noqa: S301 - ours
)
def test_adapter_made_from_a_name_can_be_copied(
    api: Any, configured: str, client_class: type[Any], copied: Callable[[Any], Any]
) -> None:
    """Dask, Airflow or multiprocessing could not pass an adapter to a worker."""
    client = client_class(configured)
    client.send("GET", api.url)
    client.auth = copied(client.auth)
    assert client.send("GET", api.url).status == 200
    assert CANARY.encode() not in pickle.dumps(client.auth)
    assert pickle.dumps(copied(RequestAuth(configured)))


@pytest.mark.parametrize("name", [*ADAPTERS, "RequestAuth", "urllib3"])
@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_adapter_made_from_a_connection_cannot_be_copied(
    connect: Any, name: str, copied: Callable[[Any], Any]
) -> None:
    """The copy would contain the secret, or a confusing error about locks would be raised."""
    with pytest.raises(TypeError, match="name of a configured connection"):
        copied(maker(name)(connect()))


def test_loading_by_name_does_not_block_the_event_loop(
    configured: str, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk or secret source would block all tasks of an event loop."""
    turned = asyncio.Event()
    load = keyturn.load_connection

    async def work() -> None:
        loop = asyncio.get_running_loop()

        def load_late(name: str) -> keyturn.Connection:
            # It continues only after the event loop has run another task.
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
            turned.set()
            return load(name)

        monkeypatch.setattr(keyturn, "load_connection", load_late)
        await RequestAuth(configured).aauthorize("GET", api.url, {})

    asyncio.run(work())
    assert turned.is_set()


def test_origin_is_read_without_a_thread_when_no_thread_can_start(
    connect: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process at its limit of threads could not send a request that needs none."""
    connection = connect()
    connection.token()

    def fail(_: object) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr("threading.Thread.start", fail)
    sent = asyncio.run(RequestAuth(connection).aauthorize("GET", api.url, {}))
    assert sent.headers["Authorization"] == f"Bearer {CANARY}-1"


@pytest.mark.parametrize("client_class", [each for each in CLIENTS.values() if each.takes_auth])
def test_client_of_another_adapter_is_rejected(
    connect: Any, api: Any, client_class: type[Any]
) -> None:
    """The first request would fail with a confusing TypeError, or be sent without a token."""
    connection = connect(name="shop")
    client = client_class(connection)
    for name in set(ADAPTERS) - {client.name}:
        client.auth = maker(name)(connection)
        with pytest.raises(ConfigurationError) as caught:
            client.send("GET", api.url)
        assert str(caught.value) == (
            f"shop: keyturn.integrations.{name} is for {name}, not for {client.name}, so the "
            "token was not attached. Use the adapter that is named after the client."
        )
    assert api.requests == []


@pytest.mark.parametrize("name", ADAPTERS)
def test_client_without_an_adapter_is_rejected(connect: Any, name: str) -> None:
    """niquests, which has the interface of requests, would fail at the first 401."""

    class PreparedRequest:
        url = "https://shop.example/"

    auth = maker(name)(connect())
    with pytest.raises(ConfigurationError, match=f"is for {name}, not for "):
        auth(PreparedRequest())
