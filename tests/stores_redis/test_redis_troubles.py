"""The Redis store when its server fails: each failure costs a warning, and little time."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import trustme

import keyturn
from keyturn.stores._redis import COOLDOWN, RedisStore
from keyturn.stores._resilient import ResilientStore
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Serve = Callable[..., Any]

PASSWORD = "s3cret-for-tests"
RESPONSES = {
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "no password": b"-NOAUTH Authentication required.\r\n",
    "full": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "read-only": b"-READONLY You can't write against a read only replica.\r\n",
    "quoting": b"-ERR unknown command 'SET', with args beginning with: 'the-entry'\r\n",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no number": b":many\r\n",
    "other type": b"*1\r\n$1\r\nx\r\n",
    "nested": b"*1\r\n" * 5000,
    "endless": b"$999999999\r\nx",
    "garbage": b"\xff\x00\r\n" * 9,
}


def responding(response: bytes) -> Callable[[Any, socket.socket], None]:
    """Return a behaviour of a server: the same response to every command."""

    def behave(server: Any, connection: socket.socket) -> None:
        while data := connection.recv(65_536):
            server.received.append(data)
            connection.sendall(response)

    return behave


def hanging_up(server: Any, connection: socket.socket) -> None:
    """Close each connection at its first command."""
    server.received.append(connection.recv(65_536))


def store_at(server: Any, now: Callable[[], float] = lambda: 1000.0) -> RedisStore:
    """Return a store with a short timeout, so that the tests are fast."""
    return RedisStore(f"redis://127.0.0.1:{server.port}?socket_timeout=0.1", now=now)


@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
def test_resilient_store_continues_after_any_response(
    serve: Serve, caplog: pytest.LogCaptureFixture, response: bytes
) -> None:
    """An unexpected response would end the program, or show an entry in the log."""
    store = store_at(serve(responding(response)))
    resilient = ResilientStore(store)
    assert resilient.read("a") is None
    resilient.write("a", "the-entry", 2000)
    resilient.delete("a")
    with resilient.lock("a", 0.01):
        pass
    assert "the token store RedisStore 127.0.0.1:" in caplog.text
    assert "the-entry" not in caplog.text
    store.close()


def test_error_contains_neither_entry_nor_password(serve: Serve) -> None:
    """The server's message may repeat the command, which would put a token into a traceback."""
    server = serve(responding(RESPONSES["quoting"]))
    store = RedisStore(f"redis://127.0.0.1:{server.port}")
    with pytest.raises(OSError, match="Redis failed with ResponseError") as caught:
        store.write("a", "the-entry", float("inf"))
    assert caught.value.__context__ is None
    store.close()
    store = RedisStore(f"redis://:{PASSWORD}@127.0.0.1:{server.port}")
    with pytest.raises(OSError, match="Redis failed") as caught:
        store.read("a")
    assert PASSWORD not in f"{caught.value!r} {store!r}"
    assert caught.value.__context__ is None
    store.close()


def test_failed_server_is_not_called_during_the_cooldown(serve: Serve) -> None:
    """A server that hangs would delay every operation of every token by a second."""
    now = 1000.0
    server = serve(hanging_up)
    store = store_at(server, lambda: now)
    with pytest.raises(OSError, match="ConnectionError"):
        store.read("a")
    asked = len(server.received)
    for _ in range(3):
        with pytest.raises(OSError, match="not called for 5 s"):
            store.read("a")
        with pytest.raises(OSError, match="not called"), store.lock("a", 1):
            pass
    assert len(server.received) == asked
    now = 1000.0 + COOLDOWN
    with pytest.raises(OSError, match="ConnectionError"):
        store.read("a")
    assert len(server.received) == asked + 1
    now = 500.0
    with pytest.raises(OSError, match="ConnectionError"):
        store.read("a")
    store.close()


def test_wait_for_a_server_that_hangs_is_limited(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that accepts connections and does not respond would block a token forever."""
    monkeypatch.setattr("keyturn.stores._redis.PATIENCE", 0.05)
    store = RedisStore(f"redis://127.0.0.1:{serve(responding(b'')).port}")
    reading = threading.Thread(target=ResilientStore(store).read, args=["a"], daemon=True)
    reading.start()
    reading.join(3)
    assert not reading.is_alive()
    store.close()


def test_server_that_is_full_or_read_only_is_called_again(serve: Serve) -> None:
    """Entries could not be read after a write failed."""
    server = serve(responding(RESPONSES["full"]))
    store = store_at(server)
    for _ in range(2):
        with pytest.raises(OSError, match="OutOfMemoryError"):
            store.write("a", "entry", 2000)
    store.close()


def test_lock_with_a_lost_response_is_released(serve: Serve) -> None:
    """After a short hang, a lock without a holder would block callers for a whole lease."""

    def hiccup(server: Any, connection: socket.socket) -> None:
        while data := connection.recv(65_536):
            server.received.append(data)
            if b"SETINFO" in data:
                connection.sendall(b"+OK\r\n" * data.count(b"SETINFO"))
            elif b"GETRANGE" in data:
                connection.sendall(b"$0\r\n\r\n")
            elif b'"del"' in data:
                connection.sendall(b":1\r\n")

    server = serve(hiccup)
    store = store_at(server)
    with pytest.raises(OSError, match="TimeoutError"), store.lock("a", 30):
        pass
    assert store.read("a") is None  # the server responds again
    taking, giving_back = [data for data in server.received if b"keyturn:lock:a" in data]
    holder = taking.split(b"\r\n")[10]
    assert len(holder) == 32
    assert holder in giving_back
    store.close()


def test_a_token_comes_without_the_server(caplog: pytest.LogCaptureFixture) -> None:
    """A failed server would stop every program that shares tokens through it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        Emulator() as emulator,
        keyturn.connect(
            "orocommerce",
            **emulator.settings("orocommerce"),
            store=f"redis://:{PASSWORD}@127.0.0.1:{port}",
        ) as connection,
    ):
        assert connection.token().access_token
        assert connection.token() is connection.token()
        assert emulator.token_requests("orocommerce") == 1
    assert "failed to read (OSError: Redis failed with ConnectionError: " in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("trouble", ["authority", "host", "refused", "name"])
def test_outage_is_reported_once_with_host_and_cause(
    serve: Serve,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
    refused_port: int,
) -> None:
    """The operator would not see what to change, or would see eleven lines for each token."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)

    def greet(_: Any, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    port = serve(greet).port
    url, cause = {
        "authority": (f"rediss://127.0.0.1:{port}/0", "unable to get local issuer"),
        "host": (
            f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={quote(str(tmp_path))}/ca.pem",
            "certificate is not valid for '127.0.0.1'",
        ),
        "refused": (f"redis://127.0.0.1:{refused_port}/0", "Connection refused"),
        "name": ("redis://user:s3cret@no-such-host.invalid/0", "no-such-host.invalid:6379"),
    }[trouble]
    with Emulator() as emulator:
        connection = keyturn.connect("orocommerce", **emulator.settings("orocommerce"), store=url)
        connection.token(stale=connection.token())

    (warning,) = caplog.messages
    assert cause in warning
    assert "s3cret" not in warning
    assert re.search("//([^@/]*@)?([^/]*)", url)[2].removesuffix("/0") in warning  # type: ignore[index]
