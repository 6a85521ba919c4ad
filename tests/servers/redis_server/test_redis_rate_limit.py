"""Many processes keep one rate limit through Redis: no 429, and errors contain the cooldown."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from keyturn.testing.emulator._limits import LeakyBucket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.conftest import RawServer

# Forks many processes from one that has imported everything; all request a token at once.
CROWD = """
import json, os, sys, threading
import keyturn
from keyturn.stores._redis import RedisStore

warm_url, url, store = sys.argv[1:]

def connect(key, token_url, store):
    return keyturn.connect(
        "norce-storm", scope="lab", token_url=token_url, store=store,
        client_id=f"cid-{key}", client_secret="s3cret-for-tests",
    )

def outcome(key):
    try:
        return key, "token", connect(key, url, RedisStore(store)).token().access_token
    except keyturn.errors.RateLimited as limited:
        return key, "limited", limited.retry_after

connect(0, warm_url, "memory://").token()
# A thread that ends during a fork may leave OpenSSL's locks locked in the child.
for thread in set(threading.enumerate()) - {threading.current_thread()}:
    thread.join()
waiting, start = os.pipe()
children = []
for number in range(64):
    if not (child := os.fork()):
        try:
            os.close(start)
            os.read(waiting, 1)
            os.write(1, f"{json.dumps(outcome(number % 30))}\\n".encode())
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(start)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
"""


def test_many_hosts_get_no_429_and_the_time_to_wait(
    run_python: Callable[..., str],
    serve: Callable[..., RawServer],
    http_response: Callable[..., bytes],
    token_response: bytes,
    server: Any,
) -> None:
    """The start of a large deployment would exceed the limit, and its hosts could be blocked."""
    limit, lock = LeakyBucket(per_minute=3, burst=19), threading.Lock()  # 20 at the same time
    statuses: list[int] = []

    def response(endpoint: RawServer, connection: socket.socket) -> None:
        endpoint.read_request(connection)
        with lock:
            status = 200 if limit.admits(time.monotonic()) else 429
            statuses.append(status)
            token = f"token-{len(statuses)}"
        fields = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        connection.sendall(http_response(fields if status == 200 else b"", status))

    warm, endpoint = serve(token_response), serve(response)
    lines = run_python(CROWD, warm.url, endpoint.url, server.url).splitlines()
    outcomes = [tuple(json.loads(line)) for line in lines]

    assert len(outcomes) == 64
    assert statuses == [200] * 20
    assert len({what for _, kind, what in outcomes if kind == "token"}) == 20
    assert all(0 < what <= 20 for _, kind, what in outcomes if kind == "limited")
    assert len({key for key, kind, _ in outcomes if kind == "limited"}) == 10
