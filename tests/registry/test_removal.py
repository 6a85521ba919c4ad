"""`Connections.remove`: the entries that it deletes from the store, given only the id."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.registry.conftest import LOOPBACK, OpenStore, Platform

import keyturn
from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, str]
OTHER = {"client_secret": "another-s3cret"}


def of_tenants(store: OpenStore) -> set[str]:
    """Return the keys of a store's entries that belong to a tenant."""
    return {key for key in store.entries if not key.startswith(("fingerprint-key", "rate-limit"))}


def index_key(id: str) -> str:
    """Return the key of an id's entry in the index."""
    return f"connection-{hashlib.sha256(id.encode()).hexdigest()}"


def test_removal_leaves_nothing_of_the_id(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore
) -> None:
    """A tenant's tokens would stay in the store after it has left the platform."""
    first = connections.open("a", platform.provider, row)
    first.token(stale=first.token())  # writes a count of refused tokens
    connections.open("a", platform.provider, row | OTHER).token()
    platform.wrong.add("wr0ng-s3cret")
    with pytest.raises(errors.InvalidClient):
        connections.open("a", platform.provider, row | {"client_secret": "wr0ng-s3cret"}).token()
    connections.open("b", platform.provider, row | {"client_id": "two"}).token()
    others = of_tenants(store)
    assert len(others) >= 9
    connections.remove("a")
    assert "a" not in connections
    assert len(of_tenants(store)) == 3
    assert connections["b"].token()
    connections.remove("b")
    assert of_tenants(store) == set()
    connections.remove("b")
    assert platform.revoked == []


def test_removal_needs_only_the_id(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore
) -> None:
    """A job that deletes tenants would need their secrets."""
    connections.open("a", platform.provider, row).token()
    assert of_tenants(store)
    other = keyturn.Connections(store=store)
    assert "a" not in other
    other.remove("a")
    assert of_tenants(store) == set()


def test_a_shared_token_stays(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore
) -> None:
    """A tenant would lose its token when another tenant with the same account is removed."""
    for id in ("stored it", "found it"):
        connections.open(id, platform.provider, row).token()
    connections.remove("stored it")
    with keyturn.Connections(store=store, policy=LOOPBACK) as fresh:
        fresh.open("found it", platform.provider, row).token()
    assert len(platform.token_requests) == 1
    connections.remove("found it")
    assert of_tenants(store) == set()


def test_a_shared_token_is_not_revoked(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """Another tenant with the same account would get a 401 for a token that is not expired."""
    for id in ("a", "b", "c"):
        connections.open(id, platform.provider, row).token()
    connections.remove("a", revoke=True)
    asyncio.run(connections.aremove("b", revoke=True))
    assert platform.revoked == []
    connections.remove("c", revoke=True)
    assert len(platform.revoked) == 1


def test_a_removed_connection_stores_no_token(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore
) -> None:
    """A request in progress would store a removed tenant's token again."""
    connection = connections.open("a", platform.provider, row)
    platform.gate.clear()
    failed: list[errors.KeyturnError] = []

    def call() -> None:
        try:
            connection.token()
        except errors.KeyturnError as error:
            failed.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert platform.arrived.wait(10)
    connections.remove("a")
    platform.gate.set()
    caller.join(10)
    assert [error.message for error in failed] == ["the connection was removed in the meantime."]
    assert of_tenants(store) == set()
    again = connections.open("a", platform.provider, row)
    assert again.token()
    with pytest.raises(errors.ConfigurationError, match="the connection is closed"):
        connection.token()


def test_removal_waits_for_a_token_request_of_another_process(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore
) -> None:
    """A token that another process is about to store would stay in the store."""
    with keyturn.Connections(store=store, policy=LOOPBACK) as other:
        connection = other.open("a", platform.provider, row)
        token = connection.token()
        platform.gate.clear()
        platform.arrived.clear()
        caller = threading.Thread(target=lambda: connection.token(stale=token))
        caller.start()
        assert platform.arrived.wait(10)
        remover = threading.Thread(target=lambda: connections.remove("a"))
        remover.start()
        remover.join(0.2)
        assert remover.is_alive()
        platform.gate.set()
        remover.join(10)
        caller.join(10)
    assert of_tenants(store) == set()


@pytest.mark.parametrize("isolate", [False, True], ids=["together", "isolated"])
def test_revoking_ends_the_token_at_the_provider(
    connections: keyturn.Connections, platform: Platform, row: Row, isolate: bool
) -> None:
    """A copy of a removed tenant's token would stay valid, or another tenant lose its token."""
    tokens = {
        id: connections.open(id, platform.provider, row, isolate=isolate).token() for id in "ab"
    }
    connections.remove("a", revoke=True)
    assert platform.revoked == ([tokens["a"].access_token] if isolate else [])
    connections.remove("b", revoke=True)
    assert platform.revoked[-1:] == [tokens["b"].access_token]


def test_a_token_that_cannot_be_revoked_is_not_removed(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore
) -> None:
    """A token would stay valid at the provider, and could no longer be revoked."""
    with pytest.raises(errors.ConnectionNotFound):
        connections.remove("a", revoke=True)
    data = platform.data | {"revocation_url": ""}
    connections.open("a", keyturn.plugins.provider_from_data(data), row).token()
    with pytest.raises(errors.ConfigurationError, match="does not support revocation"):
        connections.remove("a", revoke=True)
    assert connections["a"].token()
    assert index_key("a") in store.entries


@pytest.mark.parametrize("operation", ["read", "delete"])
def test_a_failing_store_is_reported_and_removal_can_be_repeated(
    connections: keyturn.Connections,
    platform: Platform,
    row: Row,
    store: OpenStore,
    operation: str,
) -> None:
    """A removal would seem to succeed, although the tenant's tokens are still stored."""
    connections.open("a", platform.provider, row).token()
    store.failing = {operation}
    for _ in range(2):
        with pytest.raises(
            errors.KeyturnError, match=r"a: the token store OpenStore failed"
        ) as got:
            connections.remove("a")
        assert "Remove the connection again" in got.value.hint
    assert "a" not in connections
    store.failing = set()
    connections.remove("a")
    assert of_tenants(store) == set()


def test_an_entry_that_cant_be_decrypted_is_reported(platform: Platform, row: Row) -> None:
    """A process with an old store key would report removed tokens that it cannot decrypt."""
    inner = OpenStore()
    encrypted = keyturn.stores.EncryptedStore
    key = encrypted.generate_key()
    with keyturn.Connections(store=encrypted(inner, key), policy=LOOPBACK) as connections:
        connections.open("tenant-name", platform.provider, row).token()
    assert not any("tenant-name" in text for text in (*inner.entries, *inner.entries.values()))
    wrong = keyturn.Connections(store=encrypted(inner, encrypted.generate_key()))
    with pytest.raises(errors.KeyturnError, match="Remove the connection again"):
        wrong.remove("tenant-name")
    keyturn.Connections(store=encrypted(inner, key)).remove("tenant-name")
    assert of_tenants(inner) == set()


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "no JSON",
        "[" * 5000,
        "[]",
        '{"v": 1}',
        '{"v": 1, "until": {"x": 1}}',
        '{"v": 1, "until": [[7, 1]]}',
        json.dumps({"v": 1, "until": {"a" * 64: 1e300}}),
        json.dumps({"v": 1, "until": {"a" * 64: "1"}}),
    ],
)
def test_a_damaged_index_entry_prevents_no_token(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore, entry: str
) -> None:
    """A damaged index would prevent a tenant's token, or hide its stored tokens."""
    store.write(index_key("a"), entry, time.time() + 60)
    with pytest.raises(errors.KeyturnError, match="tokens may remain"):
        connections.remove("a")
    assert connections.open("a", platform.provider, row).token()
    connections.remove("a")
    assert of_tenants(store) == set()


def test_an_entry_of_another_version_is_replaced(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore
) -> None:
    """Two versions of keyturn could not share a store during a rollout."""
    store.write(index_key("a"), '{"v": 99, "until": 7}', time.time() + 60)
    connections.open("a", platform.provider, row).token()
    connections.remove("a")
    assert of_tenants(store) == set()


def test_the_index_is_bounded_and_loses_no_token(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore
) -> None:
    """A row whose secret changes often would fill the store, or leave tokens in it."""
    for each in range(70):
        connections.open("a", platform.provider, row | {"client_secret": f"s3cret-{each}"}).token()
    listed = json.loads(store.entries[index_key("a")])["until"]
    tokens = {key for key in store.entries if len(key) == 64}
    assert len(listed) == 64
    assert tokens == listed.keys()
    connections.remove("a")
    assert of_tenants(store) == set()


def test_an_index_entry_expires_with_its_tokens(
    connections: keyturn.Connections, platform: Platform, row: Row, store: OpenStore
) -> None:
    """A token would stay in the store when its index entry has expired."""
    connection = connections.open("a", platform.provider, row)
    token = connection.token()
    platform.wrong.add(row["client_secret"])
    with pytest.raises(errors.InvalidClient):
        connection.token(stale=token)  # its cached error response expires earlier
    until = json.loads(store.entries[index_key("a")])["until"]
    assert [*until.values()] == [token.expires_at]


PROCESS = """
import json, sys, keyturn
action, url, data, secret = sys.argv[1:]
provider = keyturn.plugins.provider_from_data(json.loads(data))
store = keyturn.stores.from_url(url)
if action == "encrypted":
    store, action = keyturn.stores.EncryptedStore(store, secret), "remove"
connections = keyturn.Connections(store=store, policy=keyturn.NetworkPolicy(loopback=True))
if action == "remove":
    connections.remove("a")
    sys.exit()
row = {"client_id": "one", "client_secret": secret}
print(connections.open("a", provider, row).token().access_token)
"""


@pytest.fixture(params=["disk", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """Give the URL of a store that processes share."""
    if request.param == "disk":
        return f"disk://{tmp_path}/store"
    found: str = request.getfixturevalue("redis_url")
    return found


def test_another_process_removes_a_tenant(
    run_python: Callable[..., str], platform: Platform, url: str
) -> None:
    """A tenant that one host has removed would still have a token in the shared store."""

    def run(action: str) -> str:
        return run_python(PROCESS, action, url, json.dumps(platform.data), "s3cret-for-tests")

    store = keyturn.stores.from_url(url)
    with keyturn.Connections(store=store, policy=LOOPBACK) as here:
        row = {"client_id": "one", "client_secret": "s3cret-for-tests"}
        connection = here.open("a", platform.provider, row)
        token = connection.token().access_token
        fingerprint = connection.token_request().fingerprint
        assert run("open") == token
        run("remove")
        left = [f"{prefix}{fingerprint}" for prefix in ("", "refused-", "forced-", "sharers-")]
        assert [store.read(key) for key in (*left, index_key("a"))] == [None] * 5
        assert run("open") != token
        assert len(platform.token_requests) == 2
        # As documented, a token in the memory of a process stays usable there.
        assert connection.token().access_token == token
    getattr(store, "close", lambda: None)()
