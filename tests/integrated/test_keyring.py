"""Secrets in real keyrings: the Secret Service of a desktop, and a file of keyrings.alt."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING

import pytest
from tests.integrated.environments import binaries
from tests.terminal import Terminal

from keyturn.testing import Emulator

if TYPE_CHECKING:
    from pathlib import Path

# A session of its own, with the daemon of GNOME's desktop, unlocked with a made-up password.
DESKTOP = (
    "dbus-run-session",
    "--",
    "bash",
    "-c",
    ('printf made-up | gnome-keyring-daemon --unlock --components=secrets >/dev/null\n"$@"\nexit'),
    "keyturn",
)
# The class of each keyring, the session to run in, and the place of its secrets.
BACK_ENDS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "desktop": ("keyring.backends.SecretService.Keyring", DESKTOP, "keyrings/login.keyring"),
    "file": ("keyrings.alt.file.PlaintextKeyring", (), "python_keyring/keyring_pass.cfg"),
}


class User:
    """A user with a keyring, and a home directory.

    Args:
        home: The home.
        back_end: The class of the keyring's back end.
        session: The command line that starts a session.
    """

    def __init__(self, home: Path, back_end: str, session: tuple[str, ...]) -> None:
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG"}}
        self._environment = kept | {"HOME": str(home), "PYTHON_KEYRING_BACKEND": back_end}
        self._session = session

    def at_terminal(self, *arguments: str) -> Terminal:
        """Run keyturn at a terminal."""
        command = (*self._session, str(binaries("keyring") / "keyturn"), *arguments)
        return Terminal(*command, environment=self._environment)

    def run(self, *arguments: str) -> str:
        """Return the output of keyturn without questions."""
        with self.at_terminal(*arguments) as terminal:
            assert terminal.wait() == 0, terminal.shown
            return terminal.shown


@pytest.mark.parametrize("name", sorted(BACK_ENDS))
def test_secret_is_typed_kept_used_and_deleted(tmp_path: Path, name: str) -> None:
    """The typed secret would be in a file or on the screen, not be found, or never be deleted."""
    back_end, session, kept = BACK_ENDS[name]
    user = User(tmp_path, back_end, session)
    with Emulator() as emulator:
        account = emulator.settings("orocommerce")
        secret = account["client_secret"]
        with user.at_terminal("init", "shop", "orocommerce") as terminal:
            terminal.answer("Client ID: ", account["client_id"])
            terminal.answer("(keyring, file, env) [keyring]: ", "")
            terminal.answer("Client secret (hidden): ", secret)
            terminal.answer("Application URL: ", account["url"])
            terminal.answer("Another setting [none]: ", "")
            assert terminal.wait() == 0, terminal.shown
        configuration = tmp_path / ".config" / "keyturn" / "keyturn.toml"
        written = tomllib.loads(configuration.read_text())["connections"]["shop"]
        assert written["client_secret"] == {"keyring": "keyturn/shop/client_secret"}
        assert secret not in terminal.shown + configuration.read_text()
        assert (tmp_path / ".local/share" / kept).stat().st_size
        assert emulator.token_requests("orocommerce") == 1

        user.run("forget", "shop")
        assert user.run("token", "shop").strip()
        assert emulator.token_requests("orocommerce") == 2

        assert "removed connection shop" in user.run("connections", "remove", "shop", "--yes")
        adding = ("connections", "add", "shop", "orocommerce", "--no-check")
        # Its name is free again: the keyring has no entry of that name.
        with user.at_terminal(*adding) as terminal:
            terminal.answer("Client ID: ", account["client_id"])
            terminal.answer("[keyring]: ", "")
            terminal.answer("(hidden): ", secret)
            terminal.answer("Application URL: ", account["url"])
            terminal.answer("[none]: ", "")
            assert terminal.wait() == 0, terminal.shown
        written = tomllib.loads(configuration.read_text())["connections"]["shop"]
        assert written["client_secret"] == {"keyring": "keyturn/shop/client_secret"}
