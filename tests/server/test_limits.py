"""Limits of a client of `keyturn serve`: time and connections."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from keyturn._server import http_server, request_body, reverse_proxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def connected(agent: Any) -> socket.socket:
    """Return a socket that is connected to an agent."""
    address = urlsplit(agent.url)
    return socket.create_connection((address.hostname, address.port), 20)


def test_slow_head_ends_at_a_timeout(
    tmp_path: Path, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that sends nothing, or a part of a request, would keep a connection forever."""
    monkeypatch.setattr(http_server, "_HEAD_SECONDS", 0.05)
    agent = serve(tmp_path / "keyturn.toml", "shop")
    for sent in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n"):
        with connected(agent) as connection:
            connection.sendall(sent)
            assert connection.recv(100) == b""


def test_incomplete_body_after_a_response_ends_the_connection(
    tmp_path: Path, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client without the secret could keep a connection open by a body that is not read."""
    monkeypatch.setattr(http_server, "_HEAD_SECONDS", 0.2)
    agent = serve(tmp_path / "keyturn.toml", "shop")
    head = f"POST / HTTP/1.1\r\nHost: {urlsplit(agent.url).netloc}\r\nContent-Length: 99\r\n\r\n"
    with connected(agent) as connection:
        connection.sendall(head.encode())
        response = connection.makefile("rb")
        assert b" 404 " in response.readline()
        connection.sendall(b"a")
        assert response.read().endswith(b"the path.\n")


def test_kept_connection_has_its_own_timeout(
    tmp_path: Path, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection would be closed between two requests after the short time for a head."""
    monkeypatch.setattr(http_server, "_HEAD_SECONDS", 0.05)
    agent = serve(tmp_path / "keyturn.toml", "shop")
    line = f"GET / HTTP/1.1\r\nHost: {urlsplit(agent.url).netloc}\r\n\r\n"
    with connected(agent) as connection:
        for _ in range(2):
            connection.sendall(line.encode())
            response = b""
            while not response.endswith(b"the path.\n"):
                response += connection.recv(1000)
            time.sleep(0.1)


def test_slow_body_ends_at_a_timeout(
    tmp_path: Path, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that stops during a body would occupy the agent forever."""
    monkeypatch.setattr(request_body, "MAX_SILENCE", 0.05)
    agent = serve(tmp_path / "keyturn.toml", "shop")
    lines = ["POST /shop/v1/echo HTTP/1.1", f"Host: {urlsplit(agent.url).netloc}"]
    lines += [f"X-Keyturn-Secret: {agent.secret}", "Content-Length: 9", "", "part"]
    with connected(agent) as connection:
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_client_that_disconnects_during_a_body_is_not_an_error(
    tmp_path: Path,
    serve: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    wait_until: Callable[..., None],
) -> None:
    """A client that disconnects would look like a defect of the agent."""
    agent = serve(tmp_path / "keyturn.toml", "shop")
    lines = ["POST /-/do HTTP/1.1", f"Host: {urlsplit(agent.url).netloc}"]
    lines += [f"X-Keyturn-Secret: {agent.secret}", "Content-Length: 9", "", "part"]
    with caplog.at_level("DEBUG", "keyturn.server"):
        with connected(agent) as connection:
            connection.sendall("\r\n".join(lines).encode())
        wait_until(lambda: "a client closed its connection" in caplog.text)
    assert "please report" not in caplog.text


def test_number_of_connections_is_limited(
    tmp_path: Path, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client could use up the descriptors of the process."""
    monkeypatch.setattr(http_server, "_MAX_CONNECTIONS", 3)
    agent = serve(tmp_path / "keyturn.toml", "shop")
    held = [connected(agent) for _ in range(3)]
    with agent.client() as client:
        assert client.get("/metrics").status_code == 503
        held += [connected(agent) for _ in range(3)]
        with connected(agent) as one_more:
            assert one_more.recv(100) == b""
    for each in held:
        each.close()


def test_api_that_is_slow_or_unreachable_is_reported(
    tmp_path: Path,
    serve: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    refused_port: int,
) -> None:
    """A client would wait forever, or not see what failed."""
    monkeypatch.setattr(reverse_proxy.TIMEOUT, "read", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        agent = serve(tmp_path / "keyturn.toml", "shop", api_url=api_url)
        with agent.client() as client:
            assert client.get("/shop/").status_code == 504
    api_url = f"http://127.0.0.1:{refused_port}"
    agent = serve(tmp_path / "other.toml", "other", api_url=api_url)
    with agent.client() as client:
        response = client.get("/other/")
    assert response.status_code == 502
    assert "ConnectError" in response.text
    assert response.headers["x-keyturn-error"] == "APIUnavailable"


def test_defect_is_reported_without_values(
    tmp_path: Path,
    serve: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A defect would be hidden, or its message would show a secret."""

    async def fails(*_: object, **__: object) -> None:
        raise ValueError("made-up-secret")

    agent = serve(tmp_path / "keyturn.toml", "shop")
    monkeypatch.setattr(httpx.AsyncClient, "send", fails)
    with agent.client() as client:
        assert client.get("/shop/v1/echo").status_code == 500
    assert "unexpected ValueError" in caplog.text
    assert "made-up-secret" not in caplog.text


def test_request_in_progress_finishes_at_shutdown(
    tmp_path: Path, api: Any, serve: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    """A restart of the agent would cut off responses."""
    agent = serve(tmp_path / "keyturn.toml", "shop")
    api.gate.clear()
    api.arrived.clear()
    with agent.client() as client, client.stream("GET", "/shop/v1/parts") as response:
        agent.agent.stop()
        wait_until(lambda: _is_refused(agent))
        api.gate.set()
        assert response.read() == b"firstsecond"


def _is_refused(agent: Any) -> bool:
    try:
        connected(agent).close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset while the server stops listening
        return True
    return False
