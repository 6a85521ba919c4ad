"""Many processes keep one rate limit: no 429, and an error says how long to wait."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from keyturn.testing.emulator._limits import LeakyBucket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

    Serve = Callable[..., RawServer]

# Forks many processes after all imports, and lets them ask at the same moment.
CROWD = """
import json, os, sys
import keyturn
import keyturn.stores._disk  # once, not in each process of the crowd
from keyturn._tokens.token_query import TokenQuery

warm_url, url, store, options = *sys.argv[1:4], json.loads(sys.argv[4])

def connect(key, token_url, store, wait=0.0):
    return keyturn.connect(
        "norce-storm", scope="lab", token_url=token_url, store=store, wait=wait,
        client_id=f"cid-{key}", client_secret="s3cret-for-tests",
    )

def ask(key):
    try:
        return key, "token", connect(key, url, store, options["wait"]).token().access_token
    except keyturn.errors.RateLimited as limited:
        return key, "limited", limited.retry_after

# Not by `token`: a thread that ends during a fork may leave OpenSSL's locks locked in the child.
connect(0, warm_url, "memory://")._manager.acquisition.acquire(TokenQuery())
if "rate_limit" in options:
    keyturn.provider("norce-storm").rate_limit = keyturn.plugins.RateLimit(*options["rate_limit"])
waiting, start = os.pipe()
children = []
for number in range(options["processes"]):
    if not (child := os.fork()):
        try:
            os.close(start)
            os.read(waiting, 1)
            os.write(1, f"{json.dumps(ask(number % options['keys']))}\\n".encode())
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(start)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
"""


class Endpoint:
    """A token endpoint that limits requests as nginx's `limit_req` does, and counts its responses.

    Args:
        limit: The limit that it enforces.
        http_response: Returns the bytes of a response.
    """

    def __init__(self, limit: LeakyBucket, http_response: Callable[..., bytes]) -> None:
        self.statuses: list[int] = []
        self._limit = limit
        self._response = http_response
        self._lock = threading.Lock()

    def handle(self, server: RawServer, connection: socket.socket) -> None:
        """Respond to one request."""
        server.read_request(connection)
        with self._lock:
            status = 200 if self._limit.admits(time.monotonic()) else 429
            self.statuses.append(status)
            text = f"token-{len(self.statuses)}"
        fields = {"access_token": text, "token_type": "Bearer", "expires_in": 3600}
        connection.sendall(self._response(fields if status == 200 else b"", status))


def test_many_processes_get_no_429_and_the_error_says_how_long_to_wait(
    run_python: Callable[..., str],
    serve: Serve,
    http_response: Callable[..., bytes],
    token_response: bytes,
    tmp_path: Path,
) -> None:
    """The processes of a cold start would exceed the limit, and the server may block them."""
    endpoint = Endpoint(LeakyBucket(per_minute=3, burst=19), http_response)  # 20 at once
    options = {"processes": 64, "keys": 30, "wait": 0}
    outcomes = crowd(run_python, serve, token_response, endpoint, tmp_path, options)
    by_key: dict[int, set[Any]] = {}
    for key, _, what in outcomes:
        by_key.setdefault(key, set()).add(what if isinstance(what, str) else "limited")

    assert len(outcomes) == 64
    assert endpoint.statuses == [200] * 20
    # Processes that ask for the same token share the token, or the error.
    assert sorted(map(len, by_key.values())) == [1] * 30
    assert len(set.union(*by_key.values()) - {"limited"}) == 20
    assert all(0 < what <= 20 for _, kind, what in outcomes if kind == "limited")


def test_many_processes_with_wait_get_their_tokens_in_turn(
    run_python: Callable[..., str],
    serve: Serve,
    http_response: Callable[..., bytes],
    token_response: bytes,
    tmp_path: Path,
) -> None:
    """Processes with `wait` would be refused, or send all requests at the same moment."""
    # More than twice the burst of the rate limit, because requests may arrive late.
    endpoint = Endpoint(LeakyBucket(per_minute=1200, burst=9), http_response)
    options = {"processes": 20, "keys": 16, "wait": 30, "rate_limit": (1200, 2)}
    outcomes = crowd(run_python, serve, token_response, endpoint, tmp_path, options)

    assert [kind for _, kind, _ in outcomes] == ["token"] * 20
    assert endpoint.statuses == [200] * 16


def crowd(
    run_python: Callable[..., str],
    serve: Serve,
    token_response: bytes,
    endpoint: Endpoint,
    directory: Path,
    options: dict[str, Any],
) -> list[tuple[int, str, str | float]]:
    """Return the outcome of each process: its key, and its token or the seconds to wait."""
    warm, server = serve(token_response), serve(endpoint.handle)
    store = f"disk://{directory / 'store'}"
    lines = run_python(CROWD, warm.url, server.url, store, json.dumps(options)).splitlines()
    return [(key, kind, what) for key, kind, what in map(json.loads, lines)]
