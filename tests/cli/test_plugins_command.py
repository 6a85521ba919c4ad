"""`keyturn plugins` lists installed plugins and their state, without importing them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from keyturn._cli import main

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "import pathlib\npathlib.Path({marker!r}).write_text('imported')\nraise SystemExit(3)\n"
HOOKS = """
import keyturn
@keyturn.plugins.hookimpl
def keyturn_store(url): ...
class Listener:
    @keyturn.plugins.hookimpl
    def keyturn_event(self, event): ...
"""


class Site:
    """A directory of installed distributions.

    Args:
        directory: The directory.
    """

    def __init__(self, directory: Path) -> None:
        self.marker = directory / "imported"
        self._directory = directory

    def install(self, distribution: str, points: str, **modules: str) -> None:
        """Install a distribution with entry points and modules; a module prints its import."""
        information = self._directory / f"{distribution.replace('-', '_')}-1.2.dist-info"
        information.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        (information / "METADATA").write_text(metadata)
        (information / "entry_points.txt").write_text(points)
        for name, source in modules.items():
            path = self._directory / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(source + EVIL.format(marker=str(self.marker)))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return an empty directory on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("KEYTURN_PLUGINS", raising=False)
    return Site(tmp_path)


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[tuple[str, str], Any]:
    """Return the rows by name and distribution."""
    assert main(["plugins", *arguments]) == 0
    rows = json.loads(capsys.readouterr().out)
    return {(row["name"], row["distribution"]): row for row in rows}


def test_every_plugin_is_listed_with_its_state_and_none_is_imported(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator could not see what is installed without running its code."""
    one = "[keyturn.providers]\n"
    site.install(
        "kt-good",
        f"{one}kt-good = kt_good.inner",
        **{"kt_good/__init__": "", "kt_good/inner": ""},
    )
    site.install("kt-a", f"{one}kt-both = kt_a", kt_a="")
    site.install("kt-b", f"{one}kt-both = kt_b", kt_b="")
    site.install("kt-taker", f"{one}orocommerce = kt_taker", kt_taker="")
    site.install("kt-new", "[keyturn.providers.v7]\nkt-new = kt_new", kt_new="")
    site.install(
        "kt-gone", f"{one}kt-gone = kt_gone.nowhere\nkt-no = kt_no", **{"kt_gone/__init__": ""}
    )
    site.install("kt-torn", f"{one}kt-torn = kt_torn", kt_torn="def (:\n")
    site.install("kt-off", f"{one}kt-off = kt_off", kt_off="")
    plugin = "[keyturn.plugins]\n"
    site.install("kt-hooks", f"{plugin}kt-hooks = kt_hooks:Listener", kt_hooks=HOOKS)
    secret = "from .x import get as keyturn_secret\n"
    site.install("kt-vault", f"{plugin}kt-vault = kt_vault", kt_vault=secret)
    site.install("kt-odd", f"{plugin}kt-odd = kt_odd", kt_odd="")
    monkeypatch.setenv("KEYTURN_PLUGINS", "-kt-off")
    before = set(sys.modules)
    rows = listed(capsys, "--json")

    states = {name: (row["state"], row["kind"]) for (name, _), row in rows.items()}
    assert (
        states.items()
        >= {
            "kt-good": ("ok", "provider"),
            "kt-new": ("too new", "provider"),
            "kt-gone": ("failed", "provider"),
            "kt-no": ("failed", "provider"),
            "kt-torn": ("failed", "provider"),
            "kt-off": ("disabled", "provider"),
            "kt-hooks": ("ok", "store, listener"),
            "kt-vault": ("ok", "secret source"),
            "kt-odd": ("ok", "plugin"),
            "generic": ("ok", "provider"),
        }.items()
    )
    assert {rows["kt-both", each]["state"] for each in ("kt-a", "kt-b")} == {"conflict"}
    assert rows["orocommerce", "kt-taker"]["state"] == "ignored"
    assert rows["orocommerce", "keyturn"]["state"] == "ok"
    assert (rows["kt-new", "kt-new"]["version"], rows["kt-new", "kt-new"]["api"]) == ("1.2", 7)
    assert "Update keyturn." in rows["kt-new", "kt-new"]["detail"]
    assert "kt_gone.nowhere does not exist" in rows["kt-gone", "kt-gone"]["detail"]
    assert "SyntaxError, line 1" in rows["kt-torn", "kt-torn"]["detail"]
    assert not site.marker.exists()
    assert not {name for name in set(sys.modules) - before if name.startswith("kt_")}


def test_table_is_readable(capsys: pytest.CaptureFixture[str], site: Site) -> None:
    """The list would be readable for programs only."""
    assert main(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].split() == [
        "kind", "name", "distribution", "version", "api", "state", "detail"
    ]  # fmt: skip
    assert any(line.startswith("provider  orocommerce ") for line in lines)
    assert not site.marker.exists()


def test_unusable_selection_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every plugin would seem to be enabled."""
    monkeypatch.setenv("KEYTURN_PLUGINS", "a,-b")

    assert main(["plugins"]) == 2
    assert "KEYTURN_PLUGINS is invalid" in capsys.readouterr().err
