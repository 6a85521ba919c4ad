"""The fingerprint key: all processes that share a store have the same key, and others another."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from keyturn import errors
from keyturn.stores import EncryptedStore, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer, World

ENTRY = "fingerprint-key"


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variable, so that the key is in the store."""
    monkeypatch.delenv("KEYTURN_FINGERPRINT_KEY")


def fingerprint(world: World, store: object) -> str:
    """Return the key of the same account in a store."""
    return world.connect(store=store).token_request().fingerprint


def copied(world: World, store: MemoryStore, *keys: str) -> MemoryStore:
    """Return another store object with the same entries, as another process sees them."""
    new = MemoryStore(lambda: world.clock.now)
    for key in keys:
        entry = store.read(key)
        assert entry is not None
        new.write(key, entry, float("inf"))
    return new


def test_processes_of_one_store_share_a_key_and_other_stores_have_another(world: World) -> None:
    """Two hosts on one Redis would not share tokens, or one key would serve all stores."""
    world.connect().token()
    other_process = copied(world, world.store, ENTRY)

    assert fingerprint(world, other_process) == fingerprint(world, world.store)
    assert fingerprint(world, MemoryStore()) != fingerprint(world, world.store)


CODE = """
import sys, keyturn
connection = keyturn.connect(
    "orocommerce", url=sys.argv[1], store="disk://" + sys.argv[2], client_id="cid",
    client_secret="s3cret-for-tests",
)
print(connection.token().access_token)
"""


def test_processes_share_a_token_without_any_setting(
    run_python: Callable[..., str],
    serve: Callable[..., RawServer],
    token_response: bytes,
    tmp_path: Path,
) -> None:
    """Each user account or host would send its own token request."""
    server = serve(token_response)
    for home in ("one", "other"):
        (tmp_path / home).mkdir()
        printed = run_python(
            CODE,
            server.url.removesuffix("/token"),
            tmp_path / "store",
            KEYTURN_FINGERPRINT_KEY=None,
            HOME=str(tmp_path / home),
            XDG_DATA_HOME=None,
        )
        assert printed == "t0ken"
        assert list((tmp_path / home).iterdir()) == []  # no key file was written

    assert len(server.received) == 1


def test_lost_entry_is_created_again(world: World) -> None:
    """After a store is emptied, processes would share no tokens until each one restarts."""
    connection = world.connect()
    first = connection.token()
    world.store.delete(ENTRY)
    connection.token(stale=first)

    assert world.store.read(ENTRY) is not None
    assert fingerprint(world, copied(world, world.store, ENTRY)) == fingerprint(world, world.store)
    assert world.connect().token().access_token == "token-2"


def test_key_that_another_host_replaced_is_used_from_the_next_request_on(world: World) -> None:
    """A process would store tokens under keys that no other process reads."""
    connection = world.connect()
    connection.token()
    old = connection.token_request().fingerprint
    other = MemoryStore(lambda: world.clock.now)
    new = fingerprint(world, other)
    entry = other.read(ENTRY)
    assert entry is not None
    world.store.write(ENTRY, entry, float("inf"))
    connection.forget()

    connection.token()
    assert connection.token_request().fingerprint == new != old
    assert world.store.read(new) is not None


def test_key_that_changes_at_each_read_does_not_prevent_a_token(world: World) -> None:
    """A hostile store would block a caller forever."""

    class Changing(MemoryStore):
        number = 0

        def read(self, key: str) -> str | None:
            if key != ENTRY:
                return super().read(key)
            self.number += 1
            return json.dumps({"v": 1, "key": f"{self.number:043}"})

    store = Changing(lambda: world.clock.now)

    assert world.connect(store=store).token().access_token == "token-1"


def test_rotating_store_keys_changes_nothing(world: World) -> None:
    """Each rotation would cause a token request for each account."""
    old, new = EncryptedStore.generate_key(), EncryptedStore.generate_key()
    before = fingerprint(world, EncryptedStore(world.store, old))
    sealed = world.store.read(ENTRY)

    assert fingerprint(world, EncryptedStore(world.store, [new, old])) == before
    assert world.store.read(ENTRY) == sealed
    assert sealed is not None
    assert sealed.startswith("keyturn-1.")


def test_host_with_other_store_keys_overwrites_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A misconfigured host would make all others lose their tokens."""
    right = EncryptedStore(world.store, EncryptedStore.generate_key())
    before = fingerprint(world, right)
    sealed = world.store.read(ENTRY)
    wrong = EncryptedStore(world.store, EncryptedStore.generate_key())
    connection = world.connect(store=wrong, name="wrong")

    assert connection.token().access_token == "token-1"
    assert world.store.read(ENTRY) == sealed
    assert "Add the store_key of the other hosts" in caplog.text
    assert fingerprint(world, right) == before


def test_host_without_a_store_key_overwrites_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A host whose store_key was left out would make all others lose their tokens."""
    right = EncryptedStore(world.store, EncryptedStore.generate_key())
    before = fingerprint(world, right)
    sealed = world.store.read(ENTRY)

    assert world.connect(name="bare").token().access_token == "token-1"
    assert world.store.read(ENTRY) == sealed
    assert "Add the store_key of the other hosts" in caplog.text
    assert fingerprint(world, right) == before


def test_store_that_is_encrypted_later_shares_tokens(world: World) -> None:
    """Each process would request its own tokens, and the key would stay in clear text."""
    in_clear = fingerprint(world, world.store)
    store_key = EncryptedStore.generate_key()
    first = fingerprint(world, EncryptedStore(world.store, store_key))
    sealed = world.store.read(ENTRY)

    assert first != in_clear
    assert sealed is not None
    assert sealed.startswith("keyturn-1.")
    assert fingerprint(world, EncryptedStore(world.store, store_key)) == first


DAMAGED = ["", "null", "[]", '{"v": 1}', '{"v": 1, "key": 7}', '{"v": 1, "key": "short"}', "{}"]


@pytest.mark.parametrize("entry", DAMAGED)
def test_damaged_entry_is_replaced(
    world: World, caplog: pytest.LogCaptureFixture, entry: str
) -> None:
    """No process would share tokens until the entry is deleted manually."""
    world.store.write(ENTRY, entry, float("inf"))
    world.connect().token()

    assert "the entry fingerprint-key" in caplog.text
    assert world.store.read(ENTRY) != entry
    assert fingerprint(world, copied(world, world.store, ENTRY)) == fingerprint(world, world.store)


def test_entry_of_another_version_is_not_changed(world: World) -> None:
    """Two versions of keyturn would replace each other's key during a rollout."""
    entry = '{"v": 2, "keys": []}'
    world.store.write(ENTRY, entry, float("inf"))

    assert world.connect().token().access_token == "token-1"
    assert world.connect().token().access_token == "token-1"
    assert world.store.read(ENTRY) == entry


def test_store_that_was_down_prevents_no_token_and_is_used_again(world: World) -> None:
    """An outage would prevent tokens, or the process would never share tokens again."""

    class Down(MemoryStore):
        is_down = False

        def _check(self) -> None:
            if self.is_down:
                raise OSError(5, "Input/output error")

        def read(self, key: str) -> str | None:
            self._check()
            return super().read(key)

        def write(self, key: str, entry: str, expires_at: float) -> None:
            self._check()
            super().write(key, entry, expires_at)

    store = Down(lambda: world.clock.now)
    store.is_down = True
    connection = world.connect(store=store)
    assert connection.token().access_token == "token-1"
    local = connection.token_request().fingerprint
    store.is_down = False
    connection.forget()
    assert connection.token().access_token == "token-2"

    shared = connection.token_request().fingerprint
    assert shared != local
    assert fingerprint(world, copied(world, store, ENTRY)) == shared
    store.is_down = True
    assert world.connect(store=store).token_request().fingerprint == shared


def test_read_only_store_prevents_no_token(world: World) -> None:
    """With a read-only store, a connection would return no token."""

    class ReadOnly(MemoryStore):
        def write(self, key: str, entry: str, expires_at: float) -> None:
            raise OSError(30, "Read-only file system")

    store = ReadOnly(lambda: world.clock.now)
    assert {world.connect(store=store).token().access_token for _ in range(3)} == {"token-1"}


def test_variable_replaces_the_entry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that must not be in the store would be written to it."""
    monkeypatch.setenv("KEYTURN_FINGERPRINT_KEY", "a-key-of-one's-own")
    one = fingerprint(world, world.store)
    assert fingerprint(world, MemoryStore()) == one
    assert world.store.read(ENTRY) is None
    monkeypatch.setenv("KEYTURN_FINGERPRINT_KEY", "another-key-of-one's-own")

    assert fingerprint(world, world.store) != one


def test_variable_that_could_be_guessed_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of the store could test guessed secrets."""
    monkeypatch.setenv("KEYTURN_FINGERPRINT_KEY", "x" * 15)

    with pytest.raises(errors.ConfigurationError, match=r"acme: .*fewer than 16 characters"):
        world.connect().token()


def test_two_processes_that_begin_together_create_one_key(world: World) -> None:
    """The second process would overwrite the key of the first, whose tokens would be lost."""

    class Slow(MemoryStore):
        raced: Any = None

        def read(self, key: str) -> str | None:
            found = super().read(key)
            if key == ENTRY and found is None and self.raced is None:
                self.raced = json.dumps({"v": 1, "key": "A" * 43})
                self.write(ENTRY, self.raced, float("inf"))
            return found

    store = Slow(lambda: world.clock.now)
    world.connect(store=store).token()

    assert store.read(ENTRY) == store.raced


def test_key_is_never_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A log would let its reader test guessed secrets."""
    with caplog.at_level(logging.DEBUG):
        world.connect().token()
    entry = world.store.read(ENTRY)
    assert entry is not None

    assert json.loads(entry)["key"] not in caplog.text
