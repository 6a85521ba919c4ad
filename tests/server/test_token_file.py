"""The token file of `keyturn serve`."""

from __future__ import annotations

import asyncio
import errno
import logging
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn._server import token_file
from keyturn._server.connections import ServedConnections
from keyturn._server.token_file import TokenFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_file, "_PAUSE", 0.01)
    monkeypatch.setattr(token_file, "_PAUSE_AFTER_FAILURE", 0.01)


def test_file_has_a_usable_token(
    tmp_path: Path, api: Any, serve: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    """A program could read an expired or rejected token, or a part of one."""
    path = tmp_path / "token"
    path.write_text("old, and readable by others")
    agent = serve(tmp_path / "keyturn.toml", "shop", files=(TokenFile("shop", path),))
    wait_until(lambda: path.read_text() in api.valid)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text()
    api.revoke()
    with agent.client() as client:
        assert client.get("/shop/v1/echo").status_code == 200
    wait_until(lambda: path.read_text() != first)
    assert path.read_text() in api.valid
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_file_is_renewed_before_the_token_expires(
    tmp_path: Path,
    api: Any,
    serve: Callable[..., Any],
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program would read an expired token."""
    monkeypatch.setattr(api, "lifetime", 2)
    path = tmp_path / "token"
    serve(tmp_path / "keyturn.toml", "shop", files=(TokenFile("shop", path),))
    wait_until(path.exists)
    first = path.read_text()
    wait_until(lambda: path.read_text() != first)


def test_failure_is_reported_once(
    tmp_path: Path,
    api: Any,
    serve: Callable[..., Any],
    wait_until: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failure would fill the log, or stop the renewal forever."""
    attempts: list[str] = []
    opened = ServedConnections.open

    async def counted(connections: ServedConnections, name: str) -> Any:
        attempts.append(name)
        return await opened(connections, name)

    monkeypatch.setattr(ServedConnections, "open", counted)
    monkeypatch.setattr(token_file, "_PAUSE_AFTER_FAILURE", 0.01)
    path = tmp_path / "token"
    api.token_failure = 400, b'{"error": "invalid_scope"}'
    try:
        serve(tmp_path / "keyturn.toml", "shop", files=(TokenFile("shop", path),))
        wait_until(lambda: len(attempts) > 3)
    finally:
        api.token_failure = None
    assert caplog.text.count("the token file") == 1
    assert "invalid_scope" in caplog.text


def test_full_disk_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A part of a token, or a temporary file, would remain."""
    path = tmp_path / "token"
    path.write_text("the last token")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="full"):
        TokenFile("shop", path).write("another")
    assert path.read_text() == "the last token"
    assert [*tmp_path.iterdir()] == [path]

    class Connections:
        async def open(self, _: str) -> Any:
            raise OSError(errno.ENOSPC, "full")

    async def keep() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await TokenFile("shop", path).keep(Connections())  # type: ignore[arg-type]

    with caplog.at_level(logging.WARNING, "keyturn.server"):
        asyncio.run(keep())
    assert caplog.text.count("No space left on device") == 1


def test_invalid_path_is_reported_at_the_start(tmp_path: Path) -> None:
    """A mistake in the path would only be logged."""
    TokenFile("shop", tmp_path / "token").check()
    for path in (tmp_path / "nothing" / "token", tmp_path):
        with pytest.raises(keyturn.errors.ConfigurationError, match="--token-file NAME=PATH"):
            TokenFile("shop", path).check()
