"""Real authorization servers on loopback, one process each, started when a test first needs it.

Each has its own credentials, generated for every run, and ends with the run that started it,
even if that run is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import attrs
import httpx
import pytest
import trustme
from joserfc import jwk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

HERE = Path(__file__).parent
READY_WITHIN = 30.0
ENDED_WITHIN = 10.0


@attrs.frozen
class Doorkeeper:
    """A running Doorkeeper.

    Args:
        url: Its address, without a trailing slash.
        client_id: The confidential client's ID.
        client_secret: The confidential client's secret.
        public_client_id: The ID of the client that has no secret.
        log: The log file.
    """

    url: str
    client_id: str
    client_secret: str = attrs.field(repr=False)
    public_client_id: str
    log: Path

    def token_requests(self) -> int:
        """Return the number of token requests so far."""
        return self.log.read_text().count('Started POST "/oauth/token"')

    @property
    def token_url(self) -> str:
        """The token endpoint, at the path of Commerce Layer."""
        return f"{self.url}/oauth/token"

    @property
    def api_url(self) -> str:
        """The API, whose 401 responses have the form of Commerce Layer's."""
        return f"{self.url}/api"


@attrs.frozen
class OidcFiles:
    """Files for the other clients of an oidc-provider."""

    tls_url: str
    directory: Path


@attrs.frozen
class OidcProvider:
    """A running oidc-provider.

    Args:
        url: Its address, without a trailing slash.
        client_id: The client's ID.
        client_secret: The client's secret.
        files: Its TLS address, keys and certificates.
    """

    url: str
    client_id: str
    client_secret: str = attrs.field(repr=False)
    files: OidcFiles

    @property
    def token_url(self) -> str:
        """The token endpoint, at the path of Norce Commerce."""
        return f"{self.url}/identity/1.0/connect/token"

    @property
    def api_url(self) -> str:
        """The API, which requires an `ApplicationId`."""
        return f"{self.url}/commerce"

    def requests(self) -> list[str]:
        """Return status, path and grant type of each request so far, from the server's log."""
        lines = (self.files.directory / "log").read_text().splitlines()
        return [line[8:].rstrip() for line in lines if line.startswith("request ")]


@attrs.frozen
class RateLimited(OidcProvider):
    """An oidc-provider behind an nginx that limits its token endpoint.

    Args:
        log: The file in which nginx logs the status of each token request.
    """

    log: Path

    def statuses(self) -> list[int]:
        """Return the statuses of the responses to all token requests so far."""
        # nginx logs a request after its response, and before it handles the next one.
        httpx.get(self.url, trust_env=False)
        return [int(line) for line in self.log.read_text().split()]


@pytest.fixture(scope="session")
def doorkeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doorkeeper]:
    """Doorkeeper, which issues a new token for each request."""
    yield from _doorkeeper(tmp_path_factory.mktemp("doorkeeper") / "log")


@pytest.fixture(scope="session")
def reusing_doorkeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doorkeeper]:
    """Doorkeeper with `reuse_access_token`: it returns the same token as long as it is valid."""
    log = tmp_path_factory.mktemp("reusing-doorkeeper") / "log"
    yield from _doorkeeper(log, {"REUSE_ACCESS_TOKEN": "1"})


@pytest.fixture(scope="session")
def oidc_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """oidc-provider, which accepts only form bodies."""
    if not (HERE / "oidc-provider/node_modules/oidc-provider").is_dir():
        _not_installed("oidc-provider")
    port, tls_port = _free_port(), _free_port()
    directory = tmp_path_factory.mktemp("oidc-provider")
    server = OidcProvider(
        url=f"http://127.0.0.1:{port}",
        client_id=f"client-{secrets.token_hex(4)}",
        client_secret=_secret(),
        files=OidcFiles(f"https://127.0.0.1:{tls_port}", directory),
    )
    environment = {"CLIENT_ID": server.client_id, "CLIENT_SECRET": server.client_secret}
    environment |= {"JWKS": _write_keys(directory), "TLS_FILES": str(directory)}
    with _running(
        ["node", str(HERE / "oidc-provider/server.mjs")],
        port=port,
        log=directory / "log",
        environment={"PORT": str(port), "TLS_PORT": str(tls_port), **environment},
    ):
        yield server


@pytest.fixture
def rate_limited(oidc_provider: OidcProvider, tmp_path: Path) -> Iterator[RateLimited]:
    """The same oidc-provider behind its own nginx: a burst of 21, then 3 a minute."""
    yield from _rate_limited(oidc_provider, tmp_path, rate="3r/m", delay="nodelay")


@pytest.fixture
def delaying(oidc_provider: OidcProvider, tmp_path: Path) -> Iterator[RateLimited]:
    """The same behind an nginx that delays all requests above one in two seconds."""
    yield from _rate_limited(oidc_provider, tmp_path, rate="30r/m", delay="")


def _rate_limited(
    oidc_provider: OidcProvider, tmp_path: Path, **limit: str
) -> Iterator[RateLimited]:
    port = _free_port()
    template = string.Template((HERE / "nginx/nginx.conf.template").read_text())
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(template.substitute(port=port, upstream=oidc_provider.url, **limit))
    with _running(
        ["nginx", "-e", "stderr", "-p", str(tmp_path), "-c", str(configuration)],
        port=port,
        log=tmp_path / "log",
    ):
        yield RateLimited(
            url=f"http://127.0.0.1:{port}",
            client_id=oidc_provider.client_id,
            client_secret=oidc_provider.client_secret,
            files=oidc_provider.files,
            log=tmp_path / "token_statuses",
        )


def _doorkeeper(log: Path, environment: Mapping[str, str] | None = None) -> Iterator[Doorkeeper]:
    port = _free_port()
    server = Doorkeeper(
        url=f"http://127.0.0.1:{port}",
        client_id=f"client-{secrets.token_hex(4)}",
        client_secret=_secret(),
        public_client_id=f"public-{secrets.token_hex(4)}",
        log=log,
    )
    # One thread, because there is one database connection.
    options = ["--environment", "production", "--threads", "1:1", "--bind"]
    with _running(
        ["puma", *options, f"tcp://127.0.0.1:{port}", str(HERE / "doorkeeper/config.ru")],
        port=port,
        log=log,
        environment={
            "RAILS_ENV": "production",
            "CLIENT_ID": server.client_id,
            "CLIENT_SECRET": server.client_secret,
            "PUBLIC_CLIENT_ID": server.public_client_id,
            **(environment or {}),
        },
    ):
        yield server


@contextlib.contextmanager
def _running(
    command: Sequence[str],
    *,
    port: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Generator[None]:
    # The kernel ends the server even if this process is killed.
    mortal = [_program("setpriv"), "--pdeathsig", "KILL", "--"]
    program = _program(command[0])
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*mortal, program, *command[1:]],
            cwd=log.parent,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, port, log)
        yield
    finally:
        _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
            return
        time.sleep(0.02)
    command = " ".join(map(str, process.args))  # type: ignore[arg-type]  # it was a list
    pytest.fail(f"not ready: {command}\n{log.read_text(errors='replace')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(ENDED_WITHIN)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _write_keys(directory: Path) -> str:
    """Write a client's keys and certificates; return the public keys as a JWK set."""
    keys = {
        "RSA": jwk.RSAKey.generate_key(2048),
        "EC": jwk.ECKey.generate_key("P-256"),
        "OKP": jwk.OKPKey.generate_key("Ed25519"),
    }
    for kind, key in keys.items():
        (directory / f"{kind}.pem").write_bytes(key.as_pem(private=True))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "authority.pem")
    hosts = {
        "server": "127.0.0.1",
        "client": "client.example",
        "unregistered": "unregistered.example",
    }
    for name, host in hosts.items():
        pair = authority.issue_cert(host).private_key_and_cert_chain_pem
        pair.write_to_path(directory / f"{name}.pem")
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys.values()]})


def _secret() -> str:
    # Characters with a special meaning in a form, a URL, JSON or a header must arrive unchanged.
    return f'{secrets.token_urlsafe(24)} +%2B&=:;"\\/~'


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _program(name: str) -> str:
    # Debian installs nginx in a directory that is only in root's PATH.
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or _not_installed(name)


def _not_installed(server: str) -> NoReturn:
    pytest.fail(f"{server} is not installed: run make test-servers")


@pytest.fixture
def node() -> Callable[[str, Any], Any]:
    """Return a function that runs a script of tests/servers/forms on JSON, and returns its JSON."""
    if not (HERE / "forms/node_modules/ajv").is_dir():
        _not_installed("the packages of tests/servers/forms")

    def run(script: str, given: Any) -> Any:
        process = subprocess.Popen(
            [_program("setpriv"), "--pdeathsig", "KILL", "--", _program("node"), script],
            cwd=HERE / "forms",
            env={**os.environ, "CHROMIUM": _program("chromium")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(json.dumps(given), timeout=READY_WITHIN)
        finally:
            _end(process)
        assert process.returncode == 0, errors
        return json.loads(output)

    return run


@pytest.fixture
def start(spawn: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.Popen[str]]:
    """Yield a function that runs Python code in its own process, which ends with the test."""

    def start_process(code: str, *arguments: object, **variables: Any) -> subprocess.Popen[str]:
        return spawn([sys.executable, "-c", code, *arguments], env=os.environ | variables)

    return start_process
