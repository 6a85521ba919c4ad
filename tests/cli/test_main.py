"""Common behaviour of all commands: options, exit codes, errors, interruption."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from keyturn._cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.testing import Emulator

    from .conftest import Result

    Keyturn = Callable[..., Result]
    Start = Callable[..., subprocess.Popen[str]]


def test_version_is_printed(keyturn: Keyturn) -> None:
    """A user could not name the version when they report a defect."""
    result = keyturn("--version")

    assert result.code == 0
    assert result.out.startswith("keyturn ")


def test_version_is_unknown_without_metadata(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundled application would report a missing version as a defect of keyturn."""

    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)

    assert keyturn("--version").out == "keyturn unknown\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("token",),
        ("token", "x", "--format", "xml"),
        ("emulate", "--port", "65533"),
        ("emulate", "--port", "x"),
    ],
)
def test_wrong_usage_is_an_error(keyturn: Keyturn, arguments: tuple[str, ...]) -> None:
    """A script with a mistyped command would continue."""
    result = keyturn(*arguments)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("usage: keyturn")


def test_configuration_is_named_before_or_after_the_command(
    shop: Path, keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One position of the option would be ignored: users write it in both."""
    monkeypatch.delenv("KEYTURN_CONFIG")

    assert keyturn("--config", str(shop), "token", "shop").code == 0
    assert keyturn("token", "shop", "--config", str(shop)).code == 0
    assert keyturn("token", "shop").code == 2


@pytest.mark.parametrize(
    ("fault", "settings", "code", "message"),
    [
        (None, {}, 0, ""),
        (None, {"url": "x"}, 2, "connections.x.url: "),
        (None, {"client_secret": "s3cret-for-tests"}, 3, "invalid_client"),
        ("rate-limit", {}, 4, "limit"),
        ("server-error", {}, 5, "500"),
        ("html", {}, 5, "JSON"),
        (None, {"url": "http://127.0.0.1:1"}, 5, "Connection refused"),
    ],
)
def test_exit_code_depends_on_the_error(
    emulator: Emulator,
    configure: Callable[..., Path],
    keyturn: Keyturn,
    *,
    fault: str | None,
    settings: dict[str, Any],
    code: int,
    message: str,
) -> None:
    """A script could not decide whether to stop, to wait or to try again."""
    configure(x={"provider": "orocommerce", **emulator.settings("orocommerce"), **settings})
    if fault:
        emulator.fault("orocommerce", fault, times=3)

    result = keyturn("token", "x")

    assert result.code == code, result.err
    assert message in result.err
    assert "Traceback" not in result.err
    assert bool(result.out) == (code == 0)


def test_other_errors_of_keyturn_have_code_1(
    shop: Path, keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of a provider would be reported as a mistake of the user."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("s3cret-for-tests")

    monkeypatch.setattr("keyturn_orocommerce.OroCommerce.read_error", fail)

    result = keyturn("token", "shop", "--config", str(shop))

    assert (result.code, result.out) == (1, "")
    assert "keyturn: shop: provider orocommerce failed with ZeroDivisionError" in result.err
    assert "s3cret" not in result.err


def test_unexpected_error_shows_no_value(keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback would show secrets, and would not help a user."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("s3cret-for-tests")

    monkeypatch.setattr("keyturn._plugins.listing.providers", fail)

    result = keyturn("providers")

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("keyturn: unexpected ZeroDivisionError in test_main.py, line ")
    assert result.err.count("\n") == 1
    assert "s3cret" not in result.err


def test_interruption_has_the_code_that_shells_use(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop in a shell would not end at Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("keyturn._plugins.listing.providers", interrupt)

    assert keyturn("providers").code == 130


@pytest.mark.usefixtures("shop")
def test_warnings_are_always_shown_and_the_whole_log_on_demand(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn
) -> None:
    """A user would miss a warning, or see the whole log each time."""
    settings = emulator.settings("commercelayer", kind="sales_channel", market=None)
    settings.pop("market")
    configure(x={"provider": "commercelayer", **settings})

    result = keyturn("token", "x")

    assert result.err.startswith("keyturn: WARNING: x: Commerce Layer documents ")
    assert result.err.count("\n") == 1
    assert result.err in keyturn("-v", "token", "x").err
    assert result.err in keyturn("token", "x", "--verbose").err


def test_log_shows_each_step_on_demand(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn, home: Path
) -> None:
    """A user could not see why a token takes two seconds, or where it comes from."""
    settings = emulator.settings("orocommerce")
    path = configure(x={"provider": "orocommerce", **settings})
    emulator.fault("orocommerce", "server-error", times=2)

    retried, quiet = keyturn("-v", "token", "x"), keyturn("token", "x", "-v")
    stored = keyturn("-vv", "token", "x")

    sent = [f"keyturn: INFO: x: token request {number} to 127.0.0.1 (cold)" for number in (1, 2, 3)]
    retrying = "keyturn: INFO: x: retrying in N s: the token endpoint reports a server failure "
    used = f"keyturn: INFO: x: provider orocommerce, token store DiskStore {home}/.cache/keyturn"
    steps = [f"keyturn: INFO: connections are configured in {path} and the environment"]
    lines = [re.sub(r"[0-9.]+ s\b", "N s", line) for line in retried.err.splitlines()]
    assert retried.out.count("\n") == 1
    assert [line.partition("(HTTP 500")[0] for line in lines] == [
        *steps,
        f"{used}; the cached token is not usable",
        f"{sent[0]}: EndpointUnavailable in N s",
        retrying,
        f"{sent[1]}: EndpointUnavailable in N s",
        retrying,
        f"{sent[2]}: a token for N s in N s",
    ]
    assert quiet.err.splitlines() == [*steps, f"{used}; the cached token expires in 60 min"]
    assert "keyturn: DEBUG: x: using the token from the token store DiskStore " in stored.err
    assert settings["client_secret"] not in retried.err + stored.err


def test_traceback_of_a_broken_plugin_is_shown_on_demand(
    keyturn: Keyturn, register: Callable[..., Path]
) -> None:
    """The authors of a plugin would lack the traceback, or each user would see it."""
    site = register("[keyturn.providers]\nbroken = broken_plugin\n")
    (site / "broken_plugin.py").write_text("import no_such_module_for_tests")

    quiet, verbose = keyturn("schema", "broken"), keyturn("schema", "broken", "-v")

    assert (quiet.code, verbose.code) == (2, 2)
    assert "Traceback" not in quiet.err
    assert "ModuleNotFoundError" in quiet.err
    assert "Traceback" in verbose.err


def test_closed_pipe_is_reported_by_the_exit_code_alone(start: Start) -> None:
    """`keyturn providers | head -1` would print an error."""
    process = start("providers")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None

    assert process.stderr.read() == ""
    assert process.wait(30) == 1


def test_no_secret_is_on_the_command_line_or_in_the_output(
    emulator: Emulator, configure: Callable[..., Path], start: Start
) -> None:
    """Any user of the host could read the secret, or it would stay in a log for years."""
    secret = emulator.settings("orocommerce")["client_secret"]
    configure(x={"provider": "orocommerce", **emulator.settings("orocommerce")})

    for arguments in (["check"], ["status"], ["explain", "x"]):
        out, err = start("-v", *arguments).communicate(timeout=30)
        assert secret not in out + err


def test_emulate_runs_until_it_is_terminated(
    start: Start, tmp_path: Path, keyturn: Keyturn
) -> None:
    """The configuration that it prints would need changes before it works."""
    process = start("emulate")
    assert process.stdout is not None
    path = tmp_path / "emulator.toml"
    path.touch(mode=0o600)
    lines: list[str] = []
    while sum(line.startswith("provider = ") for line in lines) < 4 or lines[-1].strip():
        lines.append(process.stdout.readline())
    path.write_text("".join(lines))

    rows = keyturn("--config", str(path), "check", "--format", "json").json()
    comments = [line.split() for line in lines if line.startswith("# keyturn request")]
    codes = [keyturn("--config", str(path), *comment[2:]).code for comment in comments]
    counts = json.loads(httpx.get(_address(lines) + "/-/counts", trust_env=False).text)
    process.send_signal(signal.SIGTERM)

    assert [row["result"] for row in rows] == ["ok"] * 4
    assert codes == [0] * 4
    assert counts == {"token_requests": 1, "api_requests": 1}
    assert process.wait(30) == 0


def _address(lines: list[str]) -> str:
    """Return the address of the emulator's Norce Commerce in its configuration."""
    (first, *_) = (line for line in lines if line.startswith("api_url = "))
    address: str = json.loads(first.partition(" = ")[2])
    return address


def test_emulate_ends_at_an_interruption(start: Start) -> None:
    """Ctrl-C, the usual way to stop it, would end with an error."""
    process = start("emulate")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 0


def test_port_in_use_is_reported(keyturn: Keyturn, emulator: Emulator) -> None:
    """A user who starts it twice would not see why it does not run."""
    port = emulator.settings("orocommerce")["url"].rpartition(":")[2].partition("/")[0]

    result = keyturn("emulate", "--port", port)

    assert (result.code, result.out) == (2, "")


def test_demo_fails_when_a_step_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo would show a result that keyturn did not reach."""
    monkeypatch.setattr("keyturn._cli.demo._STEPS", _first_step())
    monkeypatch.setattr("keyturn._cli.demo.KeyturnAuth", lambda _: httpx.Auth())

    code = main(["demo"])

    shown = capsys.readouterr().out
    assert code == 1
    assert "   FAILED: the API of norce-commerce responded with 401" in shown
    assert "Failed: 1. Get a token from each provider" in shown


def _first_step() -> tuple[Any, ...]:
    from keyturn._cli import demo as _demo

    return _demo._STEPS[:1]  # noqa: SLF001 - the other steps take seconds


def test_module_runs_the_command() -> None:
    """`python -m keyturn` would fail where the command is not on the path."""
    done = subprocess.run(
        [sys.executable, "-m", "keyturn", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert done.stdout.startswith("keyturn ")
