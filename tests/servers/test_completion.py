"""Completion in real shells: in bash and zsh at a terminal, in fish by its own command."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

SETUP = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
LOAD = {
    "bash": "bind 'set enable-bracketed-paste off'; PS1='> '",
    "zsh": "unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u; PS1='> '",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configure the connections shop and stage, and put keyturn on the path."""
    configuration = tmp_path / ".config" / "keyturn" / "keyturn.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text('[connections.shop]\nprovider = "x"\n[connections.stage]\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def installed(shell: str) -> str:
    """Return the path of a shell."""
    path = shutil.which(shell)
    assert path, f"{shell} is not installed: run tests/servers/install"
    return path


class Terminal:
    """A shell at a terminal."""

    def __init__(self, shell: str, home: Path) -> None:
        installed(shell)
        self._own, other = pty.openpty()
        self.process = subprocess.Popen(
            SETUP[shell], stdin=other, stdout=other, stderr=other, cwd=home, start_new_session=True
        )
        os.close(other)

    def type(self, keys: str, until: str) -> str:
        """Type keys, and return the output up to the expected text."""
        os.write(self._own, keys.encode())
        shown, end = "", time.monotonic() + 20
        while until not in shown:
            ready, _, _ = select.select([self._own], [], [], max(0.0, end - time.monotonic()))
            assert ready, shown
            shown += os.read(self._own, 65536).decode(errors="replace")
        return shown

    def close(self) -> None:
        """End the shell."""
        self.process.kill()
        self.process.wait()
        os.close(self._own)


@pytest.mark.parametrize("shell", SETUP)
def test_shell_completes_at_a_terminal(shell: str, home: Path) -> None:
    """The script would have a mistake that only a real shell shows."""
    terminal = Terminal(shell, home)
    try:
        load = f'{LOAD[shell]}; eval "$(keyturn completion {shell})"; echo load""ed\r'
        terminal.type(load, "loaded")
        # Each Tab completes a word; then the line is printed and not run.
        terminal.type("keyturn tok\t", "keyturn token ")
        terminal.type("sh\t", "shop ")
        terminal.type("--form\t", "--format ")
        terminal.type("exec\t", "exec-credential ")
        shown = terminal.type("\x01echo \x05 end\r", "exec-credential end\r\n")
    finally:
        terminal.close()
    assert "keyturn token shop --format exec-credential end" in shown


def test_fish_completes(home: Path) -> None:
    """The script would have a mistake that only a real shell shows."""
    script = "\n".join(
        [
            "keyturn completion fish | source",
            *(f"complete -C '{line}'" for line in ("keyturn tok", "keyturn token s")),
            "complete -C 'keyturn token shop --format=exec'",
            "complete -C 'keyturn check --config .conf'",
        ]
    )
    done = subprocess.run(
        [installed("fish"), "--no-config", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        timeout=30,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "token\tPrint a usable token",
        "shop\tx",
        "stage",
        "--format=exec-credential",
        ".config/",
    ]
