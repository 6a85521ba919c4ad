"""Standard output contains only results, and tables have no control characters."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import HIDDEN

from keyturn import provider
from keyturn._cli import main

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.testing import Emulator

    from .conftest import Result

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


@pytest.mark.usefixtures("shop")
def test_output_of_an_installed_plugin_is_not_in_the_token(
    start: Start, register: Callable[..., Path]
) -> None:
    """`$(keyturn token NAME)` would contain other output, which would be sent in a header."""
    site = register("[keyturn.plugins]\nnoisy = noisy\n")
    (site / "noisy.py").write_text(NOISY_PLUGIN)
    environment = os.environ | {"PYTHONPATH": f"{site}:{HIDDEN}"}

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
def test_output_of_a_provider_is_not_in_the_result(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, arguments: list[str], result: str
) -> None:
    """A forgotten `print` in a third-party plugin would break the program that reads the result."""
    orocommerce = type(provider("orocommerce"))
    silent = orocommerce.token_request

    def noisy(*given: Any) -> Any:
        print("noise")  # noqa: T201 - the mistake of a plugin
        return silent(*given)

    monkeypatch.setattr(orocommerce, "token_request", noisy)

    given = keyturn(*arguments)

    assert "noise\n" in given.err
    assert "noise" not in given.out
    assert given.out.startswith(result), given.err
    assert bool(given.out) == bool(result)


def test_standard_output_is_restored_after_a_command(keyturn: Keyturn) -> None:
    """A program that calls `main` would print to standard error afterwards."""
    out = sys.stdout

    for command in ("status", "check"):  # the second fails: nothing is configured
        keyturn(command)

        assert sys.stdout is out


@pytest.mark.usefixtures("shop")
def test_closed_standard_output_is_reported_before_a_request_is_sent(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token would be printed to standard error, and go into a log."""
    monkeypatch.setattr(sys, "stdout", None)

    code = main(["token", "shop"])

    assert code == 2
    assert capsys.readouterr().err.startswith(
        "keyturn: standard output is closed. Redirect it to /dev/null if you do not need it.\n"
    )
    assert emulator.token_requests("orocommerce") == 0


def test_control_characters_in_a_table_are_escaped(
    keyturn: Keyturn, register: Callable[..., Path]
) -> None:
    """Any installed distribution could hide or forge lines of the table."""
    name = "\x1b[31mröd\x07\u202e"
    register(f"[keyturn.providers]\n{name} = made_up\n")

    table, found = keyturn("providers"), keyturn("providers", "--format", "json")

    (line,) = [line for line in table.out.splitlines() if "made-up" in line]
    assert line.split() == [r"\x1b[31mröd\x07\u202e", "made-up", "1.0"]
    assert all(line.isprintable() for line in table.out.splitlines())
    assert name in [row["name"] for row in found.json()]
