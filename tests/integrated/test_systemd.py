"""`keyturn serve` under systemd: socket activation, readiness, and the unit on its page."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from tests.integrated.conftest import BEHIND_SERVE, HERE, SECRET, Agent, configuration, survive
from tests.integrated.results import record

from keyturn import connect
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

PAGE = HERE.parents[1] / "docs/how-to/serve.md"


def test_systemd(
    start: Callable[..., None],
    run: Callable[..., str],
    port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """systemd could not pass its socket, or would never see the unit as ready."""
    [unit] = re.findall(r"```ini\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    program = str(Path(sys.executable).with_name("keyturn"))
    file = tmp_path / "keyturn.service"
    file.write_text(unit.replace("/opt/keyturn/bin/keyturn", program), encoding="utf-8")
    run("systemd-analyze", "verify", file)

    config = tmp_path / "keyturn.toml"
    config.touch(mode=0o600)
    with (
        Emulator() as emulator,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        connect("orocommerce", **emulator.settings("orocommerce")) as connection,
    ):
        config.write_text(configuration(emulator), encoding="utf-8")
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        passed = {
            "KEYTURN_SERVE_SECRET": SECRET,
            "KEYTURN_STORE": "memory://",
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
        }
        for name, value in passed.items():
            monkeypatch.setenv(name, value)
        variables = [part for name in ("PATH", *passed) for part in ("--setenv", name)]
        listen = ("systemd-socket-activate", "--listen", f"127.0.0.1:{port}", *variables)
        start(port, *listen, program, "--config", config, "serve")
        assert manager.recv(100) == b"READY=1"
        url = urlsplit(connection.api_url)
        path = f"{url.path}{emulator.resource('orocommerce')}"
        agent = Agent(f"http://127.0.0.1:{port}", emulator, path, f"{url.scheme}://{url.netloc}")

        def call() -> str:
            response = httpx.get(f"{agent.secret_url}/shop{path}", trust_env=False)
            return str(response.status_code)

        shown = survive(agent, call)
    record(
        platform="systemd",
        version=run("systemd-analyze", "--version").split()[1],
        extension_point="socket activation, readiness; the unit is checked with `systemd-analyze`",
        **shown
        | {"lines": sum("=" in line for line in unit.splitlines()), "secrets": BEHIND_SERVE},
    )
