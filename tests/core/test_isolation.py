"""Token requests don't affect each other, other threads, or forked processes."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import attrs
import pytest

import keyturn
from keyturn._clock import Clock
from keyturn._connection import make_connection
from keyturn._tokens.options import Specification

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from tests.conftest import RawServer

    from keyturn._http.transport import Transport

    Serve = Callable[..., RawServer]
    RequestTo = Callable[[str], keyturn.plugins.TokenRequest]

EMPTY = b"HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n"


class Slow(keyturn.plugins.DynamicValue):
    """A value that is returned when the test allows it."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()
        self.asked_at: list[float] = []

    def value(self, now: float) -> str:
        """Return a string when the test allows it."""
        self.asked_at.append(now)
        self.began.set()
        assert self.may_end.wait(20)
        return "x"

    def inputs(self) -> Iterable[str]:
        """Return nothing."""
        return ()


def test_slow_value_of_one_provider_delays_no_other(
    transport: Transport, serve: Serve, token_request: RequestTo
) -> None:
    """One connection's signature on a slow key store would block all token requests."""
    server, slow = serve(EMPTY), Slow()
    request = attrs.evolve(token_request(server.url), parameters=(("slow", slow),))
    thread = threading.Thread(target=transport.send, args=(request, 20))
    thread.start()
    assert slow.began.wait(20)

    assert transport.send(token_request(server.url), 20).status == 200
    slow.may_end.set()
    thread.join(20)
    assert len(server.received) == 2


def test_token_request_uses_the_clock_of_the_connection(transport: Transport, serve: Serve) -> None:
    """With a shifted clock, every token would seem expired, or signed times would be stale."""
    slow = Slow()
    slow.may_end.set()
    request = keyturn.plugins.TokenRequest("acme", serve(EMPTY).url, (("slow", slow),))
    response = transport.send(request, 20, Clock(time=lambda: 5e9, monotonic=lambda: -7.0))

    assert response.sent_at == 5e9
    assert slow.asked_at == [5e9]


@pytest.mark.parametrize("shift", [-1e8, 1e8])
def test_connection_with_a_shifted_clock_gets_a_token(
    transport: Transport, serve: Serve, token_response: bytes, shift: float
) -> None:
    """With a clock that is a year off, every token would be refused as expired."""
    usual = Clock()
    clock = Clock(
        time=lambda: usual.time() + shift, monotonic=lambda: usual.monotonic() + abs(shift)
    )
    plain = keyturn.connect(
        "orocommerce",
        url="https://shop.example",
        token_url=serve(token_response).url,
        client_id="cid",
        client_secret="s3cret-for-tests",
        store="memory://",
    )
    connection = make_connection(
        Specification(plain.provider, plain.settings),
        keyturn.stores.from_url("memory://"),
        clock=clock,
        transport=transport,
    )

    assert connection.token().access_token == "t0ken"


def test_request_starts_no_thread(
    run_new_python: Callable[..., str], serve: Serve, token_response: bytes
) -> None:
    """A thread for each request would use memory, and fail if no thread can be started."""
    code = """
import sys
from keyturn._http.request import TokenRequest
from keyturn._http.transport import Transport

started = []
sys.addaudithook(lambda event, _: event == "_thread.start_new_thread" and started.append(event))
transport, request = Transport(), TokenRequest("acme", sys.argv[1])
print([transport.send(request, 20).status for _ in range(2)], len(started))
"""
    assert run_new_python(code, serve(token_response).url) == "[200, 200] 0"


def test_fork_while_certificates_are_read_blocks_no_process(
    run_new_python: Callable[..., str],
) -> None:
    """A child would wait forever for a lock that only a thread of its parent releases."""
    code = """
import certifi, os, ssl, threading
from keyturn import errors
from keyturn._http.request import TokenRequest
from keyturn._http.transport import Transport

transport, request = Transport(), TokenRequest("acme", "https://127.0.0.1:9/token")
os.environ["SSL_CERT_FILE"] = certifi.where()
usual, began, may_end = ssl.create_default_context, threading.Event(), threading.Event()

def read(**options):
    began.set()
    may_end.wait(20)
    return usual(**options)

ssl.create_default_context = read

def send():
    try:
        transport.send(request, 20)
    except errors.KeyturnError as error:
        return type(error).__name__

thread = threading.Thread(target=send)
thread.start()
began.wait(20)  # when the thread reads them, the lock is held
child = os.fork()
if not child:
    ssl.create_default_context = usual
    os._exit(send() != "EndpointUnavailable")
print(os.waitpid(child, 0)[1])
may_end.set()
thread.join()
"""
    assert run_new_python(code) == "0"


def test_child_forked_during_a_request_uses_its_own_connections(
    run_new_python: Callable[..., str], serve: Serve
) -> None:
    """A child would use a network connection of its parent, or wait for one."""
    code = """
import os, sys, threading
from keyturn._http.request import TokenRequest
from keyturn._http.transport import Transport
from keyturn._clock import Clock

transport, request = Transport(), TokenRequest("acme", sys.argv[1])
thread = threading.Thread(target=transport.send, args=(request, 20))
thread.start()
sys.stdout.write(open(sys.argv[2]).read())  # until the server has the request
child = os.fork()
if not child:
    os._exit(transport.send(request, 5).status != 200)
print(os.waitpid(child, 0)[1])
thread.join()
"""
    child_came = threading.Event()
    reader, writer = os.pipe()

    def respond(server: RawServer, connection: socket.socket) -> None:
        server.read_request(connection)
        if len(server.received) > 1:
            child_came.set()
        else:
            os.close(writer)
        child_came.wait(20)
        connection.sendall(EMPTY)

    path = f"/proc/{os.getpid()}/fd/{reader}"
    try:
        assert run_new_python(code, serve(respond).url, path) == "0"
    finally:
        os.close(reader)


def test_fingerprint_needs_no_algorithm_that_fips_forbids(
    run_new_python: Callable[..., str],
) -> None:
    """A host in FIPS mode would get no token at all."""
    code = """
import hashlib

def missing(*_, **__):
    raise ValueError("unsupported hash type blake2b")

hashlib.blake2b = hashlib.blake2s = hashlib.md5 = missing
from keyturn._http.request import TokenRequest
print(len(TokenRequest("p", "u").with_fingerprint(b"k" * 32).fingerprint))
"""
    assert run_new_python(code) == "64"
