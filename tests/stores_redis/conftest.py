"""Fixtures of the tests of the Redis store: a server in this process that speaks its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from keyturn.stores._redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def redis_store(redis_url: str) -> Iterator[RedisStore]:
    """Return a store on that server, whose clock stays at 1000."""
    store = RedisStore(redis_url, now=lambda: 1000.0)
    yield store
    store.close()


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """Return a client that reads and writes outside the store."""
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()
