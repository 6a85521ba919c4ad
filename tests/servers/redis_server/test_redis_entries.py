"""The Redis store on a real server behaves like every store."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from keyturn.stores._redis import RedisStore
from keyturn.stores._resilient import ResilientStore
from keyturn.testing import StoreConformance

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY_STORE = Path(__file__).parents[2] / "stores/test_every_store.py"


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


every_store = _load(EVERY_STORE)
# The tests of memory and disk stores also hold here; they use this directory's fixture `store`.
globals().update(
    {name: test for name, test in vars(every_store).items() if name.startswith("test_")}
)


class TestRedisStore(StoreConformance):
    """The tests that every store must pass."""

    @pytest.fixture(autouse=True)
    def _server(self, server: Any) -> None:
        self.url = server.url

    def new_store(self) -> RedisStore:
        """Return a store with its own connections."""
        return RedisStore(self.url)


def test_operations_match_a_dictionary(server: Any) -> None:
    """A sequence of operations would give another result than with a dictionary."""

    class RedisMachine(every_store.StoreMachine):  # type: ignore[misc]  # it is loaded by path
        def make_store(self, now: Callable[[], float]) -> RedisStore:
            server.admin.flushall()
            self.redis = RedisStore(server.socket_url, now)
            return self.redis

        def teardown(self) -> None:
            self.redis.close()

    limits = settings(max_examples=40, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(RedisMachine, settings=limits)


def test_a_value_of_another_type_is_replaced(server: Any, store: RedisStore) -> None:
    """A key that another program uses for a list would prevent a connection from sharing tokens."""
    server.admin.lpush("keyturn:a", "b")
    assert ResilientStore(store).read("a") is None
    store.write("a", "entry", 2000)
    assert store.read("a") == "entry"


def test_only_keys_with_the_prefix_are_changed(server: Any, store: RedisStore) -> None:
    """Another program that uses the server would lose its data, or see unknown keys."""
    server.admin.set("a", "another's")
    store.write("a", "entry", 2000)
    with store.lock("a", 30):
        assert sorted(server.admin.keys()) == [b"a", b"keyturn:a", b"keyturn:lock:a"]
        assert 0 < server.admin.pttl("keyturn:lock:a") <= 30_000
    store.delete("a")
    assert server.admin.keys() == [b"a"]


def test_tls(start_redis: Callable[..., Any], tmp_path: Path) -> None:
    """Tokens would be sent to a server with a wrong certificate."""
    authority = trustme.CA()
    files = {name: tmp_path / name for name in ("authority", "certificate", "key")}
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(files["authority"])
    certificate.private_key_pem.write_to_path(files["key"])
    certificate.cert_chain_pems[0].write_to_path(files["certificate"])
    server = start_redis(
        tls_cert_file=files["certificate"],
        tls_key_file=files["key"],
        tls_ca_cert_file=files["authority"],
        tls_auth_clients="no",
    )
    port = server.port
    trusting = RedisStore(f"rediss://localhost:{port}?ssl_ca_certs={files['authority']}")
    trusting.write("a", "entry", float("inf"))
    assert trusting.read("a") == "entry"
    trusting.close()
    assert server.admin.keys() == [b"keyturn:a"]
    for url in (
        f"rediss://localhost:{port}",
        f"rediss://127.0.0.1:{port}?ssl_ca_certs={files['authority']}",
    ):
        store = RedisStore(url)
        with pytest.raises(OSError, match="ConnectionError"):
            store.read("a")
        store.close()
