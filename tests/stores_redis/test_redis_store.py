"""The Redis store on a working server: entries, their expiry, locks, and URLs."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from math import inf, nan
from typing import TYPE_CHECKING

import pytest
import redis

from keyturn import stores
from keyturn.errors import ConfigurationError
from keyturn.stores._redis import LONGEST_ENTRY, RedisStore
from keyturn.stores._resilient import ResilientStore
from keyturn.testing import StoreConformance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

DAY = 86_400_000
FOREIGN = [b"\xff\xfe 1", b"no number", b"", b'{"access_token": "t"}', b"9" * (LONGEST_ENTRY + 99)]
WRONG_URLS = [
    "redis://user:p@s3cret/w+rd@host/0",
    "redis://user:p@s3cret@host/0",
    "rediss://:p#s3cret@host/0",
    "redis://:p?s3cret@host/0",
    "redis://user:6379/s3cret@host/0",
    "redis://user:6379?s3cret@host/0",
    "redis://user:s3cret%zz@host/0",
    "redis://user:s3cret@/0",
    "redis://user:s3cret@ho\tst/0",
    "redis://user:s3cret@a..b/0",
    "redis://user:s3cret@host/other",
    "redis://user:s3cret@host/0#1",
    "unix://user:p@s3cret@/run/redis.sock",
    "unix://user:s3cret@",
    "redis://user:s3cret/for-tests@127.0.0.1",
    "redis://:s3cret-for-tests@127.0.0.1:port",
    "redis://:s3cret-for-tests@[::",
    "redis://:s3cret-for-tests@127.0.0.1?no_option=1",
    "redis://:s3cret-for-tests@127.0.0.1?socket_timeout=soon",
    "redis://:s3cret-for-tests@127.0.0.1?protocol=9",
    "rediss://:s3cret-for-tests@127.0.0.1?ssl_cert_reqs=perhaps",
]


class TestConformance(StoreConformance):
    """The tests that every store must pass."""

    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        self.url = redis_url

    def new_store(self) -> RedisStore:
        """Return a store with its own connections."""
        return RedisStore(self.url)


def test_entries_are_kept_and_expire(redis_store: RedisStore) -> None:
    """An entry that expires now would be returned as if it were valid."""
    redis_store.write("a", "entry", 1000.0)
    redis_store.write("b", "entry 1", 1000.1)
    redis_store.write("c", "entry", nan)
    redis_store.write("d", "", inf)
    assert [redis_store.read(key) for key in "abcde"] == [None, "entry 1", None, "", None]
    redis_store.write("b", "entry", 999.0)
    redis_store.delete("d")
    assert [redis_store.read(key) for key in "bd"] == [None, None]


def test_expiry_uses_the_clock_of_the_store(redis_url: str) -> None:
    """A host that was suspended would get a token that has expired."""
    now = 1000.0
    store = RedisStore(redis_url, now=lambda: now)
    store.write("a", "entry", 1100.0)
    now = 1099.9
    assert store.read("a") == "entry"
    now = 1100.0
    assert store.read("a") is None
    store.close()


def test_server_deletes_expired_entries(redis_store: RedisStore, redis_client: redis.Redis) -> None:
    """A server would fill up with expired tokens, or misjudge a different clock."""
    redis_store.write("a", "entry", 1060.0)
    redis_store.write("b", "entry", inf)
    redis_store.write("c", "entry", 1000.0001)
    assert 0 < redis_client.pttl("keyturn:a") <= 60_000
    assert 399 * DAY < redis_client.pttl("keyturn:b") <= 400 * DAY
    # The third is almost over; it must still have an expiry.
    assert redis_client.pttl("keyturn:c") != -1


def test_entry_that_is_too_long_is_rejected(redis_store: RedisStore) -> None:
    """A hostile token endpoint could fill the shared server's memory."""
    redis_store.write("a", "x" * LONGEST_ENTRY, 2000)
    assert redis_store.read("a") == "x" * LONGEST_ENTRY
    with pytest.raises(ValueError, match="bytes"):
        redis_store.write("a", "é" * (LONGEST_ENTRY // 2 + 1), 2000)


@pytest.mark.parametrize("value", FOREIGN, ids=["bytes", "words", "empty", "json", "long"])
def test_value_of_another_program_is_a_miss(
    redis_store: RedisStore, redis_client: redis.Redis, value: bytes
) -> None:
    """Another program's value would be used as a token, or end the process."""
    redis_client.set("keyturn:a", value)
    assert ResilientStore(redis_store).read("a") is None
    redis_store.write("a", "entry", 2000)
    assert redis_store.read("a") == "entry"


def test_value_of_another_type_is_an_error(
    redis_store: RedisStore, redis_client: redis.Redis
) -> None:
    """A list of another program would be used as a token, or end the process."""
    redis_client.lpush("keyturn:a", "b")
    with pytest.raises(OSError, match="Redis failed with ResponseError"):
        redis_store.read("a")


def test_lock_excludes(redis_store: RedisStore) -> None:
    """Two holders would make two token requests; or a waiter would wait forever."""
    with redis_store.lock("a", 30), redis_store.lock("b", 30):
        with pytest.raises(TimeoutError) as caught, redis_store.lock("a", 0.02):
            pass
        assert type(caught.value) is TimeoutError
        redis_store.write("a", "entry", 2000)
        assert redis_store.read("a") == "entry"


def test_lock_is_released_when_the_block_raises(redis_store: RedisStore) -> None:
    """A failed token request would block all callers."""
    with pytest.raises(KeyError), redis_store.lock("a", 30):
        raise KeyError
    with redis_store.lock("a", 0.02):
        pass


def test_waiter_takes_the_lock_when_it_is_released(redis_store: RedisStore) -> None:
    """A waiter would get an error instead of the token that was just requested."""
    entered = threading.Event()

    def wait() -> None:
        with redis_store.lock("a", 30):
            entered.set()

    waiter = threading.Thread(target=wait)
    with redis_store.lock("a", 30):
        waiter.start()
        assert not entered.wait(0.03)
    assert entered.wait(10)
    waiter.join()


def test_holder_whose_lease_has_ended_releases_no_other_lock(redis_store: RedisStore) -> None:
    """A holder that hung for too long would release the lock of its successor."""
    with redis_store.lock("a", 0.02):
        successor = redis_store.lock("a", 30)
        successor.__enter__()
    with pytest.raises(TimeoutError), redis_store.lock("a", 0.02):
        pass
    successor.__exit__(None, None, None)
    with redis_store.lock("a", 0.02):
        pass


def test_child_does_not_release_the_lock_of_its_parent(
    run_python: Callable[..., str], redis_url: str
) -> None:
    """A child that leaves the block in which it was forked would release its parent's lock."""
    code = """
import os, sys
from keyturn.stores._redis import RedisStore

store = RedisStore(sys.argv[1])
with store.lock("a", 30):
    child = os.fork()
    if child:
        print(os.waitpid(child, 0)[1])
        try:
            with store.lock("a", 0.02):
                print("entered")
        except TimeoutError:
            print("excluded")
if not child:
    store.write("b", "entry", float("inf"))
    os._exit(store.read("b") != "entry")
"""
    assert run_python(code, redis_url) == "0\nexcluded"


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1",
        "rediss://127.0.0.1/1",
        "redis://us%40er:p%2Fw+rd!:x@cache_1.example.:6380/?socket_timeout=2&health_check_interval=9",
        "redis://:pw@[::1]:6379/15",
        "unix:///run/redis.sock?db=1",
        "unix://user:pw@/run/redis@1.sock",
    ],
)
def test_store_is_chosen_by_its_url(url: str) -> None:
    """`store="redis://…"` would not open a Redis store."""
    assert isinstance(stores.from_url(url), RedisStore)


def test_own_client_can_be_used(redis_url: str, redis_client: redis.Redis) -> None:
    """A user who needs Sentinel, or another authentication, could not use the store."""
    store = RedisStore(redis_client)
    store.write("a", "entry", inf)
    assert store.read("a") == "entry"
    with (
        redis.Redis.from_url(redis_url, decode_responses=True) as decoding,
        pytest.raises(ValueError, match="not an entry"),
    ):
        RedisStore(decoding).read("a")


@pytest.mark.parametrize("url", WRONG_URLS)
def test_invalid_url_is_reported_at_once(url: str) -> None:
    """A mistake would cause a warning at the first token, or an error with the password."""
    with pytest.raises(ConfigurationError) as caught:
        stores.from_url(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None
    assert "redis://user:password@host:6379/0" in caught.value.hint


def test_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user would get a ModuleNotFoundError that does not name the extra to install."""
    monkeypatch.delitem(sys.modules, "keyturn.stores._redis")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install keyturn\[redis\]"):
        stores.from_url("redis://127.0.0.1")


TOKEN = """
import sys, keyturn
connection = keyturn.connect(
    "orocommerce", url=sys.argv[1], store=sys.argv[2], client_id="cid",
    client_secret="s3cret-for-tests",
)
print(connection.token().access_token)
"""


def test_two_hosts_share_a_token_without_configuration(
    run_python: Callable[..., str],
    serve: Callable[..., RawServer],
    token_response: bytes,
    redis_url: str,
    redis_client: redis.Redis,
    tmp_path: Path,
) -> None:
    """Each host would send its own token requests until a user copies a key between them."""
    server = serve(token_response)
    for host in ("one", "other"):
        (tmp_path / host).mkdir()
        variables = {"HOME": str(tmp_path / host), "KEYTURN_FINGERPRINT_KEY": None}
        address = server.url.removesuffix("/token")
        assert run_python(TOKEN, address, redis_url, **variables) == "t0ken"

    assert len(server.received) == 1
    assert redis_client.exists("keyturn:fingerprint-key")


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_store_cannot_be_copied(
    redis_store: RedisStore, copied: Callable[[object], object]
) -> None:
    """The user would get Python's own error about a lock, or a pickle with the password."""
    message = "A RedisStore can't be pickled or copied: open a store in each process"
    with pytest.raises(TypeError, match=message):
        copied(redis_store)
