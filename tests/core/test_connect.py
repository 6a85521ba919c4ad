"""Opening a connection: what is given beside the settings, and what connections share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import errors, stores
from keyturn._clock import Clock
from keyturn._connection import Connection
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

SHOP: dict[str, Any] = {
    "url": "https://shop.example",
    "client_id": "cid",
    "client_secret": "s3cret-for-tests",
}
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("name", ["margin", "timeout", "wait"])
@pytest.mark.parametrize("value", ["x", None, True, -1, NAN, INF, 1e9, [3]])
def test_odd_option_is_a_mistake_like_any_other(name: str, value: Any) -> None:
    """A wrong number would show up as a raw error, or as a connection that hangs or never waits."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect("orocommerce", **SHOP | {"url": "no", name: value})
    assert [problem.path for problem in caught.value.problems] == ["url", name]


def test_no_timeout_is_a_mistake() -> None:
    """Every token request would fail at once."""
    with pytest.raises(
        errors.ConfigurationError, match="timeout: must be a number of seconds, above 0"
    ):
        keyturn.connect("orocommerce", **SHOP, timeout=0)


class EmptyStore(MemoryStore):
    """A store that counts its entries, and holds none."""

    def __len__(self) -> int:
        return 0


def test_store_without_entries_is_a_store() -> None:
    """A store that is empty, hence false, would be left aside without a word."""
    store = EmptyStore()
    assert keyturn.connect("orocommerce", **SHOP, store=store).renewal.store.store is store


@pytest.mark.parametrize("store", [Path("/var/cache/x"), object(), 7, b"memory://"])
def test_what_is_no_store_is_refused(store: Any) -> None:
    """Tokens would be kept nowhere, with nothing but warnings in the log."""
    with pytest.raises(errors.ConfigurationError, match="is not a token store"):
        keyturn.connect("orocommerce", **SHOP, store=store)


def test_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting KEYTURN_STORE to nothing, the usual way to unset it, would break every connection."""
    monkeypatch.setenv("KEYTURN_STORE", "")
    assert isinstance(keyturn.connect("orocommerce", **SHOP).renewal.store.store, MemoryStore)


def test_same_url_is_the_same_store(tmp_path: Path) -> None:
    """Each of many connections would open the directory, or a pool of sockets, for itself."""
    url = f"disk://{tmp_path}/store"
    one, other = (keyturn.connect("orocommerce", **SHOP, store=url) for _ in range(2))
    assert one.renewal.store.store is other.renewal.store.store


@pytest.mark.parametrize("use", [keyturn.connect, keyturn.provider, keyturn.load_connection])
@pytest.mark.parametrize("name", [None, 5, ["x"]])
def test_name_that_is_no_text_is_told(use: Callable[[Any], object], name: object) -> None:
    """A mistake in a caller's code would raise an error that is not ours."""
    with pytest.raises(errors.ConfigurationError, match=r"a (text|string)"):
        use(name)


def test_store_url_that_is_no_text_is_told() -> None:
    """A mistake in a caller's code would raise an error that is not ours."""
    with pytest.raises(errors.ConfigurationError, match="a text"):
        stores.from_url(5)  # type: ignore[arg-type]


CROWD = """
import sys, threading, keyturn
sys.setswitchinterval(1e-6)
with keyturn.testing.Emulator() as emulator:
    settings = emulator.settings("orocommerce")
    start = threading.Barrier(50)
    def work():
        start.wait()
        keyturn.connect("orocommerce", **settings).token()
    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(emulator.token_requests("orocommerce"))
"""


def test_connections_first_made_in_threads_share_the_memory(run_python: Callable[..., str]) -> None:
    """Each thread of a server would have a store of its own, hence a token of its own."""
    assert run_python(CROWD) == "1"


def test_clock_set_back_hands_no_old_token_to_another_connection() -> None:
    """A token long past its end would be taken out of the memory store again."""
    now, monotonic = 1_800_000_000.0, 50.0
    store = MemoryStore(now=lambda: now, monotonic=lambda: monotonic)
    clock = Clock(time=lambda: now, monotonic=lambda: monotonic, sleep=lambda _: None)
    made = 0

    class Endpoint:
        def send(self, request: object, seconds: float, clock: object) -> keyturn.plugins.Response:
            nonlocal made
            made += 1
            body = b'{"access_token":"t%d","token_type":"Bearer","expires_in":100}' % made
            return keyturn.plugins.Response(200, {"content-type": "application/json"}, body, now)

    plain = keyturn.connect("orocommerce", **SHOP)

    def connection() -> Connection:
        return Connection(
            plain.provider,
            plain.settings,
            store=store,
            clock=clock,
            transport=Endpoint(),  # type: ignore[arg-type]
        )

    assert connection().token().access_token == "t1"
    now, monotonic = now - 50, monotonic + 101
    assert connection().token().access_token == "t2"


def test_token_invalidated_while_it_is_looked_at_stays_forgotten() -> None:
    """A token that another thread has just invalidated would come back, and be handed out again."""
    now = 1_800_000_000.0
    meanwhile: list[Callable[[], None]] = []

    def time() -> float:
        if meanwhile:
            meanwhile.pop()()
        return now

    class Endpoint:
        def send(self, request: object, seconds: float, clock: object) -> keyturn.plugins.Response:
            body = b'{"access_token":"t","token_type":"Bearer","expires_in":100}'
            return keyturn.plugins.Response(200, {"content-type": "application/json"}, body, now)

    plain = keyturn.connect("orocommerce", **SHOP)
    connection = Connection(
        plain.provider,
        plain.settings,
        store=MemoryStore(now=time),
        clock=Clock(time=time, monotonic=lambda: 0.0, sleep=lambda _: None),
        transport=Endpoint(),  # type: ignore[arg-type]
    )
    token = connection.token()
    now += 90  # stale
    meanwhile.append(lambda: connection.invalidate(token))
    connection.token()
    assert connection._manager.held.token is not token  # noqa: SLF001 - what the next call would hand out


class ExitingStore(MemoryStore):
    """A store that ends the program, as a careless plugin may."""

    def read(self, key: str) -> str | None:
        """Exit."""
        raise SystemExit(key)


def test_store_that_exits_costs_a_warning_and_no_token(caplog: pytest.LogCaptureFixture) -> None:
    """A store's `sys.exit` would be blamed on the provider, and no token would come."""
    with keyturn.testing.Emulator() as emulator:
        settings = emulator.settings("orocommerce")
        assert keyturn.connect("orocommerce", **settings, store=ExitingStore()).token()
    assert "ExitingStore failed to read (SystemExit)" in caplog.text
