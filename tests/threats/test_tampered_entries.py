"""Entries of a store whose numbers are out of range: a warning and a token request, no error."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from tests.conftest import World, for_each

import keyturn
from keyturn.stores._memory import MemoryStore

LIMIT = keyturn.plugins.RateLimit(per_minute=3, burst=20)
# The members of a bucket in the entry of a rate limit.
BUCKET = ("per_minute", "burst", "account", "tokens", "at")
# Numbers as JSON may contain them.
ODD = {
    "10^400": f"1{'0' * 400}",
    "-10^400": f"-1{'0' * 400}",
    "1e300": "1e300",
    "1e400": "1e400",
    "1e12": "1e12",
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "-1e9": "-1e9",
    "a string": '"7"',
    "a time as a string": '"2099-01-01"',
    "true": "true",
    "false": "false",
    "null": "null",
    "a list": "[1]",
    "a table": '{"a": 1}',
    "5,000 digits": "1" * 5000,
}


class Tampered(MemoryStore):
    """A store that replaces one number in entries of one kind."""

    kind = field = number = ""

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write an entry, changed if it is of that kind."""
        fields: dict[str, Any] = json.loads(entry)
        if self.kind and key.startswith(self.kind):
            if "buckets" in fields:
                for bucket in fields["buckets"]:
                    bucket[BUCKET.index(self.field)] = "odd"
            elif self.field in fields:
                fields[self.field] = "odd"
            entry = json.dumps(fields).replace('"odd"', self.number)
        super().write(key, entry, expires_at)


@for_each(("field", "number"), product(["expires_at", "issued_at", "issued"], ODD))
def test_token_with_a_time_out_of_range_is_a_miss(
    caplog: pytest.LogCaptureFixture, field: str, number: str
) -> None:
    """An attacker with access to a shared Redis could end applications with an OverflowError."""
    world = World()
    caplog.clear()
    store = Tampered(lambda: world.clock.now)
    fingerprint = world.connect().token_request().fingerprint
    store.kind, store.field, store.number = fingerprint, field, ODD[number]
    assert world.connect(store=store).token().access_token == "token-1"
    store.kind = ""

    assert world.connect(store=store).token().access_token == "token-2"
    assert world.connect(store=store).token().access_token == "token-2"
    assert "is not a valid token for that key; ignoring it" in caplog.text
    assert ODD[number][:60] not in caplog.text or len(number) < 8


@for_each(("field", "number"), product(["per_minute", "burst"], ODD))
def test_rate_limit_without_a_connection_is_ignored(field: str, number: str) -> None:
    """Calls would raise an OverflowError while such an entry exists."""
    world = World()
    provider, store = world.changed(rate_limit=LIMIT), Tampered(lambda: world.clock.now)
    store.kind, store.field, store.number = "rate-limit-", field, ODD[number]
    first = world.connect(provider, store=store)
    first.token()

    for each in ("token-2", "token-3"):
        assert first.token(stale=first.token()).access_token == each


@for_each(("field", "number"), product(["tokens", "at"], ODD))
def test_rate_limit_with_a_number_out_of_range_is_a_miss(
    caplog: pytest.LogCaptureFixture, field: str, number: str
) -> None:
    """An attacker could keep callers from a token for years."""
    world = World()
    caplog.clear()
    provider, store = world.changed(rate_limit=LIMIT), Tampered(lambda: world.clock.now)
    store.kind, store.field, store.number = "rate-limit-", field, ODD[number]
    first = world.connect(provider, store=store)
    first.token()
    store.kind = ""

    assert first.token(stale=first.token()).access_token == "token-2"
    assert "is not a valid rate limit; ignoring it" in caplog.text


@for_each(("field", "number"), product(["until", "seconds", "status"], ODD))
def test_error_response_with_a_number_out_of_range_is_a_miss(
    caplog: pytest.LogCaptureFixture, field: str, number: str
) -> None:
    """One entry could block an account, or end the application that reads it."""
    world = World()
    caplog.clear()
    store = Tampered(lambda: world.clock.now)
    store.kind, store.field, store.number = "refused-", field, ODD[number]
    world.endpoint.refuse()
    with pytest.raises(keyturn.errors.InvalidClient):
        world.connect(store=store).token()

    assert world.connect(store=store).token().access_token == "token-2"
    assert "a cached error response in the store can't be read" in caplog.text


def test_error_response_of_another_version_is_a_miss_without_a_warning(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Two versions of keyturn that share a Redis during an upgrade would fill the log."""
    store = Tampered(lambda: world.clock.now)
    store.kind, store.field, store.number = "refused-", "v", "2"
    world.endpoint.refuse()
    with pytest.raises(keyturn.errors.InvalidClient):
        world.connect(store=store).token()

    assert world.connect(store=store).token().access_token == "token-2"
    assert caplog.messages == []
