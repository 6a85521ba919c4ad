"""The key of this machine's fingerprints: made once, kept private, never a reason to fail."""

# ruff: noqa: SLF001 - what other machines lack can only be taken away from inside

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn._tokens import keyfile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A key is remembered for the life of a process, so each of these is one.
PRINT_KEY = """
import logging, os
logging.basicConfig(format="%(message)s")
os.umask(0)
from keyturn._tokens.keyfile import fingerprint_key
print(fingerprint_key().hex())
assert fingerprint_key() is fingerprint_key()
"""


@pytest.fixture(autouse=True)
def _forget_key() -> Iterator[None]:
    """A process remembers its key for life, and the other tests have another."""
    yield
    keyfile.fingerprint_key.cache_clear()


def key_file(home: Path) -> Path:
    """Return where the key is in a data directory."""
    return home / "keyturn" / "fingerprint.key"


def test_key_is_made_once_and_private(run_python: Callable[..., str], tmp_path: Path) -> None:
    """Others could test guessed secrets, or every process would ask for a token of its own."""
    home = tmp_path / "new" / "data"
    settings = {"XDG_DATA_HOME": str(home), "KEYTURN_FINGERPRINT_KEY": None}
    first = run_python(PRINT_KEY, **settings)

    assert run_python(PRINT_KEY, **settings) == first
    assert key_file(home).read_bytes().hex() == first
    assert len(bytes.fromhex(first)) == 32
    assert stat.S_IMODE(key_file(home).stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file(home).parent.stat().st_mode) == 0o700
    assert [path.name for path in key_file(home).parent.iterdir()] == ["fingerprint.key"]


def test_processes_that_race_agree_on_one_key(
    python: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Of processes that start together, each would keep a token of its own."""
    settings = {"XDG_DATA_HOME": str(tmp_path), "KEYTURN_FINGERPRINT_KEY": None}
    start = tmp_path / "start"
    # They wait for one moment, or the first would be done before the last begins.
    wait = f"import os, keyturn._tokens.keyfile\nwhile not os.path.exists({str(start)!r}): pass\n"
    processes = [python(wait + PRINT_KEY, **settings) for _ in range(6)]
    start.touch()
    outcomes = [process.communicate(timeout=30) for process in processes]

    assert {trouble for _, trouble in outcomes} == {""}
    assert len({output for output, _ in outcomes}) == 1


@pytest.mark.parametrize("obstacle", ["a file", "a directory", "a link", "too short"])
def test_unusable_place_is_told_and_the_processes_still_agree(
    python: Callable[..., subprocess.Popen[str]], tmp_path: Path, obstacle: str
) -> None:
    """A service without a home would not start, or a planted file would become its key."""
    place = key_file(tmp_path)
    if obstacle == "a file":
        place.parent.touch()
    else:
        place.parent.mkdir()
    if obstacle == "a directory":
        place.mkdir()
    elif obstacle == "a link":
        (tmp_path / "planted").write_bytes(b"x" * 32)
        place.symlink_to(tmp_path / "planted")
    elif obstacle == "too short":
        place.write_bytes(b"x" * 31)
    settings = {"XDG_DATA_HOME": str(tmp_path), "KEYTURN_FINGERPRINT_KEY": None}
    processes = [python(PRINT_KEY, **settings) for _ in range(2)]
    outcomes = [process.communicate(timeout=30) for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert len({output for output, _ in outcomes}) == 1
    assert outcomes[0][0].strip() != (b"x" * 32).hex()
    for _, trouble in outcomes:
        assert f"{place} can't be used (" in trouble
        assert "set KEYTURN_FINGERPRINT_KEY" in trouble


def test_environment_sets_the_key_and_nothing_is_written(
    run_python: Callable[..., str], tmp_path: Path
) -> None:
    """Hosts that share a store could not share their tokens."""
    keys = [
        run_python(PRINT_KEY, XDG_DATA_HOME=str(tmp_path / name), KEYTURN_FINGERPRINT_KEY=value)
        for name, value in (("a", "1" * 16), ("b", "1" * 16), ("c", "2" * 16))
    ]

    assert keys[0] == keys[1] != keys[2]
    assert list(tmp_path.iterdir()) == []


def test_key_that_could_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sees a fingerprint would find the key, and with it a weak secret."""
    key = "x" * 15
    monkeypatch.setenv("KEYTURN_FINGERPRINT_KEY", key)
    keyfile.fingerprint_key.cache_clear()
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect(
            "orocommerce",
            url="https://shop.example",
            client_id="made-up",
            client_secret="s3cret-for-tests",
        )

    told = str(caught.value)
    assert "KEYTURN_FINGERPRINT_KEY has fewer than 16 characters" in told
    assert key not in told
    command = told.partition('python -c "')[2].partition('"')[0]
    made = subprocess.check_output([sys.executable, "-c", command], text=True).strip()
    assert len(made) > 40


@pytest.mark.parametrize(
    ("mode", "euid", "told"),
    [
        (0o600, os.geteuid(), None),
        (0o640, os.geteuid(), "is open to other users; close it with chmod 600"),
        (0o602, os.geteuid(), "is open to other users; close it with chmod 600"),
        (0o600, os.geteuid() + 1, "belongs to another user; remove it"),
    ],
)
def test_key_that_others_may_know_or_set_is_told(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    mode: int,
    euid: int,
    told: str | None,
) -> None:
    """They could test guessed secrets, and nobody would ever close the file."""
    place = key_file(tmp_path)
    place.parent.mkdir()
    place.write_bytes(b"k" * 32)
    place.chmod(mode)
    monkeypatch.delenv("KEYTURN_FINGERPRINT_KEY")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    keyfile.fingerprint_key.cache_clear()

    keys = {keyfile.fingerprint_key(), keyfile.fingerprint_key()}

    assert keys == {b"k" * 32}
    assert [record.levelname for record in caplog.records] == (["WARNING"] if told else [])
    assert not told or caplog.messages[0].startswith(f"{place} {told}")


def test_machine_without_a_boot_identifier_still_gets_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """keyturn would work on Linux only."""

    def missing(_: Path) -> bytes:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_bytes", missing)
    one, other = keyfile._fallback(), keyfile._fallback()

    assert len(one) == 32
    assert one != other


def test_fallback_belongs_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user could compute the key."""
    one = keyfile._fallback()
    monkeypatch.setattr(os, "getuid", lambda: 12345)

    assert keyfile._fallback() != one
