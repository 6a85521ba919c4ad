"""The values that shells complete; tests/servers runs the scripts in bash, zsh and fish."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.testing import Emulator

    from .conftest import Result

    Keyturn = Callable[..., Result]
    Complete = Callable[..., list[str]]


@pytest.fixture
def complete(keyturn: Keyturn) -> Complete:
    """Return a function that returns the values offered for the last word."""

    def values(*words: str) -> list[str]:
        result = keyturn("complete", "--", *words)
        assert (result.code, result.err) == (0, "")
        return [line.partition("\t")[0] for line in result.out.splitlines()]

    return values


@pytest.fixture
def two(configure: Callable[..., Path], emulator: Emulator) -> Path:
    """Configure two connections."""
    settings = {"provider": "orocommerce", **emulator.settings("orocommerce")}
    return configure(shop=settings, sap=settings | {"provider": "nonesuch"})


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["tok"], ["token"]),
        (["compl"], ["completion"]),
        (["token", ""], ["sap", "shop"]),
        (["-v", "token", "--format", "json", "sh"], ["shop"]),
        (["token", "shop", "--format", "h"], ["header", "headers"]),
        (["token", "shop", "--format=h"], ["--format=header", "--format=headers"]),
        (["token", "shop", "--format", "=", "h"], ["header", "headers"]),
        (["providers", "--format", "="], ["table", "json"]),
        (["token", "--re"], ["--renew", "--refused"]),
        (["token", "--renew", "s"], ["sap", "shop"]),
        (["token", "shop", ""], []),
        (["check", "--conf"], ["--config"]),
        (["check", "--config", "x"], [":files"]),
        (["emulate", "--output", ""], [":files"]),
        (["request", "shop", "P"], ["POST", "PUT", "PATCH"]),
        (["request", "shop", "GET", ""], []),
        (["request", "-H", "A: b", "shop", "HE"], ["HEAD"]),
        (["schema", "norce"], ["norce-commerce", "norce-storm"]),
        (["help", "exp"], ["explain"]),
        (["help", "token", "exp"], ["explain"]),
        (["verify", "norce-storm", "a", "b"], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["new-provider", ""], []),
        (["nonesuch", ""], []),
        (["demo", ""], []),
    ],
)
def test_possible_values_are_offered(
    complete: Complete, words: list[str], values: list[str]
) -> None:
    """A user would have to remember all commands, options, formats and names."""
    assert complete(*words) == values


def test_connections_of_the_named_configuration_are_offered(
    complete: Complete, two: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of another file would be offered, or completion would fail or send a request."""
    monkeypatch.delenv("KEYTURN_CONFIG")

    assert complete("token", "") == []
    assert complete("--config", str(two), "token", "") == ["sap", "shop"]
    assert complete("token", "--config", str(two), "sh") == ["shop"]
    assert complete("token", "--config", f"{two}-nonesuch", "") == []
    assert complete() == complete("")
    assert emulator.token_requests("orocommerce") == 0


def test_name_with_control_characters_is_not_offered(
    complete: Complete, register: Callable[..., Path]
) -> None:
    """The name of a third-party plugin could control a terminal."""
    register("[keyturn.providers]\nfine = made_up\nx\x1b[2J = made_up\n")

    assert "fine" in complete("schema", "")
    assert not [name for name in complete("schema", "") if "\x1b" in name]


def test_script_for_each_shell_is_printed(keyturn: Keyturn) -> None:
    """A shell would have no completion script to run."""
    for shell in "bash", "zsh", "fish":
        assert "keyturn" in keyturn("completion", shell).out
    assert "Did you mean fish?" in keyturn("completion", "fsh").err
