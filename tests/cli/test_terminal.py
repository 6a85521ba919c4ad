"""Commands at a real terminal: questions, hidden secrets, progress."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from tests.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from keyturn.testing import Emulator


def at_terminal(*arguments: str) -> Terminal:
    """Start a command at a terminal; the package keyring is missing."""
    code = (
        "import sys; sys.modules['keyring'] = None; from keyturn._cli import main; sys.exit(main())"
    )
    return Terminal(sys.executable, "-c", code, *arguments, environment=os.environ)


def test_connection_is_added_used_and_removed_at_a_terminal(emulator: Emulator, home: Path) -> None:
    """The typed secret would be shown, or a question would block."""
    account = emulator.settings("orocommerce")
    with at_terminal("init", "shop", "orocommerce") as terminal:
        terminal.answer("Client ID: ", account["client_id"])
        terminal.answer("(file, env) [file]: ", "")
        terminal.answer("Client secret (hidden): ", account["client_secret"])
        terminal.answer("Application URL: ", account["url"])
        terminal.answer("Another setting [none]: ", "")
        assert terminal.wait() == 0, terminal.shown
    assert account["client_id"] in terminal.shown
    assert account["client_secret"] not in terminal.shown
    assert "expires in 60 min" in terminal.shown
    directory = home / ".config" / "keyturn"
    secret = directory / "secrets" / "shop.client_secret"
    assert secret.read_text() == account["client_secret"]
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600

    with at_terminal("check") as terminal:
        assert terminal.wait() == 0, terminal.shown
    assert terminal.shown.startswith("1 of 1 connections checked\r\x1b[K")
    assert emulator.token_requests("orocommerce") == 1

    with at_terminal("connections", "remove", "shop") as terminal:
        terminal.answer("(yes, no) [no]: ", "yes")
        assert terminal.wait() == 0, terminal.shown
    assert not secret.exists()
    assert (directory / "keyturn.toml").read_text() == ""
