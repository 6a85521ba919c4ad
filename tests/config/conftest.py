"""Fixtures of the configuration tests: a user of their own, and a way to write files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the home directory of a user without a configuration."""
    for variable in list(os.environ):
        if variable.startswith(("KEYTURN_", "XDG_")):
            monkeypatch.delenv(variable)
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.setenv("KEYTURN_FINGERPRINT_KEY", "made-up-for-tests")
    return directory


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a configuration file, by default readable by its owner only."""

    def write_file(content: str, mode: int = 0o600) -> Path:
        path = tmp_path / "keyturn.toml"
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
        return path

    return write_file


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Give a function that installs a provider, registered with a module's name."""

    def install(provider: str, module: str) -> Path:
        site = tmp_path / "site"
        metadata = site / "made_up-1.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(f"[keyturn.providers]\n{provider} = {module}\n")
        monkeypatch.syspath_prepend(str(site))
        return site

    return install
