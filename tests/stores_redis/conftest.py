"""What the tests of the Redis store share: a server in this process, which speaks its protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from keyturn.stores._redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def redis_store(redis_url: str) -> Iterator[RedisStore]:
    """Give a store on that server, its clock standing at 1000."""
    store = RedisStore(redis_url, now=lambda: 1000.0)
    yield store
    store.close()


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """Give what looks behind the store's back."""
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()
