"""Names whose resolution takes longer than the timeout: `getaddrinfo` has no timeout."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import errors
from keyturn._tokens.workers import pool
from keyturn.integrations import RequestAuth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import RawServer

SLOW = "slow.example"
SETTINGS = {"client_id": "cid", "client_secret": "s3cret-for-tests"}


class Resolver:
    """A name server that does not respond for one name, until it is released."""

    def __init__(self) -> None:
        self.is_released = threading.Event()
        self.found: list[Any] = []
        self._real = socket.getaddrinfo

    def getaddrinfo(self, host: Any, *rest: Any, **options: Any) -> list[Any]:
        """Return the addresses of other names."""
        if host != SLOW:
            return self._real(host, *rest, **options)
        assert self.is_released.wait(30)
        if self.found:
            return self.found
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """Give a name server that hangs for one name."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    hanging = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", hanging.getaddrinfo)
    yield hanging
    hanging.is_released.set()
    while pool.get().load():
        threading.Event().wait(0.01)


@pytest.fixture
def provider(
    serve: Callable[..., RawServer], token_response: bytes
) -> keyturn.plugins.Provider[Any]:
    """Give a provider that returns tokens at once, with a revocation endpoint at another host."""
    data = {
        "name": "acme",
        "token_url": serve(token_response).url,
        "revocation_url": f"https://{SLOW}/revoke",
        "api_url": f"https://{SLOW}/api",
    }
    return keyturn.plugins.provider_from_data(data)


def revoke(connection: keyturn.Connection) -> None:
    """Revoke the token."""
    connection.revoke()


def arevoke(connection: keyturn.Connection) -> None:
    """Revoke the token in a task."""
    asyncio.run(connection.arevoke())


@pytest.mark.parametrize("call", [revoke, arevoke])
def test_deadline_holds_while_a_token_is_revoked(
    provider: keyturn.plugins.Provider[Any],
    resolver: Resolver,
    call: Callable[[keyturn.Connection], None],
) -> None:
    """A dead name server would block a caller for an unlimited time."""
    store = keyturn.stores.from_url("memory://")
    token = keyturn.connect(provider, SETTINGS, store=store).token()
    with keyturn.connect(provider, SETTINGS, store=store, timeout=0.2) as connection:
        with pytest.raises(errors.EndpointUnavailable, match=r"within 0\.2 s: a name is not res"):
            call(connection)
        assert not resolver.is_released.is_set()
        assert connection.token() == token


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_deadline_holds_while_a_tenant_is_removed(
    provider: keyturn.plugins.Provider[Any], resolver: Resolver, asynchronous: bool
) -> None:
    """A dead name server would block a platform's job that removes tenants."""
    policy = keyturn.NetworkPolicy(loopback=True)
    with keyturn.Connections(store="memory://", policy=policy) as connections:
        connections.open("a", provider, SETTINGS).token()
        connections.open("a", provider, SETTINGS, timeout=0.2)
        with pytest.raises(errors.EndpointUnavailable, match="a name is not resolved"):
            asyncio.run(connections.aremove("a", revoke=True)) if asynchronous else (
                connections.remove("a", revoke=True)
            )
        assert not resolver.is_released.is_set()
        assert "a" in connections


def test_deadline_holds_in_explain(resolver: Resolver) -> None:
    """`explain`, which should show why there is no token, would hang."""
    settings = SETTINGS | {"url": f"https://{SLOW}"}
    with keyturn.connect("orocommerce", settings, store="memory://", timeout=0.2) as connection:
        explained = connection.explain()

    assert "outcome: EndpointUnavailable: no result came within 0.2 s" in explained
    assert not resolver.is_released.is_set()


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_deadline_holds_while_an_apis_addresses_are_checked(
    provider: keyturn.plugins.Provider[Any], resolver: Resolver, asynchronous: bool
) -> None:
    """A dead name server of a tenant's API would block a platform's thread, or its event loop."""
    policy = keyturn.NetworkPolicy(loopback=True)
    with keyturn.connect(
        provider, SETTINGS, store="memory://", timeout=0.2, policy=policy, name="tenant-7"
    ) as connection:
        auth, url = RequestAuth(connection), f"https://{SLOW}/api/orders"
        with pytest.raises(errors.EndpointUnavailable, match="tenant-7: no result came within"):
            asyncio.run(auth.aauthorize("GET", url, {})) if asynchronous else (
                auth.authorize("GET", url, {})
            )
    assert not resolver.is_released.is_set()


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_deadline_holds_while_the_name_of_a_proxy_is_resolved(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, scheme: str, asynchronous: bool
) -> None:
    """A dead name server would block a caller for twelve seconds instead of its timeout."""
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{SLOW}:3128")
    settings = SETTINGS | {"url": f"https://{scheme}-{asynchronous}.example".lower()}
    with keyturn.connect("orocommerce", settings, store="memory://", timeout=0.2) as connection:
        with pytest.raises(errors.EndpointUnavailable, match=r"no token came within 0\.2 s"):
            asyncio.run(connection.atoken()) if asynchronous else connection.token()
        # While the first resolution hangs, no second request or resolution begins.
        with pytest.raises(errors.EndpointUnavailable, match=r"no token came within 0\.2 s"):
            connection.token()
    assert not resolver.is_released.is_set()


def test_name_that_is_resolved_after_the_deadline_is_not_used(
    resolver: Resolver, serve: Callable[..., RawServer]
) -> None:
    """A secret would be sent after the caller has received an error."""
    server = serve(lambda server, _: server.received.append(b"a connection"))
    address = ("127.0.0.1", server.port)
    resolver.found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]
    settings = SETTINGS | {"url": f"https://{SLOW}"}
    with keyturn.connect("orocommerce", settings, store="memory://", timeout=0.2) as connection:
        with pytest.raises(errors.EndpointUnavailable):
            connection.token()
        resolver.is_released.set()
        while pool.get().load():
            threading.Event().wait(0.01)
    assert server.received == []
