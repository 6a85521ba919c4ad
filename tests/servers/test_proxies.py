"""Real proxies, and how curl reads `NO_PROXY`."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import trustme

import keyturn
from keyturn import errors
from keyturn._http.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

    Serve = Callable[..., RawServer]
    Spawn = Callable[..., subprocess.Popen[str]]

VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
# curl 7.88 compares IPv6 addresses as strings; the unit tests cover IPv6 networks.
EXCEPTIONS = [
    "*",
    "other.example,*",
    "login.example",
    ".login.example",
    "..login.example",
    "login.example.",
    "LOGIN.Example",
    "example",
    ".example",
    "*.example",
    "gin.example",
    "eu.login.example",
    "other.example, login.example",
    "other.example login.example",
    "other.example\tlogin.example",
    ",login.example,",
    " , ",
    "127.0.0.1",
    "127.0.0.0/8",
    "127.9.9.9/8",
    "127.0.0.0/31",
    "127.0.0.2/31",
    "127.0.0.1/32",
    "127.0.0.1/33",
    "0.0.1",
    ".127.0.0.1",
    "10.0.0.0/8 127.0.0.0/8",
    "::1",
    "fe80::/64",
    "::ffff:127.0.0.1",
]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxy variables from the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def program(name: str) -> str:
    """Return the path of a program, which must be installed."""
    found = shutil.which(name)
    assert found, f"{name} is not installed: run make test-servers"
    return found


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def wait_for(port: int) -> None:
    """Wait until a server listens on a port, for ten seconds at most."""
    end = time.monotonic() + 10
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        assert time.monotonic() < end, "the proxy does not listen"
        time.sleep(0.01)


@pytest.fixture
def tinyproxy(spawn: Spawn, tmp_path: Path) -> int:
    """Yield the port of an HTTP proxy that requires a password."""
    port = free_port()
    configuration = tmp_path / "tinyproxy.conf"
    # It accepts only letters and digits.
    configuration.write_text(f"Port {port}\nListen 127.0.0.1\nBasicAuth user pa55\n")
    command = [program("tinyproxy"), "-d", "-c", configuration]
    spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(port)
    return port


@pytest.fixture
def microsocks(spawn: Spawn) -> int:
    """Yield the port of a SOCKS proxy that requires a password."""
    port = free_port()
    command = [program("microsocks"), "-i", "127.0.0.1", "-p", port, "-u", "us@er", "-P", "pa55:"]
    spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(port)
    return port


@pytest.fixture
def endpoint(serve: Serve, token_response: bytes, tmp_path: Path) -> tuple[str, str]:
    """Return the address of a token endpoint with TLS, and the file of its authority."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    authority.issue_cert("localhost").configure_cert(context)

    def handle(server: RawServer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            server.read_request(secure)
            secure.sendall(token_response)

    return f"https://localhost:{serve(handle).port}", str(tmp_path / "authority.pem")


def token(endpoint: tuple[str, str]) -> str:
    """Return a token from an endpoint."""
    settings = {"url": endpoint[0], "client_id": "cid", "client_secret": "s3cret-for-tests"}
    with keyturn.connect("orocommerce", settings, store="memory://", tls=endpoint[1]) as connection:
        return connection.token().access_token


def test_tinyproxy_forwards_a_token_request(
    tinyproxy: int, endpoint: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No token would come in a network that requires a proxy with a password."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:pa55@127.0.0.1:{tinyproxy}")

    assert token(endpoint) == "t0ken"


@pytest.mark.parametrize("credentials", ["", "user:wr0ng@"])
def test_tinyproxy_rejects_wrong_credentials(
    tinyproxy: int, endpoint: tuple[str, str], monkeypatch: pytest.MonkeyPatch, credentials: str
) -> None:
    """The user would not see that the proxy's password is wrong."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://{credentials}127.0.0.1:{tinyproxy}")
    with pytest.raises(errors.EndpointUnavailable, match="credentials") as caught:
        token(endpoint)

    assert not caught.value.transient
    assert "HTTPS_PROXY" in caught.value.hint
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_microsocks_forwards_a_token_request(
    microsocks: int, endpoint: tuple[str, str], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """No token would come in a network that requires a SOCKS proxy with a password."""
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://us%40er:pa55%3A@127.0.0.1:{microsocks}")

    assert token(endpoint) == "t0ken"


@pytest.mark.parametrize("credentials", ["", "us%40er:wr0ng@"])
def test_microsocks_rejects_wrong_credentials(
    microsocks: int, endpoint: tuple[str, str], monkeypatch: pytest.MonkeyPatch, credentials: str
) -> None:
    """The user would not see that the proxy's password is wrong."""
    monkeypatch.setenv("ALL_PROXY", f"socks5h://{credentials}127.0.0.1:{microsocks}")
    with pytest.raises(errors.EndpointUnavailable, match="credentials") as caught:
        token(endpoint)

    assert not caught.value.transient
    assert "ALL_PROXY" in caught.value.hint
    assert "wr0ng" not in str(caught.value)


def test_microsocks_reports_a_failed_connection_to_the_host(
    microsocks: int,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: tuple[str, str],
    refused_port: int,
) -> None:
    """The user would look for the cause at the proxy."""
    monkeypatch.setenv("ALL_PROXY", f"socks5h://us%40er:pa55%3A@127.0.0.1:{microsocks}")
    with pytest.raises(errors.EndpointUnavailable) as caught:
        token((f"https://localhost:{refused_port}", endpoint[1]))

    assert "the proxy did not connect to localhost: connection refused" in str(caught.value)


# Each has its own port, which identifies it at the proxy.
URLS = [
    f"https://{host}:{port}/token"
    for port, host in enumerate(
        ["login.example", "LOGIN.example", "login.example.org", "127.0.0.1", "[::1]"], start=2
    )
]


def test_no_proxy_is_read_as_by_curl(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that curl reaches directly would be requested through the proxy, or the reverse."""
    proxy = serve(b"HTTP/1.1 403 X\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    addresses = [part for port in (2, 3, 4) for part in ("--resolve", f"*:{port}:127.0.0.1")]
    command = [program("curl"), "-s", *addresses, *URLS]
    of_curl: dict[tuple[str, str], bool] = {}
    of_keyturn: dict[tuple[str, str], bool] = {}
    for exceptions in EXCEPTIONS:
        monkeypatch.setenv("NO_PROXY", exceptions)
        proxy.received.clear()
        subprocess.run(command, check=False)
        targets = b"".join(each.splitlines()[0] for each in proxy.received)
        for url in URLS:
            port = url.rpartition(":")[2].removesuffix("/token")
            of_curl[exceptions, url] = f":{port} HTTP".encode() in targets
            of_keyturn[exceptions, url] = proxy_for(url) is not None

    assert of_keyturn == of_curl
    assert {*of_curl.values()} == {True, False}
