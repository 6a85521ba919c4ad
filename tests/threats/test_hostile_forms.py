"""Forms of tenants that try to make keyturn reach this machine, a private network or a file.

Each row is tried twice. The first time shows that a connection is opened: under a policy that
forbids nothing, or, where keyturn never accepts the form, by a plain client. The second time shows
that a strict policy prevents it. An audit hook sees each connection of the process, and stops
those to other machines; a listener on loopback counts the connections that arrive.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest
from tests.conftest import for_each

import keyturn
from keyturn import NetworkPolicy
from keyturn._http.policy import PERMISSIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CREDENTIALS = {"client_id": "cid", "client_secret": "s3cret-for-tests"}
STRICT = NetworkPolicy()
# Strict, except for what must be allowed so that the next check is reached.
WITH_ADDRESSES = NetworkPolicy(address_settings=True)
ON_LOOPBACK = NetworkPolicy(address_settings=True, loopback=True)
PUBLIC = "8.8.8.8"
SECONDS = (0.2, 1.0, 5.0, 25.0)
LOOPBACK = ("127.", "0.0.0.0", "::1", "::ffff:127.")  # noqa: S104 - nothing listens there


class Watch:
    """What an audit hook sees of this process while the watch is on."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._is_on = False
        sys.addaudithook(self._note)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[list[str]]:
        """Yield the list of what the hook sees from now on."""
        self.seen, self._is_on = [], True
        try:
            yield self.seen
        finally:
            self._is_on = False

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            host = str(arguments[1][0])
            self.seen.append(host)
            if host != "::" and not host.startswith(LOOPBACK):
                raise OSError(errno.ENETUNREACH, "it would leave this machine")
        elif event == "open" and "hostile" in str(arguments[0]):
            self.seen.append(f"file {arguments[0]}")
        elif event == "subprocess.Popen":
            self.seen.append(f"command {arguments[0]}")


@pytest.fixture(scope="module")
def watch() -> Watch:
    """Return the watch over this process; an audit hook can't be removed."""
    # Load the certificate authorities now: a short timeout is too short for that.
    use("orocommerce", oro("127.0.0.1", 9), PERMISSIVE, timeout=5)
    return Watch()


class Listener:
    """Counts connections; a client without TLS gets a token that names an internal API."""

    def __init__(self) -> None:
        self.connections = 0
        self.body = b'{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}'
        self.head = "200 OK"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self.connections += 1
                    connection.settimeout(5)
                    self._respond(connection)

    def _respond(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        with contextlib.suppress(OSError), stream:
            if not stream.peek(1)[:1].isalpha():  # a TLS record begins with another byte
                return
            length = 0
            while (line := stream.readline().lower()).strip():
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            stream.read(length)
            head = f"HTTP/1.1 {self.head}\r\ncontent-type: application/json\r\n"
            head += f"content-length: {len(self.body)}\r\nconnection: close\r\n\r\n"
            connection.sendall(head.encode() + self.body)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Yield a listener on loopback."""
    started = Listener()
    yield started
    started.close()


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets what a name resolves to, for each lookup in turn."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **options: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in known:
            return real(host, port, *rest, **options)
        rounds = known[name]
        addresses = rounds.pop(0) if len(rounds) > 1 else rounds[0]
        found = []
        for each in addresses:
            is_6 = ":" in each
            family = socket.AF_INET6 if is_6 else socket.AF_INET
            end = (each, int(port or 0), 0, 0) if is_6 else (each, int(port or 0))
            found.append((family, socket.SOCK_STREAM, 6, "", end))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    def set_rounds(name: str, *rounds: list[str]) -> None:
        known[name] = [*rounds]

    return set_rounds


def is_public(seen: str) -> bool:
    """Return whether the hook saw a connection to a public address."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(seen.partition("%")[0]) == ipaddress.ip_address(PUBLIC)
    return False


def use(provider: Any, form: Any, policy: NetworkPolicy, **options: Any) -> str:
    """Connect with a form, get a token, and call the API; return what was reported.

    Failures of the network are retried until the timeout; what a policy forbids is not.
    """
    quick = {"store": "memory://", "timeout": 0.2 if policy == PERMISSIVE else 20} | options
    try:
        with keyturn.connect(provider, form, policy=policy, **quick) as connection:
            connection.token()
            auth = keyturn.integrations.httpx.KeyturnAuth(connection)
            with httpx.Client(auth=auth, timeout=0.2) as client:
                client.get(f"{connection.api_url}/x")
    except keyturn.errors.KeyturnError as error:
        return str(error)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "nothing"


def dialled(watch: Watch, provider: Any, form: Any, **options: Any) -> list[str]:
    """Return what is connected to without a policy; retries with longer timeouts."""
    for seconds in SECONDS:
        with watch() as seen:
            use(provider, form, PERMISSIVE, timeout=seconds, **options)
        if seen:
            return seen
    return []


LITERALS = [
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "0.0.0.1", "10.0.0.1",  # noqa: S104
    "10.255.255.254", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.255.254",
    "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "[::1]", "localhost", "LocalHost",
]  # fmt: skip
# Addresses that a tenant's own public name may resolve to.
RESOLVED = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1",  # noqa: S104
    "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192",
    "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2001:0:7f00:1::1", "2002:7f00:1::1", "2001:db8::1",
    "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "8.8.8.8+127.0.0.1",
    "127.0.0.1+8.8.8.8", "8.8.8.8+::1", "2606:4700::1111+10.0.0.1",
]  # fmt: skip
# Strings that `getaddrinfo` takes for loopback; keyturn accepts none of them as a host.
NEVER_TAKEN = [
    "2130706433",
    "0x7f000001",
    "017700000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "::ffff:127.0.0.1",
    "fe80::1%lo",
    "0:0:0:0:0:0:0:1",
    "127\u30020\u30020\u30021",
    "\uff11\uff12\uff17.0.0.1",
    "\u2460\u2461\u2466.0.0.1",
    "\uff4cocalhost",
    "local\u00adhost",
]
URLS_NEVER_TAKEN = [
    "http://user:secret@127.0.0.1:{port}",
    "http://shop.example@127.0.0.1:{port}",
    "http://127.0.0.1:{port}?https://shop.example",
    "http://127.0.0.1:{port}#@shop.example",
    "http://127.0.0.1:{port}/../x",
    "HTTP://127.1:{port}/",
]


def oro(host: str, port: int) -> dict[str, Any]:
    """Return the form of a shop at a host."""
    return CREDENTIALS | {"url": f"https://{host}:{port}"}


@for_each("host", LITERALS)
def test_literal_address_is_not_dialled(host: str, watch: Watch, listener: Listener) -> None:
    """A tenant could reach this machine, the private network, or the cloud's metadata."""
    assert dialled(watch, "orocommerce", oro(host, listener.port))
    count = listener.connections
    with watch() as seen:
        reported = use("orocommerce", oro(host, listener.port), STRICT)
    assert (seen, listener.connections) == ([], count)
    assert f"url: the token endpoint's host {host.lower()} is " in reported
    assert "see NetworkPolicy." in reported


@for_each("addresses", RESOLVED)
def test_name_is_not_dialled_if_any_of_its_addresses_is_forbidden(
    addresses: str, watch: Watch, listener: Listener, resolve: Callable[..., None]
) -> None:
    """A tenant could point their own name at an address that the form may not contain."""
    resolve("shop.evil.example", addresses.split("+"))
    assert dialled(watch, "orocommerce", oro("shop.evil.example", listener.port))
    count = listener.connections
    with watch() as seen:
        reported = use("orocommerce", oro("shop.evil.example", listener.port), STRICT)
    assert (seen, listener.connections) == ([], count)
    assert "the token endpoint's host shop.evil.example resolves to a " in reported
    assert "see NetworkPolicy." in reported
    assert not any(each in reported for each in addresses.split("+"))


@for_each("host", NEVER_TAKEN)
def test_unusual_form_of_an_address_is_not_dialled(
    host: str, watch: Watch, listener: Listener
) -> None:
    """A form that only the resolver reads as an address would bypass the check."""
    with watch() as seen, contextlib.suppress(OSError):
        socket.create_connection((host, listener.port), 5).close()
    assert seen
    for written in {host, f"[{host}]" if ":" in host else host}:
        for provider, form in (
            ("orocommerce", oro(written, listener.port)),
            ("commercelayer", CREDENTIALS | {"kind": "integration", "domain": written}),
            ("generic", CREDENTIALS | {"token_url": f"https://{written}:{listener.port}/"}),
        ):
            for policy in (STRICT, WITH_ADDRESSES, PERMISSIVE):
                with watch() as seen:
                    assert "mistake(s):" in use(provider, form, policy)
                assert seen == []


@for_each("url", URLS_NEVER_TAKEN)
def test_url_with_more_than_a_host_is_not_dialled(
    url: str, watch: Watch, listener: Listener
) -> None:
    """Parsers disagree about the host of such a URL, so the check could be bypassed."""
    url = url.format(port=listener.port)
    with watch() as seen:
        httpx.post(url, timeout=5)
    assert seen
    with watch() as seen:
        for policy in (STRICT, PERMISSIVE):
            assert "url: must" in use("orocommerce", CREDENTIALS | {"url": url}, policy)
    assert seen == []


@pytest.mark.parametrize("provider", ["norce-commerce", "norce-storm", "orocommerce", "generic"])
@pytest.mark.parametrize("setting", ["token_url", "api_url", "revocation_url"])
def test_endpoint_of_a_provider_is_not_replaced_by_a_form(
    provider: str, setting: str, watch: Watch, listener: Listener
) -> None:
    """A tenant could have a token request, or an API request, sent to any address."""
    needed: dict[str, Any] = {
        "norce-commerce": {"client": "acme", "environment": "stage"},
        "norce-storm": {"scope": "lab"},
        "orocommerce": {"url": "https://shop.example"},
        "generic": {"token_url": "https://login.example/token"},
    }
    here = f"http://127.0.0.1:{listener.port}/x"
    form = CREDENTIALS | needed[provider] | {"token_url": here} | {setting: here}
    assert "127.0.0.1" in dialled(watch, provider, form)
    count = listener.connections
    with watch() as seen:
        refused = use(provider, CREDENTIALS | needed[provider] | {setting: here}, STRICT)
        host = use(provider, form, WITH_ADDRESSES)
    assert (seen, listener.connections) == ([], count)
    assert "see NetworkPolicy.address_settings" in refused
    assert refused.count("\n") == 1
    assert "host 127.0.0.1 is a loopback address" in host


@pytest.mark.parametrize("missing", [{}, {"client_id": 7}, {"scope": "\u00e9"}])
def test_generic_provider_without_address_settings_reports_one_problem(
    missing: dict[str, Any],
) -> None:
    """A tenant would correct one setting after another for a provider that can't be used."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect("generic", missing, policy=STRICT)
    assert [problem.path for problem in caught.value.problems] == ["token_url"]
    assert "NetworkPolicy.address_settings" in str(caught.value)


REDIRECTS = ["10.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]", "192.168.0.1"]


@for_each("target", REDIRECTS)
def test_redirect_of_the_token_endpoint_is_not_followed(
    target: str, watch: Watch, listener: Listener
) -> None:
    """A tenant's token endpoint could choose where the request goes."""
    listener.head = f"307 X\r\nlocation: http://{target}/latest/meta-data"
    here = f"http://127.0.0.1:{listener.port}/token"
    with watch() as seen, contextlib.suppress(httpx.ConnectError):
        httpx.post(here, follow_redirects=True, timeout=5)
    assert target.strip("[]") in seen
    form = CREDENTIALS | {"token_url": here}
    for policy in (PERMISSIVE, ON_LOOPBACK):
        with watch() as seen:
            reported = use("generic", form, policy, timeout=5)
        assert seen == ["127.0.0.1"]
        assert "redirects are not followed" in reported
        assert target.strip("[]") not in reported


@pytest.mark.parametrize("inside", ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254"])
def test_name_that_changes_after_the_check_is_not_dialled(
    inside: str, watch: Watch, listener: Listener, resolve: Callable[..., None]
) -> None:
    """With DNS rebinding, keyturn would connect to an address that was not checked."""
    form = oro("shop.evil.example", listener.port)
    resolve("shop.evil.example", [PUBLIC], [inside])
    assert is_public(dialled(watch, "orocommerce", form)[0])
    assert inside in dialled(watch, "orocommerce", form)
    resolve("shop.evil.example", [PUBLIC], [inside])
    with watch() as seen:
        use("orocommerce", form, STRICT)
        second = use("orocommerce", form, STRICT)
    assert all(map(is_public, seen))
    assert len(seen) == 1
    assert "shop.evil.example resolves to a " in second


class AcmeSettings(keyturn.plugins.CertificateSettings):
    """Settings with a client certificate, and with a file that only the provider knows."""

    login: str = keyturn.plugins.url("Login")
    client_id: str | None = keyturn.plugins.setting(  # type: ignore[assignment]
        "Client ID", default=None
    )
    certificate: str | None = keyturn.plugins.file(  # type: ignore[assignment]
        "Certificate", default=None
    )
    bundle: str | None = keyturn.plugins.file("Bundle", default=None)
    undeclared: str | None = keyturn.plugins.setting("Undeclared", default=None)


class Acme(keyturn.plugins.Provider[AcmeSettings]):
    """A platform that returns the address of its API, in its own network, with the token."""

    name = "acme"
    settings = AcmeSettings
    token_url = "{login}/token"
    api_url_field = "api"
    api_domains = ("tenants.example",)
    client_authentication = "tls_client_auth"

    def token_request(self, settings: AcmeSettings) -> keyturn.plugins.TokenRequest:
        """Return the token request; a file that isn't declared may be its certificate."""
        request = super().token_request(settings)
        if settings.undeclared is None:
            return request
        named = keyturn.plugins.ClientCertificate(settings.undeclared)
        return attrs.evolve(request, certificate=named)


@pytest.mark.parametrize("inside", ["10.0.0.1", "169.254.169.254", "fd00::1", "100.64.0.1"])
def test_api_named_by_the_token_response_is_not_dialled(
    inside: str, watch: Watch, listener: Listener, resolve: Callable[..., None]
) -> None:
    """A tenant's server could send the application's API requests into the private network."""
    resolve("a.tenants.example", [inside])
    listener.body = listener.body[:-1] + b',"api":"https://a.tenants.example"}'
    form = {"login": f"http://127.0.0.1:{listener.port}"}
    with watch() as seen:
        use(Acme(), form, PERMISSIVE, timeout=5)
    assert seen == ["127.0.0.1", inside]
    with watch() as seen:
        reported = use(Acme(), form, ON_LOOPBACK, timeout=5)
    assert seen == ["127.0.0.1"]
    assert "the API's host a.tenants.example resolves to a private" in reported


@pytest.mark.parametrize("inside", ["10.0.0.1", "169.254.169.254"])
def test_revocation_endpoint_is_not_dialled(
    inside: str, watch: Watch, listener: Listener, resolve: Callable[..., None]
) -> None:
    """A tenant could have a request sent into the private network when a token is revoked."""
    resolve("revoke.evil.example", [inside])
    here = f"http://127.0.0.1:{listener.port}/token"
    form = CREDENTIALS | {"token_url": here, "revocation_url": "https://revoke.evil.example/x"}
    for policy, dialled in ((PERMISSIVE, ["127.0.0.1", inside]), (ON_LOOPBACK, ["127.0.0.1"])):
        with (
            keyturn.connect("generic", form, policy=policy, store="memory://") as connection,
            watch() as seen,
        ):
            connection.token()
            with pytest.raises(keyturn.errors.KeyturnError) as caught:
                connection.revoke()
        assert seen == dialled
    assert "host revoke.evil.example resolves to a private" in str(caught.value)


class Revoking(Acme):
    """A platform whose revocation endpoint depends on the token."""

    def revocation_request(
        self, settings: AcmeSettings, token: keyturn.Token
    ) -> keyturn.plugins.TokenRequest:
        """Return a request to an endpoint that is not in the settings."""
        return self.revocation_to(f"https://{token.extra['api']}/x", settings, token)


def test_revocation_endpoint_named_by_the_token_response_is_checked(
    watch: Watch, listener: Listener, resolve: Callable[..., None]
) -> None:
    """A host outside the allowed domains would get the token, directly or through a proxy."""
    resolve("revoke.evil.example", ["10.0.0.1"])
    listener.body = listener.body[:-1] + b',"api":"revoke.evil.example"}'
    form = {"login": f"http://localhost:{listener.port}"}
    strict = attrs.evolve(ON_LOOPBACK, private_addresses=True, domains=("localhost",))
    for policy, is_dialled in ((PERMISSIVE, True), (strict, False)):
        with (
            keyturn.connect(Revoking(), form, policy=policy, store="memory://") as connection,
            watch() as seen,
        ):
            connection.token()
            with pytest.raises(keyturn.errors.KeyturnError) as caught:
                connection.revoke()
        assert ("10.0.0.1" in seen) is is_dialled
    assert "host revoke.evil.example is not one of the hosts" in str(caught.value)


def test_proxy_is_dialled_for_names_only(
    watch: Watch, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No token would come through a proxy, or the proxy would reach a forbidden address."""
    listener.head = "502 X"
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.port}")
    with watch() as seen:
        reported = use("orocommerce", oro("not-resolved.example", 443), STRICT, timeout=2)
    assert set(seen) == {"127.0.0.1"}
    assert "the proxy responded with HTTP 502" in reported
    with watch() as seen:
        for host in ("10.0.0.1", "[::1]", "localhost", "metadata.google.internal"):
            assert "see NetworkPolicy." in use("orocommerce", oro(host, 443), STRICT, timeout=5)
    assert seen == []


def test_host_of_an_api_named_by_the_token_response_is_checked(
    watch: Watch, listener: Listener
) -> None:
    """A domain that the platform does not allow would get the token."""
    listener.body = listener.body[:-1] + b',"api":"https://a.tenants.example"}'
    policy = attrs.evolve(ON_LOOPBACK, domains=("localhost",))
    form = {"login": f"http://localhost:{listener.port}"}
    with watch() as seen:
        reported = use(Acme(), form, policy, timeout=5)
    assert set(seen) <= {"127.0.0.1", "::1"}
    assert "the API's host a.tenants.example is not one of the hosts" in reported


def option_rows(port: int, place: Path) -> dict[str, Any]:
    """Return options with which a form would open a connection or make files."""
    return {
        "store": f"redis://127.0.0.1:{port}/0",
        "disk": f"disk://{place}/hostile",
    }


@pytest.mark.parametrize("row", ["store", "disk"])
def test_form_cannot_name_a_store(
    row: str, watch: Watch, listener: Listener, tmp_path: Path
) -> None:
    """A tenant could make keyturn connect to their Redis, or make directories."""
    url = option_rows(listener.port, tmp_path)[row]
    form = oro("127.0.0.1", 9)
    seen = dialled(watch, "orocommerce", form, store=url)
    assert [each for each in seen if each != "127.0.0.1" or row == "store"]
    count = listener.connections
    for policy in (STRICT, PERMISSIVE):
        with watch() as seen:
            reported = use("orocommerce", form | {"store": url}, policy)
        assert (seen, listener.connections) == ([], count)
        assert "store: is an option" in reported
    assert row == "store" or (tmp_path / "hostile").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("policy", PERMISSIVE),
        ("policy", {"loopback": True}),
        ("tls", "/hostile/ca.pem"),
        ("rate_limit", "none"),
        ("on_event", print),
        ("name", "another"),
        ("margin", 0),
        ("timeout", 86_400),
        ("wait", 86_400),
    ],
)
def test_form_cannot_set_an_option(
    option: str, value: object, watch: Watch, listener: Listener
) -> None:
    """A tenant could lift the policy, or block workers for a day."""
    assert dialled(watch, "orocommerce", oro("127.0.0.1", listener.port))
    for policy in (STRICT, PERMISSIVE):
        with watch() as seen:
            form = oro("shop.example", listener.port) | {option: value}
            assert f"{option}: is " in use("orocommerce", form, policy)
        assert seen == []


@pytest.mark.parametrize("kind", ["command", "file", "env"])
def test_form_cannot_contain_a_secret_reference(
    kind: str, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant could run a command, or have a file or a variable sent to their server."""
    (tmp_path / "hostile").write_text("s3cret")
    reference: dict[str, Any] = {
        "command": ["cat", str(tmp_path / "hostile")],
        "file": str(tmp_path / "hostile"),
        "env": "HOSTILE",
    }
    given = {kind: reference[kind]}
    monkeypatch.setenv("HOSTILE", "s3cret")
    configured = tmp_path / "keyturn.toml"
    value = str(reference[kind]).replace("'", '"') if kind == "command" else f'"{reference[kind]}"'
    configured.write_text(
        '[connections.shop]\nprovider = "orocommerce"\nurl = "https://shop.example"\n'
        f'client_id = "cid"\nclient_secret = {{ {kind} = {value} }}\n'
    )
    with watch() as seen:
        request = keyturn.load_connection("shop", config=configured).token_request()
    assert "s3cret" in {secret.reveal() for secret in request.secrets()}
    assert seen or kind == "env"
    with watch() as seen:
        for policy in (STRICT, PERMISSIVE):
            form = oro("shop.example", 443) | {"client_secret": given}
            assert "client_secret: must be a string" in use("orocommerce", form, policy)
    assert seen == []


@pytest.mark.parametrize(
    "setting", ["certificate", "certificate_key", "bundle", "undeclared", "generic"]
)
def test_form_cannot_name_a_file(
    setting: str, watch: Watch, listener: Listener, tmp_path: Path
) -> None:
    """A tenant could find out which files exist, or use the platform's own certificate."""
    (tmp_path / "exists").write_text("no certificate")
    paths = [str(tmp_path / "exists"), str(tmp_path / "missing")]

    def tried(policy: NetworkPolicy) -> list[str]:
        reported = []
        for path in paths:
            here = f"https://127.0.0.1:{listener.port}"
            form: dict[str, Any] = {"login": here, setting: path}
            if setting == "certificate_key":
                form["certificate"] = path
            if setting == "generic":
                form = {"token_url": here, "certificate": path, "client_id": "cid"}
                form["client_authentication"] = "tls_client_auth"
            provider: Any = "generic" if setting == "generic" else Acme()
            reported.append(use(provider, form, policy).replace(path, "PATH"))
        return reported

    if setting not in {"bundle", "certificate_key"}:
        existing, missing = tried(PERMISSIVE)
        assert existing != missing
    with watch() as seen:
        existing, missing = tried(ON_LOOPBACK)
    assert seen == []
    assert existing == missing
    assert "see NetworkPolicy.file_settings" in existing


def test_settings_object_is_checked_like_a_form(watch: Watch, listener: Listener) -> None:
    """A platform that creates the settings object itself would bypass the policy."""
    from keyturn_orocommerce import OroSettings

    for form, path in (
        (oro("127.0.0.1", listener.port), "url"),
        (CREDENTIALS | {"url": "https://shop.example", "api_url": "https://a.example"}, "api_url"),
    ):
        with watch() as seen, pytest.raises(keyturn.errors.ConfigurationError) as caught:
            keyturn.connect("orocommerce", OroSettings(**form), policy=STRICT)
        assert seen == []
        assert [problem.path for problem in caught.value.problems] == [path]


def test_form_cannot_name_a_host_outside_the_domains(
    watch: Watch, listener: Listener, resolve: Callable[..., None]
) -> None:
    """A tenant could have a secret of the platform sent to their server."""
    resolve("shop.evil.example", ["127.0.0.1"])
    form = oro("shop.evil.example", listener.port)
    policy = attrs.evolve(PERMISSIVE, domains=("*.shop.example", "evil.example"))
    assert dialled(watch, "orocommerce", form)
    with watch() as seen:
        reported = use("orocommerce", form, policy)
    assert seen == []
    assert "url: the token endpoint's host shop.evil.example is not one of the hosts" in reported


def test_no_row_is_lost() -> None:
    """Rows of the tables above could disappear unnoticed."""
    rows = {*LITERALS, *(f"name {each}" for each in RESOLVED), *NEVER_TAKEN, *URLS_NEVER_TAKEN}
    assert len(rows) >= 80
