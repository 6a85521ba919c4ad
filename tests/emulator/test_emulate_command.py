"""`keyturn emulate`, run in this process: its file, its host, its tokens and its credentials."""

from __future__ import annotations

import os
import signal
import threading
import tomllib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import keyturn
from keyturn._cli import main
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Emulate = Callable[..., dict[str, Any]]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return the path of the configuration."""
    return tmp_path / "emulator.toml"


@pytest.fixture
def emulate(output: Path, wait_until: Any) -> Emulate:
    """Return a function that runs the command until its file exists and a function returns."""

    def run(*arguments: str, then: Callable[[dict[str, Any]], object] = bool) -> dict[str, Any]:
        before = output.read_bytes() if output.exists() else b""
        connections: dict[str, Any] = {}

        def use() -> None:
            try:
                wait_until(lambda: output.exists() and output.read_bytes() != before)
                connections.update(tomllib.loads(output.read_text())["connections"])
                then(connections)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        user = threading.Thread(target=use)
        user.start()
        code = main(["emulate", "--output", str(output), *arguments])
        user.join()
        assert code == 0
        assert connections
        return connections

    return run


def lifetimes(connections: dict[str, Any]) -> list[float]:
    """Return the lifetime of a token from each connection."""
    seconds = []
    for settings in connections.values():
        provider = settings.pop("provider")
        with keyturn.connect(provider, store="memory://", **settings) as connection:
            seconds.append(connection.token().lifetime)
    return seconds


def test_file_has_all_connections_and_is_private(
    emulate: Emulate, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script could not start the emulator and use it, or other users could read its secrets."""
    seconds: list[float] = []
    connections = emulate("--lifetime", "77", then=lambda them: seconds.extend(lifetimes(them)))

    assert set(connections) == set(Emulator.providers)
    assert seconds == [77] * 4
    assert output.stat().st_mode & 0o777 == 0o600
    assert list(output.parent.glob("*emulator.toml*")) == [output]
    out, err = capsys.readouterr()
    assert out == ""
    assert "warning" not in err


def test_credentials_stay_the_same_on_request(emulate: Emulate) -> None:
    """Credentials configured in another program would have to be copied at each start.

    Each start replaces the file of the previous one.
    """

    def credentials(*arguments: str) -> list[tuple[str, str]]:
        them = emulate(*arguments).values()
        return [(each["client_id"], each["client_secret"]) for each in them]

    assert credentials("--stable") == credentials("--stable")
    assert len(set(credentials("--stable"))) == 4
    assert set(credentials()).isdisjoint(credentials())


@pytest.mark.parametrize(
    ("host", "shown", "warns"),
    [
        ("localhost", "localhost", False),
        ("127.0.0.2", "127.0.0.2", False),
        ("0.0.0.0", "127.0.0.1", True),  # noqa: S104 - as in a container
    ],
)
def test_host_can_be_chosen_and_is_shown(
    host: str, shown: str, warns: bool, emulate: Emulate, capsys: pytest.CaptureFixture[str]
) -> None:
    """A container's emulator could not be reached, or other hosts could reach it unnoticed."""
    statuses: list[int] = []

    def use(connections: dict[str, Any]) -> None:
        url = connections["norce-storm"]["api_url"]
        assert httpx.URL(url).host == shown
        statuses.append(httpx.get(url, trust_env=False).status_code)

    emulate("--host", host, then=use)

    assert statuses == [404]
    assert (f"warning: the emulator listens on {host}" in capsys.readouterr().err) is warns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", ""], "host must not be empty"),
        (["--host", "192.0.2.1"], "can't listen on port 0 of '192.0.2.1'"),
        (["--host", "h" * 300], "can't listen on port 0"),
        (["--output", "absent/emulator.toml"], "does not exist"),
        (["--output", "."], "exists, but keyturn emulate did not write it"),
        (["--output", "mine.toml"], "exists, but keyturn emulate did not write it"),
    ],
)
def test_mistakes_are_reported(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A user's own keyturn.toml would be lost, or a mistake would cause a traceback."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("[connections.mine]")

    code = main(["emulate", *arguments])

    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert message in err
    assert (tmp_path / "mine.toml").read_text() == "[connections.mine]"


@pytest.mark.parametrize("lifetime", ["0", "-1", "1.5", "2147483648", "x"])
def test_lifetime_must_be_a_valid_number_of_seconds(lifetime: str, capsys: Any) -> None:
    """Tokens would have a lifetime that no server uses."""
    with pytest.raises(SystemExit) as ended:
        main(["emulate", f"--lifetime={lifetime}"])

    assert ended.value.code == 2
    assert "--lifetime" in capsys.readouterr().err


def test_pipe_is_never_read(tmp_path: Path, capsys: Any) -> None:
    """The command would wait forever."""
    os.mkfifo(tmp_path / "pipe")

    assert main(["emulate", "--output", str(tmp_path / "pipe")]) == 2
    assert "exists" in capsys.readouterr().err


def test_temporary_file_is_removed_when_the_file_cannot_be_written(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Secrets would stay in a temporary file."""
    monkeypatch.setattr("os.replace", _full)

    assert main(["emulate", "--output", str(output)]) == 1
    assert "No space left" in capsys.readouterr().err
    assert list(output.parent.glob("*emulator.toml*")) == []


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device", "emulator.toml")
