"""`store_key`: encrypted tokens for all configured connections."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import _config as config
from keyturn.errors import ConfigurationError
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Constants, because the IDs of parametrized tests contain them.
KEY = "YSBtYWRlLXVwIGtleSwgZ29vZCBmb3IgdGVzdHMgMDE"
NEW_KEY = "YSBtYWRlLXVwIGtleSwgZ29vZCBmb3IgdGVzdHMgMDI"
REFERENCE = 'store_key = { env = "MADE_UP_KEY" }'


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Give a running emulator."""
    with Emulator() as running:
        yield running


@pytest.fixture
def account(emulator: Emulator, tmp_path: Path) -> str:
    """Give the table of a connection to the emulator, with its own store."""
    settings = emulator.settings("orocommerce") | {
        "provider": "orocommerce",
        "store": f"disk://{tmp_path}/tokens",
    }
    lines = (f'{name} = "{value}"' for name, value in settings.items())
    return "\n".join(["", "[connections.oro]", *lines])


def token(path: Path) -> str:
    """Open the configured connection again, and return its token."""
    with keyturn.load_connection("oro", config=path) as connection:
        return connection.token().access_token


def stored(tmp_path: Path) -> bytes:
    """Return the content of all files of the store."""
    return b"".join(path.read_bytes() for path in (tmp_path / "tokens").glob("*.db"))


def problems(path: Path) -> tuple[str, ...]:
    """Return the problems that loading the connection reports."""
    with pytest.raises(ConfigurationError) as caught:
        keyturn.load_connection("oro", config=path)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "s3cret" not in "".join(shown.format())
    return tuple(map(str, caught.value.problems))


@pytest.mark.parametrize("store_key", [REFERENCE, f'store_key = "{KEY}"', f"store_key = ['{KEY}']"])
def test_tokens_are_encrypted_and_shared(
    write: Callable[..., Path],
    account: str,
    emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    store_key: str,
) -> None:
    """Despite the key, tokens would be stored unencrypted, or requested for each process."""
    monkeypatch.setenv("MADE_UP_KEY", KEY)
    path = write(f"{store_key}\n{account}")

    first, second = token(path), token(path)

    assert first == second
    assert emulator.token_requests("orocommerce") == 1
    assert first.encode() not in stored(tmp_path)
    assert b"keyturn-1." in stored(tmp_path)


def test_keys_are_rotated_without_a_token_request(
    write: Callable[..., Path], account: str, emulator: Emulator
) -> None:
    """A new key would cause a token request for every account at once."""
    old = token(write(f"store_key = '{KEY}'\n{account}"))

    assert token(write(f"store_key = ['{NEW_KEY}', '{KEY}']\n{account}")) == old
    assert emulator.token_requests("orocommerce") == 1
    assert token(write(f"store_key = '{NEW_KEY}'\n{account}")) != old


def test_store_of_the_variable_is_encrypted_too(
    write: Callable[..., Path], account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store named in the environment would contain unencrypted tokens."""
    monkeypatch.setenv("KEYTURN_STORE", f"disk://{tmp_path}/tokens")
    without = "\n".join(line for line in account.splitlines() if not line.startswith("store"))

    assert token(write(f"store_key = '{KEY}'\n{without}")).encode() not in stored(tmp_path)
    assert b"keyturn-1." in stored(tmp_path)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("7", "store_key: must be a reference to a secret, or a list of them"),
        ("[]", "store_key: must be a reference to a secret, or a list of them"),
        ("[[]]", "store_key[0]: must be a reference to a secret, or a list of them"),
        (f'["{KEY}", true]', "store_key[1]: must be a reference to a secret, or a list of them"),
        ("{ env = 7 }", "store_key: env must be a string"),
        ('{ evn = "X" }', "store_key: no secret source is named 'evn'; known are "),
        ("{}", "store_key: must be a reference to a secret: a table with one of "),
        ('{ env = "MISSING" }', "store_key: the environment variable MISSING is not set"),
        (
            f'["{KEY}", {{ env = "MISSING" }}]',
            "store_key[1]: the environment variable MISSING is not set",
        ),
        ('"s3cret-for-tests"', "store_key: an encrypted store needs at least one key, and each"),
        ('""', "store_key: an encrypted store needs at least one key, and each"),
    ],
)
def test_problems_are_reported_with_their_paths_and_nothing_is_stored(
    write: Callable[..., Path], account: str, tmp_path: Path, given: str, expected: str
) -> None:
    """With a wrong key, tokens would be stored unencrypted, or a log would show the key."""
    (problem,) = problems(write(f"store_key = {given}\n{account}"))

    assert problem.startswith(expected)
    assert not (tmp_path / "tokens").exists()


def test_key_in_a_file_that_others_can_read_is_rejected(
    write: Callable[..., Path], account: str
) -> None:
    """A key in a file that other users can read would be accepted, and they could read tokens."""
    found = problems(write(f"store_key = '{KEY}'\n{account}", mode=0o644))

    assert any(p.startswith("store_key: a plain secret is allowed only in") for p in found)


def test_check_finds_problems_without_resolving(write: Callable[..., Path], account: str) -> None:
    """`check` would run commands, or cause a dialog of the keyring."""
    config.read(write(f"{REFERENCE}\n{account}")).check()
    with pytest.raises(ConfigurationError, match="store_key: must be"):
        config.read(write(f"store_key = 7\n{account}")).check()


def test_connections_with_one_store_key_share_tokens_during_an_outage(
    write: Callable[..., Path], account: str, emulator: Emulator, tmp_path: Path
) -> None:
    """Each connection would send its own token requests while the store can't be used."""
    (tmp_path / "tokens").touch()
    path = write(f"store_key = '{KEY}'\n{account}")

    assert token(path) == token(path)
    assert emulator.token_requests("orocommerce") == 1
    token(write(f"store_key = ['{NEW_KEY}', '{KEY}']\n{account}"))
    assert emulator.token_requests("orocommerce") == 2
