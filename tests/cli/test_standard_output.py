"""Standard output is for results alone, and tables do nothing to a terminal."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from keyturn import provider
from keyturn._cli import main

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.testing import Emulator

    from .conftest import Result, User

    Keyturn = Callable[..., Result]
    Start = Callable[..., subprocess.Popen[str]]

NOISY_PLUGIN = """
import sys, keyturn
print("noise at import")
@keyturn.plugins.hookimpl
def keyturn_event(event):
    print("noise in a hook")
    sys.stdout.buffer.write(b"noise in bytes")
"""


def register(directory: Path, entry_points: str) -> None:
    """Write the metadata of an installed distribution with these entry points."""
    metadata = directory / "made_up-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)


@pytest.mark.usefixtures("shop")
def test_what_an_installed_plugin_prints_is_not_in_the_token(start: Start, tmp_path: Path) -> None:
    """`$(keyturn token NAME)` would hold more than the token, and go into a header."""
    register(tmp_path / "site", "[keyturn.plugins]\nnoisy = noisy\n")
    (tmp_path / "site" / "noisy.py").write_text(NOISY_PLUGIN)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}

    form = ("--format", "json")
    out, err = start("token", "shop", *form, env=environment).communicate(timeout=30)

    assert json.loads(out)["access_token"]
    assert [noise in err for noise in ("at import", "in a hook", "in bytes")] == [True] * 3


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        (["token", "shop"], "eyJ"),
        (["check"], "connection "),
        (["check", "--format", "json"], "[\n"),
        (["status"], "connection "),
        (["explain", "shop"], "connection"),
        (["request", "shop", "GET", "users"], "{"),
        (["verify", "orocommerce"], "check "),
        (["verify", "orocommerce", "--format", "json"], "{\n"),
        (["revoke", "shop"], ""),
        (["forget", "shop"], ""),
    ],
)
def test_what_a_provider_prints_is_no_result(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, arguments: list[str], result: str
) -> None:
    """A forgotten `print` of a stranger's would break whatever reads the result."""
    orocommerce = type(provider("orocommerce"))
    silent = orocommerce.token_request

    def noisy(*given: Any) -> Any:
        print("noise")  # noqa: T201 - that is the point
        return silent(*given)

    monkeypatch.setattr(orocommerce, "token_request", noisy)

    given = keyturn(*arguments)

    assert "noise\n" in given.err
    assert "noise" not in given.out
    assert given.out.startswith(result), given.err
    assert bool(given.out) == bool(result)


def test_standard_output_is_as_before_when_a_command_has_ended(keyturn: Keyturn) -> None:
    """Whoever calls `main` from Python would print to standard error ever after."""
    out = sys.stdout

    for command in ("status", "check"):  # the second fails: nothing is configured
        keyturn(command)

        assert sys.stdout is out


@pytest.mark.usefixtures("shop")
def test_closed_standard_output_is_told_before_anything_is_sent(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token would be printed to standard error, and go into a log."""
    monkeypatch.setattr(sys, "stdout", None)

    code = main(["token", "shop"])

    assert (code, capsys.readouterr().err) == (
        2,
        "keyturn: standard output is closed. Redirect it to /dev/null if need be.\n",
    )
    assert emulator.token_requests("orocommerce") == 0


def test_names_in_a_table_do_nothing_to_the_terminal(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Any installed distribution could colour, hide or forge what the table shows."""
    name = "\x1b[31mröd\x07\u202e"
    register(tmp_path, f"[keyturn.providers]\n{name} = made_up\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    table, found = keyturn("providers"), keyturn("providers", "--format", "json")

    (line,) = [line for line in table.out.splitlines() if "made-up" in line]
    assert line.split() == [r"\x1b[31mröd\x07\u202e", "made-up", "1.0"]
    assert all(line.isprintable() for line in table.out.splitlines())
    assert name in [row["name"] for row in found.json()]


def test_key_that_could_be_guessed_is_told_by_the_ordinary_way(
    user: User, emulator: Emulator
) -> None:
    """A fingerprint or a note would be made with it, and tell a weak secret."""
    user.patch.setenv("KEYTURN_FINGERPRINT_KEY", "x" * 15)

    result = user.run("token", "shop")

    assert (user.quick(), result.code, result.out) == (None, 2, "")
    assert result.err.startswith("keyturn: the environment variable KEYTURN_FINGERPRINT_KEY has ")
    assert emulator.token_requests("orocommerce") == 0
    assert user.notes == []


def test_open_key_file_is_told_every_time(user: User, run_python: Callable[..., str]) -> None:
    """Told only once, it would be taken for settled."""
    code = """
import sys
from keyturn._cli import main
sys.stderr = sys.stdout
assert main(["token", "shop"]) == 0
"""
    key = user.home / ".local" / "share" / "keyturn" / "fingerprint.key"
    key.parent.mkdir(parents=True)
    key.write_bytes(b"k" * 32)
    key.chmod(0o644)

    outputs = [run_python(code, KEYTURN_FINGERPRINT_KEY=None) for _ in range(2)]

    for output in outputs:
        assert f"keyturn: WARNING: {key} is open to other users; close it with chmod 600" in output
    assert user.notes == []
