"""A failing store causes a warning and a token request, and no other failure."""

from __future__ import annotations

import contextlib
import gc
import json
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from keyturn import errors
from keyturn._rate_limit import RateLimit
from keyturn.stores import _resilient as resilient
from keyturn.stores._memory import MemoryStore
from keyturn.stores._resilient import ResilientStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import World


class BrokenStore(MemoryStore):
    """A store whose chosen operations fail, with an entry in the error message."""

    def __init__(self, now: Callable[[], float], broken: set[str]) -> None:
        super().__init__(now)
        self.broken = broken

    def adopt(self, other: MemoryStore) -> None:
        """Copy the entries of another store."""
        self._entries = dict(other._entries)  # noqa: SLF001 - as another process does

    def _check(self, operation: str, *values: object) -> None:
        if operation in self.broken:
            raise RuntimeError(repr(values))

    def read(self, key: str) -> str | None:
        """Read, or fail."""
        self._check("read", key)
        return super().read(key)

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write, or fail."""
        self._check("write", key, entry, expires_at)
        super().write(key, entry, expires_at)

    def delete(self, key: str) -> None:
        """Delete, or fail."""
        self._check("delete", key)
        super().delete(key)

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Iterator[None]:
        """Lock, or fail before or after."""
        self._check("lock", key)
        with super().lock(key, lease):
            yield
        self._check("unlock", key)


TOKEN = {"access_token": "t0k-short", "token_type": "Bearer", "expires_in": 3600}
OPERATIONS = ["read", "write", "delete", "lock", "unlock"]


@pytest.mark.parametrize(
    "broken", [*({each} for each in OPERATIONS), set(OPERATIONS)], ids=[*OPERATIONS, "all"]
)
def test_failing_store_is_logged_and_the_token_is_returned(
    world: World, caplog: pytest.LogCaptureFixture, broken: set[str]
) -> None:
    """With a full disk, every call would fail."""
    store = BrokenStore(lambda: world.clock.now, broken)
    connection = world.connect(store=store)
    first = connection.token()
    second = connection.token(stale=first)
    connection.invalidate(second)
    connection.forget()

    assert (first.access_token, second.access_token) == ("token-1", "token-2")
    assert connection.token().access_token == "token-3"
    assert "BrokenStore failed to" in caplog.text
    assert "token-1" not in caplog.text
    assert "token-2" not in caplog.text


def test_invalid_entry_of_a_store_is_a_miss(world: World) -> None:
    """A third-party store could make keyturn crash, or use a value that is not a token."""

    class RubbishStore(MemoryStore):
        def read(self, key: str) -> Any:
            return {"access_token": key}

    store = RubbishStore(lambda: world.clock.now)
    assert world.connect(store=store).token().access_token == "token-1"
    assert ResilientStore(store).read("a") is None


def test_log_has_the_system_message_of_a_store_error(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The log would not say why the store failed."""

    class FullStore(MemoryStore):
        def write(self, key: str, entry: str, expires_at: float) -> None:
            raise OSError(28, "No space left on device", "/somewhere/secret-name")

    world.connect(store=FullStore(lambda: world.clock.now)).token()
    assert "failed to write (OSError: No space left on device)" in caplog.text


def test_message_of_a_third_party_store_shows_no_entry_and_no_password(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A store's own error, or its URL, would put a token or a password into the log."""

    class Quoting(MemoryStore):
        location = "acme://user:s3cret@db.example/tokens"

        def write(self, key: str, entry: str, expires_at: float) -> None:
            token = json.loads(entry).get("access_token", "")
            raise OSError(5, f"can't put {token} into {entry} at {self.location}\x1b[2J\nforged")

    world.endpoint.responses.append(world.endpoint.response(200, TOKEN))
    world.connect(store=Quoting(lambda: world.clock.now)).token()
    assert "failed to write (OSError: can't put [hidden] into" in caplog.text
    assert "acme://[hidden]@db.example/tokens" in caplog.text
    assert re.findall("t0k-short|s3cret|\x1b|\nforged", caplog.text) == []


def test_outage_is_logged_once_with_the_store_and_the_cause(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage would log a line for each operation, or not say which store failed."""

    class Down(BrokenStore):
        location = "/var/cache/shop"

        def _check(self, operation: str, *values: object) -> None:
            if operation in self.broken:
                raise OSError(30, "Read-only file system")

    store = Down(lambda: world.clock.now, {"write", "lock"})
    connection = world.connect(store=store)
    token = connection.token()
    for _ in range(3):
        token = world.connect(store=store).token(stale=token)
    reported = "the token store Down /var/cache/shop failed to"
    assert caplog.text.count(reported) == 1
    assert "(OSError: Read-only file system); continuing without the store" in caplog.text
    assert "works again" not in caplog.text

    store.broken = set()
    world.connect(store=store).token(stale=token)
    assert caplog.text.count("the token store Down /var/cache/shop works again") == 1
    store.broken = {"lock", "write", "read"}
    connection.forget()
    connection.token()
    assert caplog.text.count(reported) == 2


OUTAGES = [{"read"}, {"write"}, {"lock"}, set(OPERATIONS)]


@pytest.fixture
def present(world: World) -> World:
    """Give a world at the present time, because the memory of a process uses the system clock."""
    world.clock.now = time.time()
    return world


@pytest.mark.parametrize("broken", OUTAGES, ids=["read", "write", "lock", "all"])
def test_process_keeps_the_rate_limit_without_its_store(present: World, broken: set[str]) -> None:
    """With a full disk, each process would exceed the rate limit, and the host block its client."""
    provider = present.changed(rate_limit=RateLimit(per_minute=3, burst=5))
    store = BrokenStore(lambda: present.clock.now, broken)
    outcomes = []
    for number in range(8):
        connection = present.connect(provider, store=store, client_id=str(number))
        try:
            outcomes.append(connection.token().access_token)
        except errors.RateLimited as limited:
            outcomes.append(limited.retry_after)

    assert outcomes == [*(f"token-{number}" for number in range(1, 6)), 20.0, 20.0, 20.0]
    assert len(present.endpoint.requests) == 5


@pytest.mark.parametrize("broken", OUTAGES, ids=["read", "write", "lock", "all"])
def test_error_response_is_cached_without_the_store(present: World, broken: set[str]) -> None:
    """With a full disk, a wrong secret would be sent again at each call."""
    store = BrokenStore(lambda: present.clock.now, broken)
    present.endpoint.refuse()
    for _ in range(3):
        with pytest.raises(errors.InvalidClient):
            present.connect(store=store).token()

    assert len(present.endpoint.requests) == 1


def test_hundred_threads_make_one_request_without_the_store(present: World) -> None:
    """A cold start with a dead store would send a token request for each thread."""
    store = BrokenStore(lambda: present.clock.now, set(OPERATIONS))
    tokens: list[str] = []
    barrier = threading.Barrier(100)

    def ask() -> None:
        connection = present.connect(store=store)
        barrier.wait()
        tokens.append(connection.token().access_token)

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert tokens == ["token-1"] * 100
    assert len(present.endpoint.requests) == 1


def test_locks_exclude_threads_without_the_store(present: World) -> None:
    """Several threads would each use the last request of a rate limit."""
    store = ResilientStore(BrokenStore(lambda: present.clock.now, {"lock"}))
    inside = 0
    seen = []

    def work() -> None:
        nonlocal inside
        for _ in range(5):
            with store.lock("a", 30):
                inside += 1
                seen.append(inside)
                pause.wait(0.0002)
                inside -= 1

    pause = threading.Event()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == [1] * 20


def test_recovered_store_counts_the_requests_sent_during_the_outage(present: World) -> None:
    """After an outage, keyturn would allow the requests of the rate limit a second time."""
    provider = present.changed(rate_limit=RateLimit(per_minute=3, burst=5))
    store = BrokenStore(lambda: present.clock.now, set())
    other = present.connect(provider, store=store, client_id="other")
    store.broken = {"write"}
    for number in range(3):
        present.connect(provider, store=store, client_id=str(number)).token()
    store.broken = set()
    other.token()
    # Another process does not share this process's memory.
    elsewhere = _copy(store, present)
    present.connect(provider, store=elsewhere, client_id="elsewhere").token()
    with pytest.raises(errors.RateLimited):
        present.connect(provider, store=elsewhere, client_id="more").token()
    assert len(present.endpoint.requests) == 5


def test_requests_of_other_processes_count_after_an_outage(present: World) -> None:
    """The process whose store failed would overwrite the count of the others' requests."""
    provider = present.changed(rate_limit=RateLimit(per_minute=3, burst=5))
    store = BrokenStore(lambda: present.clock.now, {"write"})
    present.connect(provider, store=store, client_id="mine").token()
    store.broken = set()
    spent = _copy(store, present)
    for number in range(4):
        present.connect(provider, store=spent, client_id=str(number)).token()
    store.adopt(spent)
    present.connect(provider, store=store, client_id="last").token()

    with pytest.raises(errors.RateLimited):
        present.connect(provider, store=store, client_id="more").token()


def test_recovered_store_is_read_again(present: World) -> None:
    """A process would continue with its own copy, and not see tokens that others renewed."""
    broken = BrokenStore(lambda: present.clock.now, {"write", "read"})
    store = ResilientStore(broken)
    store.write("a", "mine", present.clock.now + 60)
    assert store.read("a") == "mine"
    broken.broken = set()
    store.write("a", "later", present.clock.now + 60)
    broken.write("a", "theirs", present.clock.now + 60)
    assert store.read("a") == "theirs"
    broken.broken = {"write"}
    store.write("a", "mine", present.clock.now + 60)
    store.delete("a")
    assert store.read("a") is None


def test_token_that_cannot_be_deleted_is_not_used_again(present: World) -> None:
    """An invalidated token would be returned again, and the API would refuse it again."""
    store = BrokenStore(lambda: present.clock.now, set())
    connection = present.connect(store=store)
    first = connection.token()
    store.broken = {"write", "delete"}  # as a read-only replica
    connection.invalidate(first)
    assert connection.token().access_token == "token-2"
    assert present.connect(store=store).token().access_token == "token-2"


def test_entry_that_cannot_be_deleted_is_hidden(present: World) -> None:
    """A deleted entry would be read again when the newer one in memory has expired."""
    broken = BrokenStore(lambda: present.clock.now, set())
    store = ResilientStore(broken)
    later = present.clock.now + 60
    store.write("a", "old", later)
    store.write("b", "another", later)
    broken.broken = {"write", "delete"}
    store.delete("a")
    assert (store.read("a"), store.entries("a"), store.read("b")) == (None, [], "another")
    store.write("a", "short", later)
    assert store.entries("a") == ["short"]
    store.write("a", "short", present.clock.now - 1)
    assert store.entries("a") == []


@pytest.mark.parametrize("end", ["written", "deleted"])
def test_entry_is_hidden_until_the_store_recovers(present: World, end: str) -> None:
    """A process would never again see what other processes write at that key."""
    broken = BrokenStore(lambda: present.clock.now, {"delete"})
    store = ResilientStore(broken)
    later = present.clock.now + 60
    store.write("a", "old", later)
    store.delete("a")
    if end == "written":
        store.write("a", "new", later)
    else:
        broken.broken = set()
        store.delete("a")
        broken.write("a", "new", later)
    assert store.entries("a") == ["new"]


def test_memory_of_an_outage_is_freed_with_its_store(present: World) -> None:
    """A process that repeatedly opens failing stores would leak memory."""
    before = set(resilient._states)  # noqa: SLF001 - no public name shows it
    store = BrokenStore(lambda: present.clock.now, {"write"})
    ResilientStore(store).write("a", "entry", present.clock.now + 60)
    assert set(resilient._states) - before == {id(store)}  # noqa: SLF001
    del store
    gc.collect()
    assert set(resilient._states) <= before  # noqa: SLF001


class SlottedStore:
    """A third-party store whose operations all fail, and that allows no weak references."""

    __slots__ = ()

    def read(self, key: str) -> str | None:
        """Fail."""
        raise OSError

    write = delete = lock = read


def test_store_without_weak_references_may_fail(present: World) -> None:
    """A third-party store with `__slots__` would raise when it fails."""
    store = ResilientStore(SlottedStore())  # type: ignore[arg-type]  # it has no other methods
    with store.lock("a", 1):
        store.write("a", "entry", present.clock.now + 60)
    assert store.read("a") == "entry"
    store.delete("a")
    assert store.read("a") is None


def test_store_without_weak_references_shares_no_memory_with_the_next(present: World) -> None:
    """A new store would begin with the entries that were kept in memory for an old one."""
    ResilientStore(SlottedStore()).write("a", "entry", present.clock.now + 60)  # type: ignore[arg-type]
    later = [ResilientStore(SlottedStore()) for _ in range(100)]  # type: ignore[arg-type]

    assert [store.read("a") for store in later] == [None] * len(later)


def _copy(store: BrokenStore, world: World) -> BrokenStore:
    """Return a store with the same entries, as another process sees it."""
    copied = BrokenStore(lambda: world.clock.now, set())
    copied.adopt(store)
    return copied
