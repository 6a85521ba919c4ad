"""Fixtures of the tests of `keyturn.Connections`: a platform on loopback, and an open store."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

import pytest

import keyturn
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = keyturn.NetworkPolicy(loopback=True)


class Platform:
    """A platform on loopback: a token endpoint, a revocation endpoint and an API."""

    def __init__(self) -> None:
        self.token_requests: list[tuple[str, str]] = []
        self.revoked: list[str] = []
        self.wrong: set[str] = set()
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self._owners: dict[str, tuple[str, str]] = {}
        self._count = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.platform = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.data = {
            "name": "acme",
            "token_url": f"{self.url}/token",
            "api_url": "{base}",
            "revocation_url": f"{self.url}/revoke",
            "client_authentication": "client_secret_basic",
            "settings": {"base": {"kind": "url", "title": "API", "default": self.url}},
        }
        self.provider = keyturn.plugins.provider_from_data(self.data)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def owner(self, token: keyturn.Token | str) -> tuple[str, str]:
        """Return the client id and secret that a token was issued for."""
        text = token if isinstance(token, str) else token.access_token
        return self._owners[text]

    def response(self, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status and the content of a response."""
        scheme, _, credentials = authorization.partition(" ")
        if path == "/api":
            known = credentials in self._owners and credentials not in self.revoked
            return 200 if known else 401, {"owner": self._owners.get(credentials)}
        assert scheme == "Basic"
        client, _, secret = base64.b64decode(credentials).decode().partition(":")
        if path == "/revoke":
            self.revoked += parse_qs(body.decode())["token"]
            return 200, {}
        self.token_requests.append((client, secret))
        self.arrived.set()
        assert self.gate.wait(20)
        if secret in self.wrong:
            return 401, {"error": "invalid_client"}
        token = f"made-up-token-{next(self._count)}"
        self._owners[token] = client, secret
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body of a response in one packet

    def do_GET(self) -> None:
        """Respond to a request of any method."""
        platform: Platform = self.server.platform  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        authorization = self.headers.get("authorization", "")
        status, content = platform.response(self.path, authorization, body)
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815 - http.server requires the name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
        """Write nothing."""


class OpenStore(MemoryStore):
    """A memory store whose entries a test can read, and whose operations it can make fail."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, str] = {}
        self.failing: set[str] = set()

    def read(self, key: str) -> str | None:
        """Return an entry."""
        self._fail("read")
        return super().read(key)

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry."""
        self._fail("write")
        self.entries[key] = entry
        super().write(key, entry, expires_at)

    def delete(self, key: str) -> None:
        """Remove an entry."""
        self._fail("delete")
        self.entries.pop(key, None)
        super().delete(key)

    def _fail(self, operation: str) -> None:
        if operation in self.failing:
            raise OSError(5, "made-up failure")


@pytest.fixture
def platform() -> Iterator[Platform]:
    """Give a platform on loopback."""
    with Platform() as running:
        yield running


@pytest.fixture
def store() -> OpenStore:
    """Give an empty store."""
    return OpenStore()


@pytest.fixture
def connections(store: OpenStore) -> Iterator[keyturn.Connections]:
    """Give connections with that store, which may reach loopback."""
    with keyturn.Connections(store=store, policy=LOOPBACK) as found:
        yield found


@pytest.fixture
def row() -> dict[str, str]:
    """Give the settings of one tenant."""
    return {"client_id": "one", "client_secret": "s3cret-for-tests"}
