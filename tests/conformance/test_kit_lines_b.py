"""What the audit hook of the provider kit stops, seen from the process that it runs in."""

from __future__ import annotations

import socket
import threading

import pytest

from keyturn.testing.provider_kit._audit import Watch, watched


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def test_reaches_the_allowed_address_only() -> None:
    """A provider's check could not reach its own endpoint, or could reach any other."""
    with _listener() as allowed, _listener() as other:
        watch = Watch((), allowed.getsockname())
        with watched(watch) as attempts:
            socket.create_connection(allowed.getsockname()).close()
            with pytest.raises(PermissionError, match="connects to another host"):
                socket.create_connection(other.getsockname())
    assert attempts == [("connects to another host", "")]


def test_lets_threads_of_others_connect() -> None:
    """A thread that ran before the check would be stopped, and blamed on the provider."""
    go, reached = threading.Event(), threading.Event()
    with _listener() as other:

        def connect() -> None:
            go.wait()
            socket.create_connection(other.getsockname()).close()
            reached.set()

        thread = threading.Thread(target=connect)
        thread.start()
        with watched(Watch(())) as attempts:
            go.set()
            thread.join()
    assert reached.is_set()
    assert attempts == []


def test_looks_at_files_only_where_it_is_strict() -> None:
    """A check that is not strict would stop a provider's code that reads a file."""
    with watched(Watch((__file__,))) as attempts, open(__file__, encoding="utf-8"):  # noqa: PTH123 - the event
        pass
    assert attempts == []
    with (
        watched(Watch((__file__,), is_strict=True)) as attempts,
        pytest.raises(PermissionError, match="opens a file"),
    ):
        open(__file__, encoding="utf-8")  # noqa: PTH123, SIM115 - the event
    assert [what for what, _ in attempts] == ["opens a file"]
