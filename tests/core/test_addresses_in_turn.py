"""Hosts with several addresses: a dead address costs a fraction of the deadline (RFC 8305)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
import keyturn._http.exchange  # before the time of a short timeout counts
from keyturn import errors
from keyturn._http.tcp import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import RawServer

    Serve = Callable[..., RawServer]
    Resolve = Callable[[str, list[str]], None]

REFUSING = "127.0.0.9"
UNROUTABLE = "fe80::1"  # link-local, without an interface
FORBIDDEN = "10.1.2.3"


def info(address: str, port: int) -> tuple[Any, ...]:
    """Return an address as `getaddrinfo` returns it."""
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Give a function that sets what a name resolves to."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **options: Any) -> list[Any]:
        if host not in known:
            return real(host, port, *rest, **options)
        return [info(each, port) for each in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known.__setitem__


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each address less time than a network may need: here, none is far away."""
    monkeypatch.setattr("keyturn._http.tcp._ATTEMPT_DELAY", 0.03)


@pytest.fixture
def silence() -> Iterator[Callable[[int], list[str]]]:
    """Give a function that returns addresses which drop all packets to a port."""
    with contextlib.ExitStack() as held:

        def at(port: int, number: int = 1) -> list[str]:
            addresses = [f"127.0.0.{100 + each}" for each in range(number)]
            for each in addresses:
                held.enter_context(socket.create_server((each, port), backlog=0))
                for _ in range(4):  # the kernel drops what its queue has no room for
                    waiting = held.enter_context(socket.socket())
                    waiting.setblocking(False)  # noqa: FBT003 - the parameter has no name
                    waiting.connect_ex((each, port))
            return addresses

        yield at


def connected(port: int, timeout: float = 5.0, **options: Any) -> keyturn.Connection:
    """Return a connection to a token endpoint whose name is resolved by the test."""
    return keyturn.connect(
        "orocommerce",
        url=f"http://localhost:{port}",
        client_id="cid",
        client_secret="s3cret-for-tests",
        store="memory://",
        timeout=timeout,
        **options,
    )


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    "dead",
    [
        ["silent"],
        [REFUSING],
        [UNROUTABLE],
        ["silent", "silent", "silent"],
        [UNROUTABLE, "silent", REFUSING],
        ["silent", UNROUTABLE, UNROUTABLE],
    ],
    ids=" ".join,
)
def test_dead_address_leads_to_the_next(
    serve: Serve,
    resolve: Resolve,
    silence: Callable[..., list[str]],
    token_response: bytes,
    dead: list[str],
    asynchronous: bool,
) -> None:
    """A host with one dead address would never give a token."""
    server = serve(token_response)
    silent = silence(server.port, dead.count("silent"))
    addresses = [silent.pop() if each == "silent" else each for each in dead]
    resolve("localhost", [*addresses, "127.0.0.1"])

    with connected(server.port) as connection:
        token = asyncio.run(connection.atoken()) if asynchronous else connection.token()
    assert token.access_token == "t0ken"
    assert len(server.received) == 1


def test_short_deadline_has_room_for_each_address(
    serve: Serve,
    resolve: Resolve,
    silence: Callable[..., list[str]],
    token_response: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a short timeout, the last of six addresses would not be tried."""
    server = serve(token_response)
    resolve("localhost", [*silence(server.port, 6), "127.0.0.1"])

    monkeypatch.setattr("keyturn._http.tcp._ATTEMPT_DELAY", 60.0)
    assert connected(server.port, timeout=0.7).token().access_token == "t0ken"


def test_address_that_accepts_late_is_used(
    serve: Serve, resolve: Resolve, monkeypatch: pytest.MonkeyPatch, token_response: bytes
) -> None:
    """A slow address would be given up too soon, although it is the only one that works."""
    monkeypatch.setattr("keyturn._http.tcp._ATTEMPT_DELAY", 0.0)
    server = serve(token_response)
    resolve("localhost", ["127.0.0.1", REFUSING, UNROUTABLE])

    assert connected(server.port).token().access_token == "t0ken"


def test_deadline_holds_when_no_address_responds(
    resolve: Resolve, silence: Callable[..., list[str]]
) -> None:
    """A host that drops all packets would block a caller beyond the timeout."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    resolve("localhost", silence(port, 3))
    with pytest.raises(errors.EndpointUnavailable) as caught:
        connected(port, timeout=0.3).token()

    assert ": it does not accept a connection." in str(caught.value)


def test_each_cause_is_named(resolve: Resolve) -> None:
    """The error would give only the cause at the last address, such as missing IPv6."""
    resolve("localhost", [REFUSING, "224.0.0.1", "127.0.0.8"])  # no TCP to a multicast address
    with pytest.raises(errors.EndpointUnavailable) as caught:
        connected(9).token()

    assert "failed: Connection refused; Network is unreachable. Check" in str(caught.value)


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EMFILE])
def test_address_without_a_socket_leads_to_the_next(
    serve: Serve,
    resolve: Resolve,
    monkeypatch: pytest.MonkeyPatch,
    token_response: bytes,
    code: int,
) -> None:
    """A machine without IPv6 would get no token from a host that has an IPv6 address."""
    server = serve(token_response)
    resolve("localhost", [UNROUTABLE, "127.0.0.1"])
    real = socket.socket

    def make(family: int = -1, *rest: Any, **options: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(code, "no such socket")
        return real(family, *rest, **options)

    monkeypatch.setattr("keyturn._http.tcp.socket.socket", make)

    assert connected(server.port).token().access_token == "t0ken"


def test_name_without_an_address_is_reported(resolve: Resolve) -> None:
    """A resolver that returns no address would cause a raw system error."""
    resolve("localhost", [])
    with pytest.raises(errors.EndpointUnavailable, match="its name has no address"):
        connected(9).token()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_policy_checks_every_address(
    serve: Serve, resolve: Resolve, token_response: bytes, place: int
) -> None:
    """A forbidden address of a name would be used if its other addresses do not respond."""
    server = serve(token_response)
    addresses = ["127.0.0.1", "127.0.0.1"]
    resolve("localhost", [*addresses[:place], FORBIDDEN, *addresses[place:]])
    policy = keyturn.NetworkPolicy(loopback=True, address_settings=True)
    with pytest.raises(errors.ConfigurationError, match=r"NetworkPolicy\.private_addresses"):
        connected(server.port, policy=policy).token()

    assert server.received == []


def test_proxy_with_a_dead_address_is_used(
    serve: Serve,
    resolve: Resolve,
    silence: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A network whose proxy has one dead address would get no token."""
    proxy = serve(b"HTTP/1.1 403 X\r\n\r\n")
    resolve("proxy.example", [*silence(proxy.port), UNROUTABLE, "127.0.0.1"])
    for name in ("https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example:{proxy.port}")
    with pytest.raises(errors.EndpointUnavailable, match="responded with HTTP 403"):
        keyturn.connect(
            "orocommerce",
            url="https://login.example",
            client_id="c",
            client_secret="x",
            store="memory://",
        ).token()

    assert len(proxy.received) == 1


def test_ipv6_and_ipv4_addresses_alternate() -> None:
    """Four dead IPv6 addresses of a host would use up the time before IPv4 is tried."""
    found = [info(each, 443) for each in ("::1", "::2", "::3", "10.0.0.1", "10.0.0.2")]
    order = [each[4][0] for each in in_turn(found)]

    assert order == ["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]
