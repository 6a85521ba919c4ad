"""An agent that serves on loopback in this process, and the API and token endpoint behind it."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import ssl
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import httpx
import pytest

from keyturn import _config
from keyturn._secret import Secret
from keyturn._server.agent import Agent
from keyturn._server.sockets import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from keyturn._server.token_file import TokenFile

# Loading the usual certificates takes 30 ms for each client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_number = itertools.count()
SESSION_SECRET = "made-up-session-secret"


@attrs.frozen
class Arrived:
    """A request as the API received it; names in lower case, repeated headers joined by a bar."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Api:
    """A token endpoint at `/token`, and an API that accepts the tokens in `valid`."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.issued = 0
        self.lifetime = 3600
        self.valid: set[str] = set()
        self.token_failure: tuple[int, bytes] | None = None
        # The number of requests to close without a response.
        self.drop = 0
        # The bytes that `/v1/raw` sends; empty bytes close the connection.
        self.raw = [b""]
        self.gate = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.api = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def revoke(self) -> None:
        """Reject all tokens issued so far."""
        self.valid.clear()

    def new_token(self) -> str:
        """Return a new token."""
        self.issued += 1
        token = f"made-up-token-{self.issued}"
        self.valid.add(token)
        return token


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: ClassVar[Api]

    def _handle(self) -> None:
        api: Api = self.server.api  # type: ignore[attr-defined]
        if (body := self._body()) is None:
            self.close_connection = True
            return
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}|{value}" if key in headers else value
        if self.path == "/token":
            self._issue(api)
            return
        if self.path == "/revoke":
            api.revoke()
            self._respond(200, b"", {})
            return
        # Python's server has changed `path` if it started with two slashes.
        api.arrived.append(Arrived(self.command, self.requestline.split()[1], headers, body))
        if api.drop:
            api.drop -= 1
            self.close_connection = True
        elif "/codes" in self.path:
            is_valid = self.path.rpartition("=")[2] in api.valid
            content = b'{"fine": true}' if is_valid else b'{"error": "expired"}'
            self._respond(200, content, {"Content-Type": "application/json"})
        elif headers.get("authorization", "").removeprefix("Bearer ") not in api.valid:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            self._respond(401, b'{"error": "invalid_token"}', challenge)
        else:
            self._respond_to(self.path.partition("?")[0].rpartition("/")[2], body, api)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _handle  # noqa: N815

    def _respond_to(self, what: str, body: bytes, api: Api) -> None:
        if what == "redirect":
            self._respond(302, b"", {"Location": self.headers.get("X-Location", "")})
        elif what == "raw":
            self.wfile.write(api.raw.pop(0))
            self.close_connection = True
        elif what == "forbidden":
            content = gzip.compress(b'{"errors": [{"code": "UNAUTHORIZED"}]}')
            self._respond(401, content, {"Content-Encoding": "gzip"})
        elif what == "broken":
            self._respond(401, b"no gzip", {"Content-Encoding": "gzip"})
        elif what == "long":
            self._respond(401, b"a" * 1_200_000, {})
        elif what == "hops":
            hops = {"Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=9", "X-Api": "2"}
            self._respond(200, b"", hops | {"Set-Cookie": "a=1"})
        elif what == "short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
        elif what == "parts":
            self._send_parts(api)
        else:
            self._respond(200, body, {"Content-Type": "application/octet-stream"})

    def _send_parts(self, api: Api) -> None:
        """Send the second part of a body when the test opens the gate."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.wfile.flush()
        api.gate.wait(20)
        self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    def _issue(self, api: Api) -> None:
        if api.token_failure:
            self._respond(*api.token_failure, {"Content-Type": "application/json"})
            return
        fields = {"access_token": api.new_token(), "token_type": "Bearer"}
        content = json.dumps(fields | {"expires_in": api.lifetime}).encode()
        self._respond(200, content, {"Content-Type": "application/json"})

    def _respond(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes | None:
        """Return the body; None if it is incomplete."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline() or b"-1", 16):
            if size < 0:
                return None
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@attrs.frozen
class Running:
    """A running agent.

    Args:
        url: Its address, without the session secret.
        secret: The session secret; empty if there is none.
        agent: The agent.
        path: Its Unix socket, or None.
    """

    url: str
    secret: str
    agent: Agent
    path: Path | None = None

    def client(self, *, has_secret: bool = True, **options: Any) -> httpx.Client:
        """Return a client, whose requests have the secret unless `has_secret` is false."""
        headers = {"X-Keyturn-Secret": self.secret} if self.secret and has_secret else {}
        uds = str(self.path) if self.path else None
        transport = httpx.HTTPTransport(verify=NO_TLS, uds=uds)
        base = "http://localhost" if self.path else self.url
        return httpx.Client(
            base_url=base,
            headers=headers | options.pop("headers", {}),
            transport=transport,
            timeout=20,
            **options,
        )


@contextmanager
def running(
    config: Path, *, files: tuple[TokenFile, ...] = (), path: Path | None = None
) -> Generator[Running]:
    """Run an agent on a thread until the end of a `with` block.

    Args:
        config: The configuration file.
        files: Its token files.
        path: A Unix socket; by default it listens on loopback.
    """
    ready = threading.Event()
    with listening(0, path) as listener:
        secret = None if listener.is_private else Secret(SESSION_SECRET)
        agent = Agent(_config.read(config), listener, secret, files)
        thread = threading.Thread(target=lambda: asyncio.run(agent.run(ready.set)), daemon=True)
        thread.start()
        try:
            assert ready.wait(20)
            yield Running(listener.url, SESSION_SECRET if secret else "", agent, path)
        finally:
            agent.stop()
            thread.join(30)
            assert not thread.is_alive()


def write_config(path: Path, api: Api, *names: str, **settings: Any) -> Path:
    """Write a configuration file with connections to an API."""
    values = {
        "provider": "generic",
        "token_url": f"{api.url}/token",
        "api_url": f"{api.url}/v1",
        "client_secret": "made-up-client-secret",
        "store": "memory://",
        **({} if "provider" in settings else {"revocation_url": f"{api.url}/revoke"}),
        **settings,
    }
    path.touch(mode=0o600)
    lines = []
    for name in names:
        # Each has its own credentials, so connections share no tokens.
        fields = {"client_id": f"made-up-{next(_number)}", **values}
        lines += [f"[connections.{name}]", *(f"{k} = {json.dumps(v)}" for k, v in fields.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """Yield a running API."""
    running_api = Api()
    yield running_api
    running_api.stop()


@pytest.fixture(scope="module")
def served(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Yield an agent that serves the connections `shop` and `other`."""
    config = tmp_path_factory.mktemp("serve") / "keyturn.toml"
    write_config(config, api, "shop", "other", *"abcdefgh")
    special = {"provider": "commercelayer", "kind": "integration"}
    layer = write_config(config.with_name("layer.toml"), api, "layer", **special)
    config.write_text(config.read_text("utf-8") + layer.read_text("utf-8"), encoding="utf-8")
    with running(config) as agent:
        yield agent


@pytest.fixture
def client(served: Running, api: Api) -> Iterator[httpx.Client]:
    """Yield a client whose requests have the session secret, and clear the API's records."""
    api.arrived.clear()
    api.gate.clear()
    with served.client() as one:
        yield one


@pytest.fixture
def serve(api: Api) -> Iterator[Callable[..., Running]]:
    """Yield a function that runs an agent with a configuration; agents end with the test."""
    with ExitStack() as opened:

        def start(config: Path, *names: str, extra: str = "", **settings: Any) -> Running:
            options = {key: settings.pop(key) for key in ("files", "path") if key in settings}
            write_config(config, api, *names, **settings)
            config.write_text(config.read_text("utf-8") + extra, encoding="utf-8")
            return opened.enter_context(running(config, **options))

        yield start
