"""Encrypted entries: their content, the keys that decrypt them, and changed entries."""

from __future__ import annotations

import base64
import copy
import logging
import os
import pickle
import re
import threading
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import keyturn
from keyturn import stores
from keyturn.errors import ConfigurationError
from keyturn.stores._encrypted import EncryptedStore
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.stores._disk import DiskStore

# Constants, because the names of parametrized tests contain them.
KEY = "YSBtYWRlLXVwIGtleSwgZ29vZCBmb3IgdGVzdHMgMDE"
OTHER_KEY = "YSBtYWRlLXVwIGtleSwgZ29vZCBmb3IgdGVzdHMgMDI"
PLAIN = '{"access_token": "made-up-token-for-tests"}'
FOR_EVER = float("inf")
WARNING = "the stored entry a was changed, or encrypted with another key; ignoring it"


@pytest.fixture
def memory() -> MemoryStore:
    """Return the store that encrypted entries are written to."""
    return MemoryStore()


@pytest.fixture
def encrypted(memory: MemoryStore) -> EncryptedStore:
    """Return an encrypted store with the entry `PLAIN` at `a`."""
    store = EncryptedStore(memory, KEY)
    store.write("a", PLAIN, FOR_EVER)
    return store


def kept(memory: MemoryStore, key: str = "a") -> str:
    """Return an entry as the inner store has it."""
    entry = memory.read(key)
    assert entry is not None
    return entry


@given(st.from_regex(r"[a-z0-9-]{1,80}", fullmatch=True), st.text())
def test_entry_is_read_as_written(key: str, entry: str) -> None:
    """A string that changes would cost a token request for every token."""
    memory = MemoryStore()
    EncryptedStore(memory, KEY).write(key, entry, FOR_EVER)

    assert EncryptedStore(memory, KEY).read(key) == entry
    assert re.fullmatch(r"keyturn-1\.[\w-]+", kept(memory, key), re.ASCII)


def test_missing_entry_is_a_miss_without_a_warning(
    encrypted: EncryptedStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Every first token would cause a warning."""
    encrypted.delete("a")

    assert [encrypted.read("a"), encrypted.read("b")] == [None, None]
    assert caplog.records == []


def test_every_changed_bit_is_a_miss(encrypted: EncryptedStore, memory: MemoryStore) -> None:
    """An attacker who can write to the store could make keyturn use another token."""
    sealed = kept(memory)
    for place, letter in enumerate(sealed):
        for bit in range(8):
            changed = chr(ord(letter) ^ (1 << bit))
            memory.write("a", sealed[:place] + changed + sealed[place + 1 :], FOR_EVER)
            assert encrypted.read("a") is None

    memory.write("a", sealed, FOR_EVER)
    assert encrypted.read("a") == PLAIN


def test_entry_of_another_length_is_a_miss(encrypted: EncryptedStore, memory: MemoryStore) -> None:
    """A torn write could be read as an entry, or raise an error of another library."""
    sealed = kept(memory)
    longer = [sealed + "=", sealed + "\n", sealed + "A", " " + sealed, sealed * 2, PLAIN]
    for changed in [*(sealed[:length] for length in range(len(sealed))), *longer]:
        memory.write("a", changed, FOR_EVER)
        assert encrypted.read("a") is None


@given(st.text() | st.text().map("keyturn-1.".__add__))
def test_random_string_is_a_miss(entry: str) -> None:
    """An attacker who can write to the store could break every call, or choose the token."""
    memory = MemoryStore()
    memory.write("a", entry, FOR_EVER)

    assert EncryptedStore(memory, KEY).read("a") is None


def test_moved_entries_are_misses(encrypted: EncryptedStore, memory: MemoryStore) -> None:
    """One account would be used with another account's token."""
    encrypted.write("b", "another account's", FOR_EVER)
    first, second = kept(memory, "a"), kept(memory, "b")
    memory.write("a", second, FOR_EVER)
    memory.write("b", first, FOR_EVER)

    assert [encrypted.read("a"), encrypted.read("b")] == [None, None]


def test_changed_entry_is_logged_once_and_without_its_content(
    encrypted: EncryptedStore, memory: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """No user would notice that the store was changed, or that the keys of hosts differ."""
    memory.write("a", PLAIN, FOR_EVER)
    encrypted.read("a")

    assert caplog.record_tuples == [("keyturn.stores", logging.WARNING, WARNING)]


def test_each_write_has_its_own_nonce(encrypted: EncryptedStore, memory: MemoryStore) -> None:
    """Two entries with one nonce would reveal the authentication key."""
    nonces = set()
    for _ in range(500):
        encrypted.write("a", PLAIN, FOR_EVER)
        nonces.add(kept(memory).removeprefix("keyturn-1.")[:16])  # 12 bytes

    assert len(nonces) == 500


def test_key_rotation_loses_no_entries(memory: MemoryStore) -> None:
    """A new key would cost a token request for every account at once."""
    EncryptedStore(memory, KEY).write("a", "old", FOR_EVER)
    both = EncryptedStore(memory, (OTHER_KEY, KEY))
    both.write("b", "new", FOR_EVER)

    assert [both.read("a"), both.read("b")] == ["old", "new"]
    new = EncryptedStore(memory, [OTHER_KEY])
    assert [new.read("a"), new.read("b")] == [None, "new"]
    assert EncryptedStore(memory, KEY).read("b") is None


@pytest.mark.parametrize(
    "key",
    [KEY, f"{KEY}=", KEY.encode(), keyturn.Secret(KEY), [KEY], (keyturn.Secret(KEY), OTHER_KEY)],
    ids=["string", "padded", "bytes", "secret", "list", "several"],
)
def test_every_format_of_a_key_gives_the_same_key(
    encrypted: EncryptedStore, memory: MemoryStore, key: Any
) -> None:
    """The same key from a file and from the environment would not decrypt the same entries."""
    assert EncryptedStore(memory, key).read("a") == encrypted.read("a") == PLAIN


def test_generated_keys_are_random_and_of_256_bits() -> None:
    """A generated key could be guessed, or rejected by keyturn."""
    assert len(base64.urlsafe_b64decode(f"{KEY}=")) == 32
    assert len({EncryptedStore.generate_key() for _ in range(100)}) == 100


STANDARD = base64.b64encode(b"\xfb\xff" * 16).decode()


@pytest.mark.parametrize(
    "wrong",
    [
        KEY[:-1],
        KEY + "A",
        base64.urlsafe_b64encode(b"k" * 16).decode(),
        STANDARD,
        KEY + "\n",
        "s3cret-for-tests",
        KEY[:-1] + "\xe9",
        KEY.encode() + b"\xff",
        keyturn.Secret("s3cret-for-tests"),
        [KEY, "s3cret-for-tests"],
        [KEY, 5],
        [KEY, [OTHER_KEY]],
        b"k" * 32,
        "",
        [],
        [""],
        None,
        {},
    ],
)
def test_invalid_keys_are_rejected_and_not_shown(memory: MemoryStore, wrong: Any) -> None:
    """A truncated key would encrypt weakly, or be logged."""
    with pytest.raises(ConfigurationError) as caught:
        EncryptedStore(memory, wrong)

    assert str(caught.value) == (
        "an encrypted store needs at least one key, and each must be 32 bytes in URL-safe base64. "
        "keyturn.stores.EncryptedStore.generate_key() returns a new key."
    )
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert [frame.name for frame in frames][1:] == ["__init__"]  # and the name of this test
    assert set(frames[-1].locals or {}) == {"self", "store"}


def test_key_is_never_shown(encrypted: EncryptedStore) -> None:
    """A debugger's listing, a pickle or an error report would show the key."""
    raw = base64.urlsafe_b64decode(f"{KEY}=")
    shown = f"{encrypted!r} {encrypted} {vars(encrypted)}"

    assert KEY not in shown
    assert repr(raw) not in shown
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="can't be pickled"):
            pickle.dumps(encrypted, protocol)
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="can't be pickled"):
            copied(encrypted)


def test_failure_of_the_inner_store_is_raised() -> None:
    """keyturn would not notice a failure, and not log it."""

    class Failing(MemoryStore):
        def read(self, key: str) -> str | None:
            raise OSError(5, "made up")

    with pytest.raises(OSError, match="made up"):
        EncryptedStore(Failing(), KEY).read("a")


def test_lock_is_that_of_the_inner_store(encrypted: EncryptedStore, memory: MemoryStore) -> None:
    """Processes with an encrypted store and without would each make a token request."""
    with encrypted.lock("a", 30), pytest.raises(TimeoutError), memory.lock("a", 0.01):
        pass


def test_threads_may_share_an_encrypted_store(memory: MemoryStore) -> None:
    """Threads that share a connection would read other threads' entries, or garbage."""
    store = EncryptedStore(memory, [KEY, OTHER_KEY])
    wrong: list[str | None] = []

    def work(key: str) -> None:
        for number in range(200):
            store.write(key, f"{key}-{number}", FOR_EVER)
            found = store.read(key)
            if found != f"{key}-{number}":
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(f"k{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_file_holds_the_token_or_the_key(disk: DiskStore, directory: Path) -> None:
    """A stolen backup of the directory would hold valid tokens."""
    store = EncryptedStore(disk, KEY)
    for number in range(20):
        store.write(f"token-{number}", PLAIN, 2000)
    with store.lock("token-1", 30):
        disk.close()
    content = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())

    assert content.count(b"keyturn-1.") >= 20
    assert b"made-up-token" not in content
    assert base64.urlsafe_b64encode(PLAIN.encode())[:20] not in content
    assert KEY.encode() not in content


def test_two_connections_share_one_token(tmp_path: Path) -> None:
    """Encryption would cost a token request for each connection."""
    key = EncryptedStore.generate_key()
    with keyturn.testing.Emulator() as emulator:
        tokens = []
        for _ in range(2):
            disk = stores.from_url(f"disk://{tmp_path}/tokens")
            settings = emulator.settings("orocommerce")
            store = stores.EncryptedStore(disk, key)
            with keyturn.connect("orocommerce", store=store, **settings) as connection:
                tokens.append(connection.token().access_token)
        requests = emulator.token_requests("orocommerce")

    assert tokens[0] == tokens[1]
    assert requests == 1
    files = (path for path in (tmp_path / "tokens").rglob("*") if path.is_file())
    assert tokens[0].encode() not in b"".join(path.read_bytes() for path in files)


def test_token_comes_although_nothing_can_be_decrypted(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker with access to the store, or a lost key, would block every caller."""
    first = world.connect(store=EncryptedStore(world.store, KEY)).token()
    store = EncryptedStore(world.store, OTHER_KEY)
    second = world.connect(store=store).token()

    assert [first.access_token, second.access_token] == ["token-1", "token-2"]
    assert world.connect(store=store).token() == second
    assert {record.name for record in caplog.records} == {"keyturn.stores"}
    assert not re.search("token-[12]", caplog.text)


def test_module_exports_its_public_names_only(run_new_python: Callable[..., str]) -> None:
    """All users would wait for an import of cryptography, or a typing error would go unnoticed."""
    assert stores.EncryptedStore is EncryptedStore
    assert "EncryptedStore" in dir(stores)
    with pytest.raises(AttributeError, match=r"module 'keyturn\.stores' has no attribute 'X'"):
        _ = stores.X
    code = "import sys, keyturn; keyturn.stores.from_url; print('cryptography' in sys.modules)"
    assert run_new_python(code, PYTHONPATH=os.environ.get("PYTHONPATH")).strip() == "False"
