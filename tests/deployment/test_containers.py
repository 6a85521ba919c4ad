"""A container without home and user name, and with a read-only root, gets a token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.deployment.conftest import UID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.deployment.conftest import Result

# How platformdirs 4.2 to 4.11 behave for a user without a home.
OLD_PLATFORMDIRS = """
platformdirs.user_config_dir = lambda name: "~/.config/" + name
platformdirs.user_cache_dir = lambda name: "~/.cache/" + name
"""


RELATIVE = [
    {},
    {"HOME": "home"},
    {"HOME": "."},
    {"HOME": "~"},
    {"XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache"},
    {"XDG_CONFIG_HOME": "~/.config", "XDG_CACHE_HOME": "~/.cache"},
]


@pytest.fixture
def trap(work: Path) -> Path:
    """Put configurations below the working directory; a command in them creates the marker file."""
    marker = work / "marker"
    for place in ("~/.config", "config", "home/.config", ".config", "."):
        path = work / place / "keyturn"
        path.mkdir(parents=True, exist_ok=True)
        (path / "keyturn.toml").write_text(
            '[connections.shop]\nprovider = "orocommerce"\nurl = "https://shop.example"\n'
            f'client_id = "a"\nclient_secret = {{ command = ["touch", "{marker}"] }}\n',
            encoding="utf-8",
        )
    return marker


@pytest.mark.parametrize("setup", ["", OLD_PLATFORMDIRS])
def test_user_without_home_and_name_gets_a_token(
    container: Callable[..., Result], shop: dict[str, str], trap: Path, setup: str
) -> None:
    """A service in a container would get no token, or run a command from another user's file."""
    before = {*trap.parent.rglob("*")}
    for place in RELATIVE:
        result = container(shop | place, ["token", "shop"], setup)
        assert (result.code, len(result.out.split())) == (0, 1), result
        assert result.err.count("\n") == 1
        assert result.err.startswith("keyturn: WARNING: tokens are kept in the memory of this")
        assert "KEYTURN_STORE" in result.err
        result = container(place, ["token", "shop"], setup)
        assert (result.code, result.out) == (2, "")
        assert "set KEYTURN_CONFIG" in result.err
    assert {*trap.parent.rglob("*")} == before


OUTAGES = {
    "/nowhere/.cache/keyturn": {"HOME": "/nowhere"},
    "/a/b/keyturn": {"HOME": "/nowhere", "XDG_CACHE_HOME": "/a/b"},
    "/srv/store": {"KEYTURN_STORE": "disk:///srv/store"},
    "{work}/file": {"KEYTURN_STORE": "disk://{work}/file"},
    "{work}/file/store": {"KEYTURN_STORE": "disk://{work}/file/store"},
    "/dev/null": {"KEYTURN_STORE": "disk:///dev/null"},
}


@pytest.mark.parametrize("path", OUTAGES)
def test_store_that_cannot_be_written_is_one_warning_with_the_path_and_the_variable(
    container: Callable[..., Result], shop: dict[str, str], work: Path, path: str
) -> None:
    """One command on a read-only root would print a warning for each operation of its store."""
    (work / "file").touch()
    variables = {name: value.format(work=work) for name, value in OUTAGES[path].items()}
    result = container(shop | variables, ["token", "shop"])

    assert (result.code, len(result.out.split())) == (0, 1), result
    assert result.err.count("\n") == 1, result.err
    assert f"the token store DiskStore {path.format(work=work)} failed to" in result.err
    assert "KEYTURN_STORE" in result.err


def test_store_in_the_only_writable_directory(
    container: Callable[..., Result], shop: dict[str, str], work: Path
) -> None:
    """A container could not keep its tokens in a volume that is mounted for them."""
    for store in ({"XDG_CACHE_HOME": f"{work}/cache"}, {"KEYTURN_STORE": f"disk://{work}/store"}):
        results = [container(shop | store, ["token", "shop"]) for _ in range(2)]
        assert {(result.code, result.err) for result in results} == {(0, "")}
        assert len({result.out for result in results}) == 1


def test_doctor_names_the_variables_to_set_in_a_container(
    container: Callable[..., Result], shop: dict[str, str], work: Path
) -> None:
    """An operator would have to guess which variables a container needs."""
    (work / "file").touch()
    lacking = container(shop, ["doctor"])
    failing = container(shop | {"KEYTURN_STORE": f"disk://{work}/file"}, ["doctor"])

    assert (lacking.code, failing.code) == (0, 1)
    assert f"{UID} (no passwd entry)" in lacking.out
    for subject, variable in (("config", "KEYTURN_CONFIG"), ("cache", "KEYTURN_STORE")):
        assert f"\n{subject} directory: Set {variable}, or HOME" in lacking.out
    assert re.search(r"^connection shop +ok", lacking.out, re.MULTILINE)
    assert f"store DiskStore {work}/file  failed" in failing.out
