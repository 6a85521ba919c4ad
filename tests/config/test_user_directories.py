"""User directories: unused if they are not absolute, with memory as the store instead."""

from __future__ import annotations

import logging
import os
import pwd
from typing import TYPE_CHECKING

import platformdirs
import pytest

import keyturn
from keyturn import _config as config
from keyturn._config import configuration
from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES = {
    "PROVIDER": "commercelayer",
    "KIND": "integration",
    "CLIENT_ID": "made-up",
    "CLIENT_SECRET": "s3cret-for-tests",
}


@pytest.fixture(autouse=True)
def _shop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure a connection in the environment, and reset the warning that is logged once."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(f"KEYTURN_CONNECTIONS__SHOP__{name}", value)
    configuration._warn_of_memory.cache_clear()  # noqa: SLF001 - as in a new process


@pytest.fixture
def nameless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the user's home and passwd entry, and put files into the working directory."""

    def missing(_: int) -> None:
        raise KeyError

    for place in ("~/.config/keyturn", "keyturn"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "keyturn.toml").write_text("[connections.theirs]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", missing)


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize("old", [True, False], ids=["relative", "RuntimeError"])
def test_user_without_a_home_has_no_directory(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    """A configuration in the working directory would be used, or no token be returned."""

    def user_dir(name: str) -> str:
        if old:
            return f"~/.config/{name}"
        raise RuntimeError

    # platformdirs 4.2 to 4.11 return the path; later versions raise RuntimeError.
    monkeypatch.setattr(platformdirs, "user_config_dir", user_dir)
    monkeypatch.setattr(platformdirs, "user_cache_dir", user_dir)
    assert sorted(config.read().connections) == ["shop"]
    with caplog.at_level(logging.WARNING, logger="keyturn"):
        for _ in range(2):
            keyturn.load_connection("shop").forget()
    (warning,) = caplog.messages
    assert "this user has no home directory" in warning
    assert "KEYTURN_STORE" in warning

    with pytest.raises(ConfigurationError, match="set KEYTURN_CONFIG"):
        keyturn.load_connection("nonesuch")


def test_default_store_that_cannot_be_used_is_replaced_by_memory(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python without sqlite3 would return no token by default."""
    open_store = configuration.shared_store

    def without_sqlite(url: str) -> keyturn.stores.TokenStore:
        if url.startswith("disk:"):
            raise ConfigurationError("the module _sqlite3 is missing.")
        return open_store(url)

    monkeypatch.setattr(configuration, "shared_store", without_sqlite)
    keyturn.load_connection("shop").forget()

    assert "_sqlite3 is missing. Set KEYTURN_STORE" in caplog.text
    monkeypatch.setenv("KEYTURN_STORE", "disk:///nowhere")
    with pytest.raises(ConfigurationError, match="KEYTURN_STORE: the module _sqlite3 is missing"):
        keyturn.load_connection("shop")


def test_file_counts_as_private_on_systems_without_user_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, where modes have no meaning, each file with a secret would be refused."""
    path = tmp_path / "keyturn.toml"
    path.write_text(
        '[connections.own]\nprovider = "commercelayer"\nkind = "integration"\n'
        'client_id = "a"\nclient_secret = "s3cret-for-tests"\n',
        encoding="utf-8",
    )
    path.chmod(0o666)
    monkeypatch.delattr(os, "geteuid")

    assert config.read(path).check() == ["own", "shop"]
