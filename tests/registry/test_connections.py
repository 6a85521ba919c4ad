"""`keyturn.Connections`: opening, looking up, replacing, closing, events and status."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.registry.conftest import LOOPBACK, OpenStore, Platform

import keyturn
from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, str]
OTHER = {"client_secret": "another-s3cret"}


def test_an_unchanged_row_gives_the_same_connection(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """Each job of a platform would request its own token."""
    first = connections.open("a", platform.provider, row, timeout=5)
    assert connections.open("a", platform.provider, dict(row), timeout=5) is first
    assert connections.open("a", platform.provider, platform.provider.settings(**row), timeout=5)
    assert connections["a"] is first
    assert isinstance(first, keyturn.Connection)
    assert platform.token_requests == []
    assert first.token() is connections["a"].token()
    assert platform.token_requests == [("one", row["client_secret"])]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": OTHER},
        {"options": {"timeout": 7}},
        {"options": {"name": "another"}},
        {"options": {"isolate": True}},
        {"provider": "orocommerce", "settings": {"url": "https://shop.example"}},
    ],
    ids=str,
)
def test_a_changed_row_replaces_the_connection(
    connections: keyturn.Connections, platform: Platform, row: Row, change: dict[str, Any]
) -> None:
    """A new secret, timeout or provider in the database would have no effect."""
    first = connections.open("a", platform.provider, row)
    settings = row | change.get("settings", {})
    provider = change.get("provider", platform.provider)
    second = connections.open("a", provider, settings, **change.get("options", {}))
    assert second is not first
    assert connections["a"] is second
    assert len(connections) == 1


def test_a_stored_connection_object_follows_its_row(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """An application that keeps the object would use a rotated secret forever."""
    first = connections.open("a", platform.provider, row)
    assert platform.owner(first.token()) == ("one", row["client_secret"])
    second = connections.open("a", platform.provider, row | OTHER)
    third = connections.open("a", platform.provider, row | {"client_secret": "third"}, name="c")
    assert {platform.owner(each.token()) for each in (first, second, third)} == {("one", "third")}
    assert first.headers() == third.headers()
    assert first.name == second.name == third.name == "c"
    assert first.settings == third.settings
    assert len(platform.token_requests) == 2
    connections.close("a")
    for each in (first, second, third):
        with pytest.raises(errors.ConfigurationError, match="the connection is closed"):
            each.token()


def test_a_call_in_progress_finishes_on_the_old_connection(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """Requests in progress would fail when their row is replaced."""
    first = connections.open("a", platform.provider, row)
    platform.gate.clear()
    got: list[keyturn.Token] = []
    caller = threading.Thread(target=lambda: got.append(first.token()))
    caller.start()
    assert platform.arrived.wait(10)
    second = connections.open("a", platform.provider, row | OTHER)
    platform.gate.set()
    caller.join(10)
    assert [platform.owner(token) for token in got] == [("one", row["client_secret"])]
    assert platform.owner(first.token()) == ("one", OTHER["client_secret"])
    assert second.token() is first.token()


def test_an_adapter_follows_its_row(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """A long-lived HTTP client would need a restart of the process for a new secret."""
    auth = keyturn.integrations.httpx.KeyturnAuth(connections.open("a", platform.provider, row))
    with httpx.Client(base_url=platform.url, auth=auth) as client:
        assert client.get("/api").json() == {"owner": ["one", row["client_secret"]]}
        connections.open("a", platform.provider, row | OTHER)
        assert client.get("/api").json() == {"owner": ["one", OTHER["client_secret"]]}

    async def use() -> Any:
        async with httpx.AsyncClient(base_url=platform.url, auth=auth) as client:
            await client.get("/api")
            connections.open("a", platform.provider, row | {"client_secret": "third"})
            return (await client.get("/api")).json()

    assert asyncio.run(use()) == {"owner": ["one", "third"]}


def test_an_adapter_sends_no_token_to_the_api_of_another_row(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """The host of the old row would get the token of the new one."""
    elsewhere = row | {"base": "https://elsewhere.example"} | OTHER
    connection = connections.open("a", platform.provider, row)
    auth = keyturn.integrations.RequestAuth(connection)
    flow = keyturn.integrations.httpx.KeyturnAuth(connection)
    sent = auth.authorize("GET", f"{platform.url}/api", {})
    asent = asyncio.run(auth.aauthorize("GET", f"{platform.url}/api", {}))
    with httpx.Client(base_url=platform.url, auth=flow) as client:
        assert client.get("/api").status_code == 200
        connections.open("a", platform.provider, elsewhere)
        with pytest.raises(errors.ForeignOrigin):
            client.get("/api")
    with pytest.raises(errors.ForeignOrigin):
        auth.authorize("GET", f"{platform.url}/api", {})
    with pytest.raises(errors.ForeignOrigin):
        asyncio.run(auth.aauthorize("GET", f"{platform.url}/api", {}))
    assert auth.reauthorize(sent, 401, {}, b"") is None
    assert asyncio.run(auth.areauthorize(asent, 401, {}, b"")) is None
    assert len(platform.token_requests) == 1


def test_a_refused_request_is_repeated_with_the_token_of_the_new_row(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """A request in progress would fail when its secret is rotated."""
    auth = keyturn.integrations.RequestAuth(connections.open("a", platform.provider, row))
    sent = auth.authorize("GET", f"{platform.url}/api", {})
    connections.open("a", platform.provider, row | OTHER)
    again = auth.reauthorize(sent, 401, {}, b"")
    assert again is not None
    assert platform.owner(again.token) == ("one", OTHER["client_secret"])
    assert auth.reauthorize(sent, 403, {}, b"") is None


def test_connections_are_looked_up_as_in_a_mapping(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """Code that uses `Connections` as a mapping would fail."""
    for each in ("c", "a", "b"):
        connections.open(each, platform.provider, row)
    connections.open("c", platform.provider, row | OTHER)
    assert ([*connections], len(connections)) == (["c", "a", "b"], 3)
    for each in connections:  # connections may be removed during the iteration
        connections.close(each)
    assert "a" not in connections
    assert 7 not in connections
    with pytest.raises(KeyError) as caught:
        connections["a\x1b[2J"]
    assert isinstance(caught.value, errors.ConfigurationError)
    assert "no connection with the id 'a\\x1b[2J' is open" in str(caught.value)


def test_closed_connections_open_no_other(store: OpenStore, platform: Platform, row: Row) -> None:
    """A job that runs after the shutdown would open connections that are never closed."""
    with keyturn.Connections(store=store, policy=LOOPBACK) as connections:
        first = connections.open("a", platform.provider, row)
        second = connections.open("b", platform.provider, row)
        first.token()
        connections.close("a")
        connections.close("never opened")
        assert connections.open("a", platform.provider, row) is not first
        assert second.token()
    assert len(connections) == 0
    assert "0 open" in repr(connections)
    with pytest.raises(errors.ConfigurationError, match="the connection is closed"):
        second.token()
    with pytest.raises(errors.ConfigurationError, match="the connections are closed"):
        connections.open("a", platform.provider, row)
    assert len(platform.token_requests) == 1


def test_the_async_methods_do_the_same(platform: Platform, store: OpenStore, row: Row) -> None:
    """An asynchronous platform would have to block its loop to remove a tenant."""

    async def use() -> keyturn.Connections:
        async with keyturn.Connections(store=store, policy=LOOPBACK) as connections:
            await connections.open("a", platform.provider, row).atoken()
            connections.open("b", platform.provider, row | OTHER)
            await connections.aclose("b")
            assert [*connections] == ["a"]
            await connections.aremove("a", revoke=True)
            assert (len(platform.revoked), len(connections)) == (1, 0)
        return connections

    with pytest.raises(errors.ConfigurationError, match="the connections are closed"):
        asyncio.run(use()).open("a", platform.provider, row)


@pytest.mark.parametrize("wrong", ["", "a" * 257, 7, None], ids=repr)
def test_an_id_is_a_short_string(
    connections: keyturn.Connections, platform: Platform, row: Row, wrong: Any
) -> None:
    """The integer 1 and the string "1" would be two connections."""
    with pytest.raises(errors.ConfigurationError, match="a string of 1 to 256 characters"):
        connections.open(wrong, platform.provider, row)
    with pytest.raises(errors.ConfigurationError, match="a string of 1 to 256 characters"):
        connections.remove(wrong)


@pytest.mark.parametrize("odd", ["a\nb\x1b[2J", "\u202eevil", "\ud800", "x" * 256, "ünï"])
def test_an_id_may_have_any_characters(
    connections: keyturn.Connections, platform: Platform, row: Row, odd: str
) -> None:
    """A tenant's name could forge log lines, or the tenant could not be removed."""
    platform.wrong.add(row["client_secret"])
    connection = connections.open(odd, platform.provider, row)
    with pytest.raises(errors.InvalidClient) as caught:
        connection.token()
    assert str(caught.value).isprintable()
    assert connections[odd] is connection
    connections.remove(odd)
    assert odd not in connections


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"store": "memory://"}, "store is the same for all connections"),
        ({"policy": LOOPBACK}, "policy is the same for all connections"),
        ({"timeout": -1, "wait": "7"}, "have 2 mistake"),
        ({"timeuot": 7}, "Did you mean timeout"),
        ({"on_event": 7}, "on_event: must be callable"),
    ],
    ids=str,
)
def test_a_wrong_option_keeps_the_open_connection(
    connections: keyturn.Connections,
    platform: Platform,
    row: Row,
    arguments: dict[str, Any],
    message: str,
) -> None:
    """A mistake in a changed row would close a connection that works."""
    first = connections.open("a", platform.provider, row)
    with pytest.raises(errors.ConfigurationError, match=message):
        connections.open("a", platform.provider, row | OTHER, **arguments)
    assert connections["a"] is first
    assert platform.owner(first.token()) == ("one", row["client_secret"])


def test_a_provider_name_is_never_read_as_a_path(
    connections: keyturn.Connections, row: Row
) -> None:
    """An end user could make keyturn read a file on the server as a provider."""
    for name in ("./acme.toml", "/etc/passwd"):
        with pytest.raises(errors.ProviderNotFound):
            connections.open("a", name, row)


def test_wrong_arguments_are_refused() -> None:
    """A wrong policy would fail only when the first tenant is opened, or never."""
    wrong: dict[str, Any] = {"policy": None}
    with pytest.raises(errors.ConfigurationError, match=r"must be a keyturn\.NetworkPolicy"):
        keyturn.Connections(**wrong)
    wrong = {"on_event": 7}
    with pytest.raises(errors.ConfigurationError, match="must be callable"):
        keyturn.Connections(**wrong)


def test_a_form_is_checked_under_the_policy(platform: Platform, row: Row) -> None:
    """A form would be accepted, but its connection refused when it is opened."""
    strict, open_ = keyturn.Connections(), keyturn.Connections(policy=LOOPBACK)
    assert open_.problems(platform.provider, row) == []
    assert [each.path for each in open_.problems(platform.provider, {})] == [
        "client_id",
        "client_secret",
    ]
    found = strict.problems(platform.provider, row)
    assert found
    with pytest.raises(errors.ConfigurationError) as caught:
        strict.open("a", platform.provider, row)
    assert [*caught.value.problems] == found


def test_events_name_the_id(platform: Platform, row: Row) -> None:
    """A platform could not see which tenant has a wrong secret."""
    got: list[keyturn.Event] = []
    own: list[keyturn.Event] = []
    with keyturn.Connections(store="memory://", policy=LOOPBACK, on_event=got.append) as found:
        found.open("a", platform.provider, row).token()
        found.open("b", platform.provider, row, isolate=True, on_event=own.append).token()
    for _ in range(1000):
        if got and own:
            break
        threading.Event().wait(0.01)
    assert ([each.connection for each in got], [each.connection for each in own]) == (["a"], ["b"])


def test_status_shows_every_connection_without_a_request(
    connections: keyturn.Connections,
    platform: Platform,
    row: Row,
    monkeypatch: pytest.MonkeyPatch,
    store: OpenStore,
) -> None:
    """A status page would request tokens, show secrets, or hide failures."""
    wrong = {"client_id": "two", "client_secret": "wr0ng-s3cret"}
    platform.wrong.add(wrong["client_secret"])
    good = connections.open("good", platform.provider, row)
    bad = connections.open("bad", platform.provider, wrong)
    connections.open("new", platform.provider, row)
    good.token()
    with pytest.raises(errors.InvalidClient):
        bad.token()
    requests = len(platform.token_requests)
    store.failing = {"read", "write", "delete"}
    one, two, three = connections.status()
    assert (one.id, one.provider, one.state, one.last_error) == ("good", "acme", "fresh", None)
    assert one.seconds_left is not None
    assert 3000 < one.seconds_left < 3600
    assert (two.id, two.state, two.seconds_left) == ("bad", "none", None)
    assert (two.last_error or "").startswith("InvalidClient: ")
    assert (three.id, three.state, three.last_error) == ("new", "none", None)
    shown = repr([one, two, three])
    assert not any(text in shown for text in (row["client_secret"], "wr0ng", "made-up-token"))
    assert len(platform.token_requests) == requests

    manager = good._manager  # noqa: SLF001 - the test changes its clock
    moment = manager.now()
    for elapsed, state in ((3500, "stale"), (3700, "expired")):
        monkeypatch.setattr(manager, "now", lambda elapsed=elapsed: moment + elapsed)
        shown = connections.status()[0]
        assert shown.state == state
    assert shown.seconds_left == 0.0


def test_the_last_error_is_cleared_by_the_next_token(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """A status page would show a failure that has ended."""
    platform.wrong.add(row["client_secret"])
    connection = connections.open("a", platform.provider, row)
    with pytest.raises(errors.InvalidClient):
        connection.token()
    platform.wrong.clear()
    connection.forget()
    connection.token()
    assert [each.last_error for each in connections.status()] == [None]


def test_equal_credentials_share_a_token_unless_isolated(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """Tenants that must be isolated would share a token, or other tenants would not."""
    shared = {connections.open(id, platform.provider, row).token().access_token for id in "ab"}
    assert len(shared) == 1
    apart = {
        connections.open(id, platform.provider, row, isolate=True).token().access_token
        for id in "cd"
    }
    assert len(shared | apart) == 3
    again = connections.open("c", platform.provider, row)
    assert {again.token().access_token} == shared


def test_an_error_response_is_not_shared_with_an_isolated_connection(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """One tenant's error response could prevent another tenant's token."""
    platform.wrong.add(row["client_secret"])
    for id in "ab":
        with pytest.raises(errors.InvalidClient):
            connections.open(id, platform.provider, row, isolate=True).token()
    assert len(platform.token_requests) == 2


def test_threads_that_open_the_same_row_get_one_connection(
    connections: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """Two jobs of one tenant would each have their own token."""
    barrier = threading.Barrier(8)
    got: list[keyturn.Connection] = []

    def job() -> None:
        barrier.wait(10)
        got.extend(connections.open(f"tenant-{each}", platform.provider, row) for each in range(20))

    threads = [threading.Thread(target=job) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(got), len({id(each) for each in got}), len(connections)) == (160, 20, 20)


def test_a_child_forked_while_another_thread_opens_can_open(
    run_python: Callable[..., str], platform: Platform
) -> None:
    """A worker of a forking server would hang at its first tenant."""
    code = """
import json, os, sys, keyturn
provider = keyturn.plugins.provider_from_data(json.loads(sys.argv[1]))
connections = keyturn.Connections(store="memory://", policy=keyturn.NetworkPolicy(loopback=True))
row = {"client_id": "x", "client_secret": "made-up"}
connections.open("a", provider, row)
with connections._lock.get():
    child = os.fork()
    if not child:
        assert connections.open("b", provider, row).token()
        assert [*connections] == ["a", "b"]
        os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert [*connections] == ["a"]
"""
    run_python(code, json.dumps(platform.data))
    assert len(platform.token_requests) == 1


class Racing(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
    """A provider whose code calls a function while a connection is made."""

    name = "racing"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://login.acme.example/token"
    meanwhile: Callable[[], object] | None = None

    def token_request(
        self, settings: keyturn.plugins.ConfidentialSettings
    ) -> keyturn.plugins.TokenRequest:
        """Return the usual token request after the call."""
        todo, self.meanwhile = self.meanwhile, None
        if todo:
            todo()
        return super().token_request(settings)


@pytest.fixture
def permissive(store: OpenStore) -> keyturn.Connections:
    """Give connections that call a provider's code only when they are made, not for a policy."""
    policy = keyturn.NetworkPolicy(
        private_addresses=True, loopback=True, address_settings=True, file_settings=True
    )
    return keyturn.Connections(store=store, policy=policy)


@pytest.mark.parametrize("was_open", [False, True])
def test_a_row_that_another_thread_opens_meanwhile_is_replaced(
    permissive: keyturn.Connections, row: Row, was_open: bool
) -> None:
    """The other thread's connection object would use its old row forever."""
    provider = Racing()
    if was_open:
        permissive.open("a", provider, row | {"client_id": "before"})
    other: list[keyturn.Connection] = []
    provider.meanwhile = lambda: other.append(permissive.open("a", provider, row | OTHER))
    found = permissive.open("a", provider, row)
    assert permissive["a"] is found
    assert other[0].settings == found.settings == provider.settings(**row)


def test_a_connection_that_is_removed_while_it_is_opened_can_store_tokens(
    permissive: keyturn.Connections, platform: Platform, row: Row
) -> None:
    """A tenant that is opened again would never get a token."""

    class Acme(Racing):
        name = "acme"
        token_url = f"{platform.url}/token"
        client_authentication = "client_secret_basic"

    provider = Acme()
    provider.meanwhile = lambda: permissive.remove("a")
    connection = permissive.open("a", provider, row)
    assert permissive["a"] is connection
    assert connection.token()


def test_connections_that_are_closed_during_an_open_open_no_other(
    permissive: keyturn.Connections, row: Row
) -> None:
    """A connection would stay open after the shutdown."""
    provider = Racing()
    provider.meanwhile = permissive.close
    with pytest.raises(errors.ConfigurationError, match="the connections are closed"):
        permissive.open("a", provider, row)
    assert len(permissive) == 0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_connections_refuse_to_be_copied(
    connections: keyturn.Connections, copied: Callable[[object], object]
) -> None:
    """A copy would fail later with an unclear error."""
    with pytest.raises(TypeError, match="create them in each process"):
        copied(connections)
