"""Ordinary failures of the system are reported as such, in every command."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TYPE_CHECKING

import pytest

from keyturn._cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import Result

    Keyturn = Callable[..., Result]
    Output = Callable[[int], None]

COMMANDS = [
    ["token", "shop"],
    ["token", "shop", "--format", "json"],
    ["check"],
    ["status", "--format", "json"],
    ["explain", "shop"],
    ["request", "shop", "GET", "users"],
    ["providers"],
    ["schema", "orocommerce"],
    ["--help"],
    ["token", "--help"],
    ["--version"],
]


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[Output]:
    """Return a function that makes a descriptor the standard output, as the interpreter does."""
    with contextlib.ExitStack() as opened:

        def use(descriptor: int) -> None:
            out = opened.enter_context(io.TextIOWrapper(open(descriptor, "wb")))  # noqa: SIM115
            monkeypatch.setattr(sys, "stdout", out)

        yield use  # closing flushes each, which must not fail


def run(arguments: list[str]) -> int:
    """Return a command's exit code."""
    try:
        return main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_full_standard_output_is_reported(
    output: Output, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """A user would report a full disk as a defect; a script would read no output as a token."""
    output(os.open("/dev/full", os.O_WRONLY))

    assert run(arguments) == 1
    error = capsys.readouterr().err
    assert "keyturn: the output: No space left on device." in error
    assert "defect" not in error


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_reader_that_exits_early_is_not_an_error(
    output: Output, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """`keyturn … | head` would print a message about a defect."""
    reader, writer = os.pipe()
    os.close(reader)
    output(writer)

    assert run(arguments) == 1
    assert "keyturn:" not in capsys.readouterr().err


@pytest.mark.parametrize("is_closed", [True, False])
def test_standard_error_may_be_closed_or_full(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, is_closed: bool
) -> None:
    """A message would replace the token, or be followed by a traceback."""
    with io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True) as full:  # type: ignore[type-var]
        monkeypatch.setattr(sys, "stderr", None if is_closed else full)
        assert run(["token", "shop"]) == 2
        monkeypatch.undo()

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "s3cret"), "the output: Too many open files. Raise the limit"),
        (OSError(errno.EACCES, "s3cret", "a\nb"), r"a\nb: Permission denied"),
        (OSError(errno.EROFS, "s3cret", "/x"), "/x: Read-only file system"),
        (OSError(errno.EADDRINUSE, "s3cret"), "Address already in use"),
        (MemoryError("s3cret"), "Cannot allocate memory"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_failure_of_the_system_is_not_reported_as_a_defect(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    """A user would report a full disk, or a missing permission, as a defect of keyturn."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("keyturn._plugins.listing.providers", fail)

    result = keyturn("providers")

    assert (result.code, result.out) == (1, "")
    assert words in result.err
    assert "defect" not in result.err
    assert "s3cret" not in result.err


def test_error_without_a_known_number_is_reported_as_a_defect(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of keyturn would be reported as a failure of the system."""

    def fail(*_: object) -> None:
        raise OSError("s3cret")

    monkeypatch.setattr("keyturn._plugins.listing.providers", fail)

    assert "unexpected OSError" in keyturn("providers").err


@pytest.mark.usefixtures("shop")
def test_configuration_that_cannot_be_read_is_named(keyturn: Keyturn, tmp_path: Path) -> None:
    """A user could not see which file is unreadable, and why."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, words in [
        (tmp_path, "Is a directory"),
        (tmp_path / "none", "No such file or directory"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path / "keyturn.toml" / "x", "Not a directory"),
    ]:
        result = keyturn("token", "shop", "--config", str(path))
        assert (result.code, result.out) == (2, "")
        assert f"{path} can't be read: {words}" in result.err
