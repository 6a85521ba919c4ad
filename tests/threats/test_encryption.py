"""An attacker who can write to an encrypted store can't choose a token or break a call."""

from __future__ import annotations

import base64
import json
import sys
import types
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import keyturn
from keyturn._connection import manager_of
from keyturn._tokens.snapshot import EMPTY
from keyturn.stores import EncryptedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from keyturn.stores._base import TokenStore

# Constants, because the names of parametrized tests contain them.
KEY = "YSBtYWRlLXVwIGtleSwgZ29vZCBmb3IgdGVzdHMgMDE"
NEW_KEY = "YSBtYWRlLXVwIGtleSwgZ29vZCBmb3IgdGVzdHMgMDI"
FOR_EVER = float("inf")


@pytest.fixture(scope="module")
def emulator() -> Iterator[keyturn.testing.Emulator]:
    """Yield an emulator that responds to each request."""
    with keyturn.testing.Emulator(rate_limits=False) as running:
        yield running


@pytest.fixture(scope="module")
def open_side(
    emulator: keyturn.testing.Emulator,
) -> Callable[[TokenStore, str], keyturn.Connection]:
    """Return a function that opens a connection for one client."""

    def open_connection(store: TokenStore, side: str) -> keyturn.Connection:
        settings = emulator.settings("orocommerce", side=side)
        return keyturn.connect("orocommerce", store=store, **settings)

    return open_connection


def owner(token: keyturn.Token) -> str:
    """Return the client id that a token names."""
    payload = token.access_token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(f"{payload}==="))
    client: str = claims["aud"]
    return client


def client_of(connection: keyturn.Connection) -> str:
    """Return the client id of a connection."""
    client: str = json.loads(connection.token_request().body)["client_id"]
    return client


# --- sources of the key ---


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the key into a keyring."""
    module = types.ModuleType("keyring")
    entries = {("keyturn", "store"): KEY}
    module.get_password = lambda *entry: entries.get(entry)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)


@pytest.mark.usefixtures("keyring")
def test_key_from_any_source_opens_the_same_entries(
    emulator: keyturn.testing.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key from a file, a command or a keyring would decrypt nothing written by the others."""
    monkeypatch.setenv("MADE_UP_KEY", KEY)
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\n", encoding="utf-8")
    key_file.chmod(0o600)
    sources = [
        '{ keyring = "keyturn/store" }',
        '{ env = "MADE_UP_KEY" }',
        f'{{ file = "{key_file}" }}',
        f'{{ command = ["cat", "{key_file}"] }}',
        f'["{NEW_KEY}", {{ keyring = "keyturn/store" }}]',
    ]
    settings = emulator.settings("orocommerce") | {
        "provider": "orocommerce",
        "store": f"disk://{tmp_path}/tokens",
    }
    lines = [f'{name} = "{value}"' for name, value in settings.items()]
    path = tmp_path / "keyturn.toml"
    before = emulator.token_requests("orocommerce")
    tokens = set()
    for source in sources:
        configuration = "\n".join([f"store_key = {source}", "[connections.oro]", *lines])
        path.write_text(configuration, encoding="utf-8")
        path.chmod(0o600)
        with keyturn.load_connection("oro", config=path) as connection:
            tokens.add(connection.token().access_token)

    assert len(tokens) == 1
    assert emulator.token_requests("orocommerce") == before + 1
    files = [each for each in (tmp_path / "tokens").rglob("*") if each.is_file()]
    content = b"".join(each.read_bytes() for each in files)
    assert b"keyturn-1." in content
    assert tokens.pop().encode() not in content
    assert KEY.encode() not in content


def test_rotation_costs_no_token_request(
    emulator: keyturn.testing.Emulator,
    open_side: Callable[[TokenStore, str], keyturn.Connection],
) -> None:
    """A new key would cost a token request for every account at once, or never be used."""
    memory = keyturn.stores.from_url("memory://")
    before = emulator.token_requests("orocommerce")
    old = open_side(EncryptedStore(memory, KEY), "backoffice").token()
    both = EncryptedStore(memory, [NEW_KEY, KEY])
    assert open_side(both, "backoffice").token() == old
    renewed = open_side(both, "backoffice").token(stale=old)

    # The next entry is encrypted with the new key alone.
    assert open_side(EncryptedStore(memory, NEW_KEY), "backoffice").token() == renewed
    assert emulator.token_requests("orocommerce") == before + 2
    assert open_side(EncryptedStore(memory, KEY), "backoffice").token() != renewed


# --- an attacker who can write to the store ---


@pytest.fixture(scope="module")
def sealed(open_side: Callable[[TokenStore, str], keyturn.Connection]) -> dict[str, str]:
    """Return all entries of an encrypted store, after a token of each client was obtained."""
    memory = keyturn.stores.from_url("memory://")
    store = EncryptedStore(memory, KEY)
    connections = [open_side(store, side) for side in ("backoffice", "storefront")]
    for connection in connections:
        assert owner(connection.token()) == client_of(connection)
    keys = [connection.token_request().fingerprint for connection in connections]
    entries = {key: memory.read(key) for key in keys}
    assert all(entries.values())
    return {key: entry for key, entry in entries.items() if entry is not None}


def tampered_store(entries: dict[str, str]) -> TokenStore:
    """Return an encrypted store with entries that an attacker has replaced."""
    memory = keyturn.stores.from_url("memory://")
    for key, entry in entries.items():
        memory.write(key, entry, FOR_EVER)
    return EncryptedStore(memory, KEY)


def test_tampered_entry_is_a_miss(
    emulator: keyturn.testing.Emulator,
    open_side: Callable[[TokenStore, str], keyturn.Connection],
    sealed: dict[str, str],
) -> None:
    """An attacker who can write to the store could change a token, its scope or its expiry."""

    @given(st.data())
    def check(data: st.DataObject) -> None:
        key, entry = next(iter(sealed.items()))
        place = data.draw(st.integers(0, len(entry) - 1))
        changed = chr(ord(entry[place]) ^ (1 << data.draw(st.integers(0, 6))))
        store = tampered_store({key: entry[:place] + changed + entry[place + 1 :]})
        connection = open_side(store, "backoffice")
        assert manager_of(connection).peek() is EMPTY
        before = emulator.token_requests("orocommerce")
        assert owner(connection.token()) == client_of(connection)
        assert emulator.token_requests("orocommerce") == before + 1

    check()


def test_untouched_entry_is_a_hit(
    emulator: keyturn.testing.Emulator,
    open_side: Callable[[TokenStore, str], keyturn.Connection],
    sealed: dict[str, str],
) -> None:
    """The other tests here would pass for a store that never finds anything."""
    before = emulator.token_requests("orocommerce")
    for side in ("backoffice", "storefront"):
        connection = open_side(tampered_store(sealed), side)
        assert owner(connection.token()) == client_of(connection)

    assert emulator.token_requests("orocommerce") == before


def test_swapped_entries_are_misses(
    emulator: keyturn.testing.Emulator,
    open_side: Callable[[TokenStore, str], keyturn.Connection],
    sealed: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One account would be used with another account's token."""
    store = tampered_store(dict(zip(sealed, reversed(sealed.values()), strict=True)))
    before = emulator.token_requests("orocommerce")
    for side in ("backoffice", "storefront"):
        connection = open_side(store, side)
        assert owner(connection.token()) == client_of(connection)

    assert emulator.token_requests("orocommerce") == before + 2
    assert caplog.text.count("was changed, or encrypted with another key") >= 2


def test_entry_of_another_kind_is_a_miss(
    open_side: Callable[[TokenStore, str], keyturn.Connection], sealed: dict[str, str]
) -> None:
    """A token in place of a cached error or a rate limit would block every caller."""
    key, entry = next(iter(sealed.items()))
    elsewhere = {f"{prefix}-{key}": entry for prefix in ("refused", "forced", "rate_limit")}
    connection = open_side(tampered_store(elsewhere), "backoffice")

    assert owner(connection.token()) == client_of(connection)


@given(st.text(max_size=40))
def test_unencrypted_entry_is_a_miss(malicious_string: str) -> None:
    """An attacker who can write to the store could choose the token by not encrypting it."""
    settings = {"client_id": "cid", "client_secret": "made-up", "url": "https://shop.example"}
    key = keyturn.connect("orocommerce", **settings).token_request().fingerprint
    entry = {
        "fingerprint": key,
        "access_token": "malicious",
        "token_type": "Bearer",
        "expires_at": 9e9,
        "issued_at": 1.0,
    }
    for each in (json.dumps(entry), f"keyturn-1.{json.dumps(entry)}", malicious_string):
        with keyturn.connect(
            "orocommerce", store=tampered_store({key: each}), **settings
        ) as connection:
            assert manager_of(connection).peek() is EMPTY
