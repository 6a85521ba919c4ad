"""API requests under a network policy: the addresses of the host are checked."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import requests
import trio

import keyturn
from keyturn import NetworkPolicy
from keyturn._clock import Clock
from keyturn._http.policy import PERMISSIVE
from keyturn.errors import ConfigurationError, EndpointUnavailable
from keyturn.integrations import RequestAuth, _api_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer, World
    from tests.integrations.conftest import Client, Site

STRICT = NetworkPolicy()
ON_LOOPBACK = NetworkPolicy(loopback=True, address_settings=True)
HOST = "api.evil.example"
PUBLIC, HERE = ["8.8.8.8"], ["127.0.0.1"]


@pytest.fixture
def listener(serve: Callable[..., RawServer]) -> RawServer:
    """Yield a server that records what it receives, and closes each connection."""

    def note(server: RawServer, connection: socket.socket) -> None:
        connection.settimeout(5)
        data = b""
        with contextlib.suppress(OSError):
            data = connection.recv(65_536)
        server.received.append(data)

    return serve(note)


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the API's addresses for each lookup in turn; the last ones repeat."""
    rounds: list[list[str]] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **options: Any) -> list[Any]:
        if host not in {HOST, HOST.encode()}:
            return real(host, port, *rest, **options)
        if not rounds:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = rounds.pop(0) if len(rounds) > 1 else rounds[0]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, int(port or 0))) for each in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return rounds


@pytest.fixture
def connection_to(world: World, listener: RawServer) -> Callable[..., keyturn.Connection]:
    """Return a function that connects under a policy; tokens come without a network."""

    def connect(
        policy: NetworkPolicy, api_url: str = f"https://{HOST}:{listener.port}"
    ) -> keyturn.Connection:
        options: dict[str, Any] = {"policy": policy}
        return world.connect("norce-storm", options=options, scope="lab", api_url=api_url)

    return connect


def send(client_class: type[Client], connection: keyturn.Connection) -> Exception | None:
    """Send a request to the API; return what the client raises."""
    try:
        client_class(connection).send("GET", f"{connection.api_url}/x")
    except Exception as error:  # noqa: BLE001 - each client raises its own
        return error
    return None


def test_api_at_a_forbidden_address_is_not_dialled(
    client_class: type[Client],
    connection_to: Callable[..., keyturn.Connection],
    listener: RawServer,
    resolved: list[list[str]],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """A tenant's host name would lead the application's requests into the private network."""
    resolved.append(HERE)
    error = send(client_class, connection_to(PERMISSIVE))
    assert not isinstance(error, keyturn.errors.KeyturnError)
    wait_until(lambda: listener.received)
    count = len(listener.received)

    error = send(client_class, connection_to(STRICT))
    assert isinstance(error, ConfigurationError)
    assert str(error) == (
        f"norce-storm: the API's host {HOST} resolves to a loopback address, which the network "
        "policy forbids: see NetworkPolicy.loopback."
    )
    assert len(listener.received) == count


def test_one_forbidden_address_is_enough_to_reject_a_name(
    client_class: type[Client],
    connection_to: Callable[..., keyturn.Connection],
    listener: RawServer,
    resolved: list[list[str]],
) -> None:
    """The order of the addresses would decide which one a client connects to."""
    resolved.append([*PUBLIC, *HERE])
    assert isinstance(send(client_class, connection_to(STRICT)), ConfigurationError)
    assert listener.received == []


def test_name_that_changes_after_the_check_gets_no_request(
    library: Any,
    connection_to: Callable[..., keyturn.Connection],
    listener: RawServer,
    resolved: list[list[str]],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """DNS rebinding would bypass the check, as the client resolves the name again."""
    connection = connection_to(STRICT)
    module: Any = getattr(keyturn.integrations, library.__name__)
    auth = module.KeyturnAuth(connection)
    url = f"{connection.api_url}/x"

    async def use_async() -> None:
        async with library.AsyncClient(auth=auth, verify=False) as client:
            await client.get(url)

    def use() -> None:
        with library.Client(auth=auth, verify=False) as client:
            client.get(url)

    for number, way in enumerate((use, lambda: asyncio.run(use_async())), start=1):
        resolved[:] = [PUBLIC, HERE]
        with pytest.raises(ConfigurationError, match="resolves to a loopback address"):
            way()
        wait_until(lambda: len(listener.received) == number)  # noqa: B023 - called before the loop continues
    assert listener.received == [b"", b""]  # no TLS handshake either


def test_resolver_protects_aiohttp_from_a_name_that_changes(
    connection_to: Callable[..., keyturn.Connection],
    listener: RawServer,
    resolved: list[list[str]],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """DNS rebinding would bypass the check, as the client resolves the name again."""
    connection = connection_to(STRICT)
    module = keyturn.integrations.aiohttp

    async def use(*, is_checked: bool) -> None:
        resolver = module.PolicyResolver(connection) if is_checked else None
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver),
            middlewares=[module.KeyturnAuth(connection)],
        ) as session:
            await session.get(f"{connection.api_url}/x")

    resolved[:] = [PUBLIC, HERE]
    with pytest.raises(aiohttp.ClientError):
        asyncio.run(use(is_checked=False))
    wait_until(lambda: listener.received)
    count = len(listener.received)

    resolved[:] = [PUBLIC, HERE]
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(use(is_checked=True))
    assert str(caught.value).startswith(f"norce-storm: the API's host {HOST} resolves to a loop")
    assert len(listener.received) == count


def test_adapter_protects_requests_from_a_name_that_changes(
    connection_to: Callable[..., keyturn.Connection],
    listener: RawServer,
    resolved: list[list[str]],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """DNS rebinding would bypass the check, as the client resolves the name again."""
    connection = connection_to(STRICT)
    module = keyturn.integrations.requests
    with requests.Session() as session:
        session.auth = module.KeyturnAuth(connection)
        session.mount("https://", module.PolicyAdapter(connection, pool_maxsize=1))
        resolved[:] = [PUBLIC, HERE]
        with pytest.raises(ConfigurationError) as caught:
            session.get(f"{connection.api_url}/x", timeout=10)
    assert str(caught.value).startswith(f"norce-storm: the API's host {HOST} resolves to a loop")
    wait_until(lambda: listener.received)
    assert listener.received == [b""]  # no TLS handshake either


def test_pool_manager_protects_urllib3_from_a_name_that_changes(
    connection_to: Callable[..., keyturn.Connection],
    listener: RawServer,
    resolved: list[list[str]],
    wait_until: Callable[[Callable[[], object]], None],
) -> None:
    """DNS rebinding would bypass the check, as the client resolves the name again."""
    connection = connection_to(STRICT)
    with keyturn.integrations.urllib3.KeyturnPoolManager(connection, timeout=10) as manager:
        resolved[:] = [PUBLIC, HERE]
        with pytest.raises(ConfigurationError) as caught:
            manager.request("GET", f"{connection.api_url}/x")
    assert str(caught.value).startswith(f"norce-storm: the API's host {HOST} resolves to a loop")
    wait_until(lambda: listener.received)
    assert listener.received == [b""]  # no TLS handshake either


def test_adapter_lets_requests_reach_allowed_addresses(
    connect: Callable[..., keyturn.Connection], api: Site
) -> None:
    """The policy would block a session from an address that it allows."""
    here = api.url.replace("127.0.0.1", "localhost")
    connection = connect(policy=ON_LOOPBACK, api_url=here)
    module = keyturn.integrations.requests
    with requests.Session() as session:
        session.auth = module.KeyturnAuth(connection)
        session.mount("http://", module.PolicyAdapter(connection))
        for _ in range(2):
            assert session.get(f"{here}/x", timeout=10).content == b"fine: "


def test_resolver_returns_allowed_addresses(
    connect: Callable[..., keyturn.Connection], api: Site
) -> None:
    """The policy would block a session from an address that it allows."""
    here = api.url.replace("127.0.0.1", "localhost")
    connection = connect(policy=ON_LOOPBACK, api_url=here)
    module = keyturn.integrations.aiohttp

    async def use() -> bytes:
        resolver = module.PolicyResolver(connection)
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver),
                middlewares=[module.KeyturnAuth(connection)],
            ) as session,
            session.get(f"{here}/x") as response,
        ):
            body = await response.read()
        await resolver.close()
        return body

    assert asyncio.run(use()) == b"fine: "


def test_task_of_trio_is_checked_too(
    connection_to: Callable[..., keyturn.Connection], resolved: list[list[str]]
) -> None:
    """The check would need an event loop of asyncio, and fail under trio."""
    resolved.append(HERE)
    connection = connection_to(STRICT)
    auth = keyturn.integrations.httpx.KeyturnAuth(connection)

    async def use() -> None:
        async with httpx.AsyncClient(auth=auth) as client:
            await client.get(f"{connection.api_url}/x")

    with pytest.raises(ConfigurationError, match="resolves to a loopback address"):
        trio.run(use)


def test_allowed_address_gets_its_requests(
    client_class: type[Client], connect: Callable[..., keyturn.Connection], api: Site
) -> None:
    """A policy would block an adapter from an address that it allows."""
    here = api.url.replace("127.0.0.1", "localhost")
    connection = connect(policy=ON_LOOPBACK, api_url=here)
    client = client_class(connection)
    for _ in range(2):
        assert client.send("GET", f"{here}/x").body == b"fine: "
    assert len(api.api_requests) == 2


def test_trace_of_the_caller_is_called_too(
    library: Any, connect: Callable[..., keyturn.Connection], api: Site
) -> None:
    """A caller's own trace of httpx requests would be replaced."""
    connection = connect(policy=ON_LOOPBACK)
    module: Any = getattr(keyturn.integrations, library.__name__)
    auth = module.KeyturnAuth(connection)
    seen: list[str] = []

    async def note(name: str, _: Any) -> None:
        seen.append(name)

    async def use() -> None:
        async with library.AsyncClient(auth=auth) as client:
            await client.get(f"{api.url}/x", extensions={"trace": note})

    with library.Client(auth=auth) as client:
        request = client.build_request(
            "GET", f"{api.url}/x", extensions={"trace": lambda name, _: seen.append(name)}
        )
        for _ in range(2):
            assert client.send(request).status_code == 200
    assert seen.count("connection.connect_tcp.complete") == 1
    asyncio.run(use())
    assert seen.count("connection.connect_tcp.complete") == 2


@pytest.mark.parametrize("name", ["httpx", "requests"])
def test_proxy_resolves_the_name_itself(
    name: str,
    connection_to: Callable[..., keyturn.Connection],
    serve: Callable[..., RawServer],
    monkeypatch: pytest.MonkeyPatch,
    resolved: list[list[str]],
) -> None:
    """No request would be sent where only a proxy can resolve public names."""
    assert resolved == []  # nothing is resolved here
    proxy = serve(b"HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    connection = connection_to(STRICT)
    auth = getattr(keyturn.integrations, name).KeyturnAuth(connection)
    get: Any = {"httpx": httpx.get, "requests": requests.get}[name]
    with pytest.raises(Exception, match="502"):
        get(f"{connection.api_url}/x", auth=auth, timeout=5)
    assert proxy.received[0].startswith(f"CONNECT {HOST}:".encode())


@pytest.mark.parametrize("way", ["authorize", "aauthorize"])
def test_checked_addresses_are_cached_for_ten_seconds(
    way: str,
    connection_to: Callable[..., keyturn.Connection],
    monkeypatch: pytest.MonkeyPatch,
    resolved: list[list[str]],
) -> None:
    """Each request would wait for a DNS lookup; or a checked name would be trusted forever."""
    now = 1_000.0
    monkeypatch.setattr(_api_address, "SYSTEM", Clock(monotonic=lambda: now))
    connection = connection_to(STRICT)
    auth = RequestAuth(connection)

    def authorize() -> None:
        found = getattr(auth, way)("GET", f"{connection.api_url}/x", {})
        if asyncio.iscoroutine(found):
            asyncio.run(found)

    resolved[:] = [PUBLIC, HERE]
    authorize()
    now += 9.9
    authorize()
    now += 0.2
    with pytest.raises(ConfigurationError, match="resolves to a loopback address"):
        authorize()


def test_unresolvable_name_gets_no_token(
    connection_to: Callable[..., keyturn.Connection], resolved: list[list[str]]
) -> None:
    """A tenant's DNS server could fail for the check, and respond to the client."""
    assert resolved == []
    connection = connection_to(STRICT)
    with pytest.raises(EndpointUnavailable) as caught:
        RequestAuth(connection).authorize("GET", f"{connection.api_url}/x", {})
    assert f"{HOST} can't be resolved (Name or service not known)" in str(caught.value)


@pytest.mark.parametrize(
    ("api_url", "policy", "option"),
    [
        ("https://10.0.0.1/api", STRICT, "private_addresses"),
        ("https://[::1]/api", STRICT, "loopback"),
        ("http://localhost:8080", STRICT, "loopback"),
        ("https://db/api", STRICT, "private_addresses"),
        ("https://api.example", NetworkPolicy(domains=("*.shop.example",)), "domains"),
    ],
)
def test_forbidden_host_is_not_accepted_as_api(
    api_url: str,
    policy: NetworkPolicy,
    option: str,
    connection_to: Callable[..., keyturn.Connection],
) -> None:
    """A token would be attached to requests for an internal host."""
    connection = connection_to(policy, api_url)
    for use in (
        lambda: connection.api_url,
        lambda: RequestAuth(connection).authorize("GET", f"{api_url}/x", {}),
    ):
        with pytest.raises(ConfigurationError, match=f"^norce-storm: the API's host .*{option}"):
            use()
