"""Proxies that the environment names: the hosts that they serve, and what they can read."""

from __future__ import annotations

import base64
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn._http.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme
    from tests.conftest import RawServer

    from keyturn._http.transport import Transport

    Behaviour = Callable[[RawServer, socket.socket], None]
    Secured = Callable[[ssl.SSLContext, Behaviour], Behaviour]
    Serve = Callable[..., RawServer]
    RequestTo = Callable[[str], keyturn.plugins.TokenRequest]
    FailedRequest = Callable[..., errors.KeyturnError]

PROXY = "http://proxy.example:8080"
SECRET = "s3cret-for-tests"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the environment's variables for proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, "None"),
        ({"HTTPS_PROXY": PROXY}, "proxy.example:8080 of HTTPS_PROXY"),
        ({"https_proxy": "proxy.example:3128"}, "proxy.example:3128 of https_proxy"),
        ({"ALL_PROXY": "socks5://proxy.example"}, "proxy.example:1080 of ALL_PROXY"),
        ({"all_proxy": "socks5h://proxy.example"}, "proxy.example:1080 of all_proxy"),
        ({"HTTPS_PROXY": "http://[::1]", "ALL_PROXY": PROXY}, "[::1]:80 of HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://a", "https_proxy": "https://b/"}, "b:443 of https_proxy"),
        ({"HTTPS_PROXY": "http://u:p%40ss@proxy.example"}, "proxy.example:80 of HTTPS_PROXY"),
        ({"HTTPS_PROXY": ""}, "None"),
        ({"HTTP_PROXY": PROXY}, "None"),
    ],
)
def test_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: str
) -> None:
    """In a network that requires a proxy, requests would fail, or use the wrong proxy."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert str(proxy_for("https://login.example/token")) == proxy


def test_proxy_of_the_system_settings_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS, an error would name a variable that is not set."""
    monkeypatch.setattr("keyturn._http.proxies.getproxies", lambda: {"https": PROXY})

    proxy = proxy_for("https://login.example/token")
    assert str(proxy) == "proxy.example:8080 of the system's settings"


def test_credentials_of_a_proxy_are_percent_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password with an @ could not be given, or would be shown."""
    monkeypatch.setenv("HTTPS_PROXY", "http://us%3Aer:p%40s%2Fs@proxy.example:8080")
    proxy = proxy_for("https://login.example/token")

    assert proxy is not None
    assert (proxy.user, proxy.password) == ("us:er", "p@s/s")
    assert "p@s/s" not in repr(proxy) + str(proxy)


@for_each(
    ("exceptions", "host", "is_direct"),
    [
        ("login.example", "login.example", True),
        ("login.example", "LOGIN.example", True),
        ("login.example", "eu.login.example", True),
        (".login.example", "login.example", True),
        ("login.example", "otherlogin.example", False),
        ("login.example", "login.example.evil", False),
        ("other.example, login.example", "login.example", True),
        ("other.example login.example", "login.example", True),
        ("login.example:443", "login.example", True),
        ("login.example:8443", "login.example", False),
        ("*", "login.example", True),
        (" * ", "login.example", True),
        ("other.example,*", "login.example", False),
        ("*.example", "login.example", False),
        ("..login.example", "login.example", False),
        ("login.example.", "login.example", True),
        (".", "login.example", False),
        ("LOGIN.Example", "login.example", True),
        ("example", "login.example", True),
        ("other.example\tlogin.example", "login.example", True),
        ("0.0.1", "127.0.0.1", False),
        ("127.0.0.1.example", "127.0.0.1", False),
        ("127.0.0.0/31", "127.0.0.1", True),
        ("127.0.0.0/33", "127.0.0.1", False),
        ("127.0.0.0/x", "127.0.0.1", False),
        ("::/127", "[::1]", True),
        ("0:0:0:0:0:0:0:1", "[::1]", True),
        ("[::]/64", "[::1]", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1:443", "127.0.0.1", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.1/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("::1", "[::1]", True),
        ("[::1]", "[::1]", True),
        ("[::1]:443", "[::1]", True),
        ("[::1]:8443", "[::1]", False),
        ("::/64", "[::1]", True),
        ("fe80::/64", "[::1]", False),
        ("10.0.0.0/8", "[::1]", False),
        ("", "login.example", False),
        (",", "login.example", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, host: str, is_direct: bool
) -> None:
    """An internal host would be reached through the proxy, or an external one directly."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exceptions)

    assert (proxy_for(f"https://{host}/token") is None) == is_direct


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_plain_http_never_goes_through_a_proxy(
    transport: Transport,
    serve: Serve,
    token_request: RequestTo,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    token_response: bytes,
) -> None:
    """A request to loopback, with its secret, would go to another machine unencrypted."""
    proxy, server = serve(token_response), serve(token_response)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")

    assert transport.send(token_request(server.url), 10).status == 200
    assert proxy.received == []


@pytest.mark.parametrize(
    "proxy",
    [
        "ftp://user:pa55@proxy.example",
        "socks4://user:pa55@proxy.example",
        "http://user:pa55@proxy.example:port",
        "http://user:pa55@proxy.example:99999",
        "http://user:pa55@",
        "http://user:pa55@proxy.example/path",
        "http://user:12/pa55@proxy.example",
        "http://user:12?pa55@proxy.example",
        "http://user:12#pa55@proxy.example",
        "http://user:pa55@pro\x1b[2Jxy.example",
        "http://[pa55]",
        f"socks5://user:pa55{'x' * 252}@proxy.example",
    ],
)
def test_unusable_proxy_is_reported_by_its_variable(
    transport: Transport, failed_request: FailedRequest, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """A mistake in the environment would be reported as a provider's defect."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    error = failed_request(transport, "https://127.0.0.1:9/token")

    assert isinstance(error, errors.ConfigurationError)
    assert "ALL_PROXY is not a proxy URL that keyturn can use." in str(error)
    assert "pa55" not in str(error)
    assert str(error).isprintable()


# --- real proxies ---


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """Give the TLS context of a server on loopback, which may ask for a client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_gets_its_own_credentials_and_no_secret(
    trusting: Transport,
    serve: Serve,
    token_request: RequestTo,
    server_context: ssl.SSLContext,
    token_response: bytes,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    secured: Secured,
    tunnel: Behaviour,
) -> None:
    """The proxy would see the secret, or the token endpoint the proxy's password."""
    proxy = serve(secured(server_context, tunnel) if scheme == "https" else tunnel)
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:pa55@127.0.0.1:{proxy.port}")

    def respond(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(token_response)

    server = serve(secured(server_context, respond))
    response = trusting.send(token_request(server.url.replace("http:", "https:")), 10)
    credentials = base64.b64encode(b"user:pa55")

    assert response.status == 200
    assert b"Proxy-Authorization: Basic " + credentials in proxy.received[0]
    assert b"s3cret-for-tests" not in proxy.received[0]
    assert b"s3cret-for-tests" in server.received[0]
    assert credentials not in server.received[0]


def failure_of(url: str, **options: Any) -> errors.KeyturnError:
    """Return the error of a connection's token request, which holds no secret."""
    settings = {"url": url, "client_id": "cid", "client_secret": SECRET}
    with (
        keyturn.connect("orocommerce", settings, store="memory://", **options) as connection,
        pytest.raises(errors.KeyturnError) as caught,
    ):
        connection.token()
    assert "pa55" not in str(caught.value)
    assert SECRET not in str(caught.value)
    return caught.value


REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\n"


@pytest.mark.parametrize(
    ("response", "credentials", "message", "attempts"),
    [
        (
            REFUSED + b"Proxy-Authenticate: Basic realm=x\r\n\r\n",
            "user:pa55@",
            (
                "the proxy refused its credentials (HTTP 407) (127.0.0.1:{port} of HTTPS_PROXY). "
                "Correct the user and the password in HTTPS_PROXY, and percent-encode special "
                "characters in them."
            ),
            1,
        ),
        (REFUSED + b"\r\n", "user@", "refused its credentials (HTTP 407)", 1),
        (b"HTTP/1.0 401 X\r\n\r\n", "user:pa55@", "refused its credentials (HTTP 401)", 1),
        (REFUSED + b"\r\n", ":pa55@", "refused its credentials (HTTP 407)", 1),
        (
            REFUSED + b"Content-Length: 3\r\n\r\nno!",
            "",
            (
                "the proxy requires credentials (HTTP 407), but HTTPS_PROXY has none "
                "(127.0.0.1:{port} of HTTPS_PROXY). "
                "Set HTTPS_PROXY to a URL with credentials: http://user:password@proxy.example."
            ),
            1,
        ),
        (
            REFUSED + b"Proxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\n\r\n",
            "user:pa55@",
            "The proxy accepts only Negotiate, NTLM, but keyturn sends Basic: use another proxy.",
            1,
        ),
        (b"HTTP/1.1 403 \x1b[2Jpa55\r\n\r\n", "", "responded with HTTP 403 (127", 1),
        (b"HTTP/1.0 302 Found\r\nLocation: /\r\n\r\n", "", "responded with HTTP 302 (127", 1),
        (
            b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "",
            (
                "the proxy responded with HTTP 502 (127.0.0.1:{port} of HTTPS_PROXY). "
                "Check HTTPS_PROXY; NO_PROXY names the hosts that keyturn reaches without it."
            ),
            3,
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503\r\n\r\n", "", "with HTTP 503 (127", 3),
        (b"SSH-2.0-pa55\r\n\r\n", "", "the proxy sent a response that is not HTTP (127", 1),
        (
            b"HTTP/1.1 200 OK\r\n" + b"x" * 17_000,
            "",
            "the proxy sent more than 16384 bytes of headers",
            1,
        ),
        (b"HTTP/1.1 200", "", "the proxy closed the connection without a response (127", 3),
    ],
)
def test_refusing_proxy_is_reported(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    response: bytes,
    credentials: str,
    message: str,
    attempts: int,
) -> None:
    """The error would blame the token endpoint, or retries would lock out the proxy user."""
    proxy = serve(response)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{credentials}127.0.0.1:{proxy.port}")
    error = failure_of("https://login.example")

    assert isinstance(error, errors.EndpointUnavailable)
    assert "the token endpoint https://login.example/oauth2-token failed: the proxy " in str(error)
    assert message.format(port=proxy.port) in str(error)
    assert error.transient == (attempts > 1)
    assert len(proxy.received) == attempts
    assert proxy.received[0].startswith(b"CONNECT login.example:443 HTTP/1.1\r\n")


def test_error_names_a_proxy_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error would blame the token endpoint instead of the proxy."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    error = failure_of("https://login.example")

    assert "failed: the proxy failed: Connection refused (127.0.0.1:9 of https_proxy)" in str(error)
    assert "Check https_proxy" in error.hint


def test_error_names_a_token_endpoint_that_fails_behind_a_proxy(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tunnel: Behaviour
) -> None:
    """The error would blame the proxy instead of the token endpoint."""
    proxy = serve(tunnel)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")

    def respond(_: object, connection: socket.socket) -> None:
        connection.recv(1)  # otherwise it may arrive together with the proxy's response
        connection.sendall(b"HTTP/1.1 400 X\r\n\r\n")

    server = serve(respond)
    error = failure_of(f"https://127.0.0.1:{server.port}")

    assert "failed: TLS failed (wrong version number)." in str(error)
    assert "this address does not use TLS" in error.hint


def test_hint_explains_that_a_host_is_excluded_from_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error would not say why the proxy is not used."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    error = failure_of("https://127.0.0.1:9")

    assert "no_proxy excludes it from the proxy of HTTPS_PROXY." in error.hint


def test_ipv6_address_is_sent_to_a_proxy_in_brackets(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would read ::1:443 as a name."""
    proxy = serve(b"HTTP/1.1 403 X\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    failure_of("https://[::1]")

    assert proxy.received[0].startswith(b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n")


def test_certificate_of_a_proxy_is_checked(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, server_context: ssl.SSLContext, secured: Secured
) -> None:
    """The proxy's password would be sent to an impostor of the proxy."""
    proxy = serve(secured(server_context, lambda *_: None))
    monkeypatch.setenv("HTTPS_PROXY", f"https://user:pa55@127.0.0.1:{proxy.port}")
    error = failure_of("https://login.example")

    assert "the proxy failed: its certificate is not trusted (" in str(error)
    assert f"(127.0.0.1:{proxy.port} of HTTPS_PROXY)" in str(error)
    assert "KEYTURN_CA_FILE" in error.hint
    assert proxy.received == []


# --- SOCKS ---

NO_AUTHENTICATION, PASSWORD = b"\x05\x00", b"\x05\x02"
SUCCEEDED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
ALLOWED = (PASSWORD, b"\x01\x00", SUCCEEDED)


def socks(*replies: bytes, after: Behaviour | None = None) -> Behaviour:
    """Return the behaviour of a SOCKS proxy (RFC 1928) with these replies, each in pieces."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for reply in replies:
            server.received.append(connection.recv(1000))
            for number in range(len(reply)):
                connection.sendall(reply[number : number + 1])
        if after is not None:
            after(server, connection)

    return handle


def silent(server: RawServer, connection: socket.socket) -> None:
    """Read nothing and send nothing."""
    del connection
    server.ended.wait(30)


def dripping(server: RawServer, connection: socket.socket) -> None:
    """Send single bytes: a reply with an endless name."""
    connection.recv(1000)
    connection.sendall(b"\x05\x00\x00\x03\xff")
    while not server.ended.wait(0.02):
        connection.sendall(b"x")


@pytest.mark.parametrize(
    "replies",
    [(), (NO_AUTHENTICATION,), (NO_AUTHENTICATION, SUCCEEDED), ALLOWED[:1], ALLOWED[:2]],
    ids=["greeting", "connection", "tunnel", "credentials", "connection with credentials"],
)
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_deadline_holds_at_a_socks_proxy(
    transport: Transport,
    serve: Serve,
    failed_request: FailedRequest,
    monkeypatch: pytest.MonkeyPatch,
    replies: tuple[bytes, ...],
    scheme: str,
) -> None:
    """A SOCKS proxy that stalls would block a caller forever."""
    proxy = serve(socks(*replies, after=silent))
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:pa55@127.0.0.1:{proxy.port}")
    error = failed_request(transport, "https://login.example/token", seconds=0.2)

    assert "did not respond within 0.2 s" in str(error)


def test_deadline_holds_at_a_socks_proxy_that_sends_single_bytes(
    transport: Transport,
    serve: Serve,
    failed_request: FailedRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A SOCKS proxy that slowly sends single bytes would block a caller forever."""
    proxy = serve(socks(NO_AUTHENTICATION, after=dripping))
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
    error = failed_request(transport, "https://login.example/token", seconds=0.2)

    assert "did not respond within 0.2 s: the proxy failed: it " in str(error)
    assert f"(127.0.0.1:{proxy.port} of ALL_PROXY)" in str(error)


@pytest.mark.parametrize(
    ("replies", "credentials", "message", "attempts"),
    [
        (
            (b"\x05\xff",),
            "",
            (
                "the proxy requires credentials (SOCKS 5), but ALL_PROXY has none "
                "(127.0.0.1:{port} of ALL_PROXY). "
                "Set ALL_PROXY to a URL with credentials: socks5://user:password@"
            ),
            1,
        ),
        ((b"\x05\xff",), "user:pa55@", "the proxy refused its credentials (SOCKS 5)", 1),
        (
            (PASSWORD, b"\x01\x01"),
            "user:pa55@",
            (
                "the proxy refused its credentials (SOCKS 5) (127.0.0.1:{port} of ALL_PROXY). "
                "Correct the user and the password in ALL_PROXY"
            ),
            1,
        ),
        ((PASSWORD,), "", "the proxy requires credentials (SOCKS 5)", 1),
        (
            (NO_AUTHENTICATION, b"\x05\x02" + SUCCEEDED[2:]),
            "",
            "the proxy did not connect to login.example: connection not allowed by ruleset (127",
            1,
        ),
        (
            (NO_AUTHENTICATION, b"\x05\x05" + SUCCEEDED[2:]),
            "",
            "the proxy did not connect to login.example: connection refused (127",
            3,
        ),
        ((NO_AUTHENTICATION, b"\x05\x63" + SUCCEEDED[2:]), "", "login.example: reply 99 (127", 1),
        ((b"HTTP/1.1 400 X\r\n\r\n",), "", "the proxy is not a SOCKS 5 proxy (127", 1),
        ((NO_AUTHENTICATION, b"HTTP/1.1"), "", "the proxy is not a SOCKS 5 proxy (127", 1),
        ((NO_AUTHENTICATION, b"\x05"), "", "the proxy closed the connection without a resp", 3),
    ],
)
def test_refusing_socks_proxy_is_reported(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    replies: tuple[bytes, ...],
    credentials: str,
    message: str,
    attempts: int,
) -> None:
    """The error would blame the token endpoint, or retries would lock out the proxy user."""
    begun: list[None] = []

    def handle(server: RawServer, connection: socket.socket) -> None:
        begun.append(None)
        socks(*replies)(server, connection)

    proxy = serve(handle)
    monkeypatch.setenv("ALL_PROXY", f"socks5://{credentials}127.0.0.1:{proxy.port}")
    error = failure_of("https://login.example")

    assert isinstance(error, errors.EndpointUnavailable)
    assert message.format(port=proxy.port) in str(error)
    assert error.transient == (attempts > 1)
    assert len(begun) == attempts


@pytest.mark.parametrize(
    ("credentials", "replies", "greeting"),
    [
        ("", (NO_AUTHENTICATION, SUCCEEDED), b"\x05\x01\x00"),
        ("user:pa55@", ALLOWED, b"\x05\x02\x00\x02"),
        ("user:pa55@", (NO_AUTHENTICATION, SUCCEEDED), b"\x05\x02\x00\x02"),
        ("", (NO_AUTHENTICATION, b"\x05\x00\x00\x03\x04host\x00\x50"), b"\x05\x01\x00"),
        ("", (NO_AUTHENTICATION, b"\x05\x00\x00\x04" + bytes(18)), b"\x05\x01\x00"),
    ],
)
def test_token_request_passes_a_socks_proxy(
    trusting: Transport,
    serve: Serve,
    token_request: RequestTo,
    server_context: ssl.SSLContext,
    token_response: bytes,
    monkeypatch: pytest.MonkeyPatch,
    secured: Secured,
    credentials: str,
    replies: tuple[bytes, ...],
    greeting: bytes,
) -> None:
    """In a network that requires a SOCKS proxy, requests would fail or need another package."""

    def respond(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(token_response)

    proxy = serve(socks(*replies, after=secured(server_context, respond)))
    monkeypatch.setenv("HTTPS_PROXY", f"socks5://{credentials}127.0.0.1:{proxy.port}")

    assert trusting.send(token_request("https://127.0.0.1:9/token"), 10).status == 200
    assert proxy.received[0] == greeting
    assert proxy.received[len(replies) - 1] == b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x09"
    if len(replies) == 3:
        assert proxy.received[1] == b"\x01\x04user\x04pa55"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("login.example", b"\x03\x0dlogin.example"),
        ("[::1]", b"\x04" + bytes(15) + b"\x01"),
    ],
)
def test_socks_proxy_resolves_the_name(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, host: str, address: bytes
) -> None:
    """Where only the proxy can resolve names, no token request would succeed."""
    proxy = serve(socks(NO_AUTHENTICATION, b"\x05\x02" + SUCCEEDED[2:]))
    monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
    failure_of(f"https://{host}:8443")

    assert proxy.received[1] == b"\x05\x01\x00" + address + b"\x20\xfb"
