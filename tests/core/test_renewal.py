"""Error responses, rate limits and retries: few requests, and exact times to wait."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import errors
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import FakeClock, World

UNREACHABLE = errors.EndpointUnavailable("the token endpoint failed: No route to host.")


def test_error_response_is_cached_for_half_a_minute(world: World) -> None:
    """A wrong secret would be sent again at each call."""
    world.endpoint.refuse()
    for _ in range(10):
        with pytest.raises(errors.InvalidClient) as caught:
            world.connect().token()
        world.clock.advance(2.9)
    assert len(world.endpoint.requests) == 1
    assert "keyturn sends the request again in" in caught.value.hint
    assert (caught.value.error, caught.value.status) == ("invalid_client", 401)

    world.clock.advance(2)
    assert world.connect().token().access_token == "token-2"


def test_new_secret_is_not_refused_for_the_old_one(world: World) -> None:
    """A user who has corrected the secret would still get the old error."""
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        world.connect().token()

    assert world.connect(client_secret="the right one").token().access_token == "token-2"


def test_forgetting_discards_a_cached_error_response_too(world: World) -> None:
    """A user who fixed the account at the provider would have to wait."""
    connection = world.connect()
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        connection.token()
    connection.forget()

    assert connection.token().access_token == "token-2"


def test_cached_error_response_does_not_hide_a_token(world: World) -> None:
    """A token that another process obtained meanwhile would not be used."""
    connection = world.connect()
    first = connection.token()
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        connection.token(stale=first)
    with pytest.raises(errors.InvalidClient, match="is a cached response"):
        connection.token(stale=first)
    assert len(world.endpoint.requests) == 2


def test_rate_limit_of_the_server_applies_to_all_connections(world: World) -> None:
    """Another connection would send requests to the host that asked for a pause."""
    world.endpoint.responses.append(world.endpoint.response(429, {}, retry_after="90"))
    with pytest.raises(errors.RateLimited) as caught:
        world.connect().token()
    assert caught.value.retry_after == 90

    world.clock.advance(30)
    with pytest.raises(errors.RateLimited) as caught:
        world.connect(client_id="other").token()
    assert caught.value.retry_after == pytest.approx(60)
    assert len(world.endpoint.requests) == 1
    world.clock.advance(60.01)
    assert world.connect(client_id="other").token().access_token == "token-2"


@pytest.mark.parametrize("asked", [1, 5, 30])
def test_rate_limited_error_names_the_time_after_which_a_request_is_sent(
    world: World, asked: int
) -> None:
    """A caller who waits as long as the error says would have to wait again."""
    provider = world.changed(rate_limit=keyturn.plugins.RateLimit(per_minute=3, burst=20))
    world.endpoint.responses.append(world.endpoint.response(429, {}, retry_after=str(asked)))
    connection = world.connect(provider)
    with pytest.raises(errors.RateLimited) as caught:
        connection.token()
    world.clock.advance(caught.value.retry_after + 0.01)

    assert connection.token().access_token == "token-2"


def test_rate_limit_is_kept_before_anything_is_sent(world: World) -> None:
    """keyturn would send requests until the server refuses them."""
    provider = world.changed(rate_limit=keyturn.plugins.RateLimit(per_minute=6, burst=2))
    connection = world.connect(provider)
    for _ in range(2):
        connection.token()
        connection.forget()

    with pytest.raises(errors.RateLimited, match="allows no token request now") as caught:
        connection.token()
    assert caught.value.retry_after == pytest.approx(10)
    assert len(world.endpoint.requests) == 2


def test_rate_limit_belongs_to_the_host(world: World) -> None:
    """Thirty connections to one host would send thirty times what it allows."""
    provider = world.changed(rate_limit=keyturn.plugins.RateLimit(per_minute=6, burst=1))
    world.connect(provider, token_url="https://one.example/a").token()

    with pytest.raises(errors.RateLimited):
        world.connect(provider, token_url="https://one.example/b").token()
    assert world.connect(provider, token_url="https://two.example/a").token()


def test_wait_option_waits_for_the_rate_limit(world: World) -> None:
    """A job that would rather wait than fail would need its own loop."""
    provider = world.changed(rate_limit=keyturn.plugins.RateLimit(per_minute=6, burst=1))
    connection = world.connect(provider, options={"wait": 25.0})
    connection.token()
    connection.forget()

    assert connection.token().access_token == "token-2"
    assert world.clock.slept == [pytest.approx(10)]


def test_wait_option_does_not_wait_longer_than_it_says(world: World) -> None:
    """A web request would hang for as long as a server asks."""
    connection = world.connect(options={"wait": 25.0})
    world.endpoint.responses.append(world.endpoint.response(429, {}, retry_after="26"))
    with pytest.raises(errors.RateLimited):
        connection.token()
    with pytest.raises(errors.RateLimited):
        connection.token()

    assert world.clock.slept == []
    assert len(world.endpoint.requests) == 1


@pytest.mark.parametrize("failure", [UNREACHABLE, 500, 503, 408])
def test_transient_failures_are_retried(world: World, failure: int | errors.KeyturnError) -> None:
    """A short failure of the token endpoint would reach every caller."""
    response = world.endpoint.response(failure, {}) if isinstance(failure, int) else failure
    world.endpoint.responses += [response, response]

    assert world.connect().token().access_token == "token-3"
    assert 0.25 <= world.clock.slept[0] <= 0.5
    assert 0.5 <= world.clock.slept[1] <= 1


def test_retries_are_sent_after_random_delays(world: World) -> None:
    """All processes would retry at the same moment after an outage."""
    for _ in range(5):
        world.endpoint.responses += [UNREACHABLE]
        connection = world.connect()
        connection.token()
        connection.forget()

    assert len(set(world.clock.slept)) == 5


def test_permanent_failure_is_reported_after_three_attempts(world: World) -> None:
    """A dead token endpoint would get many requests, and the caller would wait long."""
    world.endpoint.responses += [UNREACHABLE] * 10

    with pytest.raises(errors.EndpointUnavailable):
        world.connect().token()
    assert len(world.endpoint.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 429, 302])
def test_error_responses_are_not_retried(world: World, status: int) -> None:
    """A request that will be refused again would be sent three times."""
    world.endpoint.responses += [world.endpoint.response(status, {})] * 3

    with pytest.raises(errors.KeyturnError):
        world.connect().token()
    assert len(world.endpoint.requests) == 1


def test_retries_stay_within_the_timeout(world: World) -> None:
    """A caller would wait three times as long as its timeout."""

    def hang() -> keyturn.plugins.Response:
        world.clock.advance(9)
        raise UNREACHABLE

    world.endpoint.responses += [hang] * 3
    with pytest.raises(errors.EndpointUnavailable):
        world.connect(options={"timeout": 10.0}).token()

    assert len(world.endpoint.requests) == 2
    assert world.endpoint.seconds[0] == 10
    assert world.endpoint.seconds[1] < 1


class RateLimitStore(MemoryStore):
    """A store that counts how often the rate limit's lock is acquired; the lock may be stuck."""

    def __init__(self, clock: FakeClock, *, stuck: bool = False) -> None:
        super().__init__(lambda: clock.now)
        self.clock = clock
        self.stuck = stuck
        self.taken = 0

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Iterator[None]:
        """Lock, or time out, as when a stopped process holds the lock."""
        rate_limit = key.startswith("rate-limit-")
        self.taken += rate_limit
        if rate_limit and self.stuck:
            self.clock.advance(lease)
            raise TimeoutError
        with super().lock(key, lease):
            yield


def test_stuck_lock_of_the_rate_limit_leaves_time_for_the_request(world: World) -> None:
    """A stopped process would make every token request fail: "did not respond within 0 s"."""
    store = RateLimitStore(world.clock, stuck=True)
    provider = world.changed(rate_limit=keyturn.plugins.RateLimit(per_minute=60, burst=20))
    connection = world.connect(provider, store=store, options={"timeout": 5.0})

    assert connection.token().access_token == "token-1"
    assert world.endpoint.seconds == [5]


def test_retry_without_time_after_a_stuck_lock_is_not_sent(world: World) -> None:
    """The error would report a timeout of 0 s instead of the endpoint's status 500."""
    world.endpoint.responses.append(world.endpoint.response(500, {}))
    store = RateLimitStore(world.clock, stuck=True)
    provider = world.changed(rate_limit=keyturn.plugins.RateLimit(per_minute=60, burst=20))

    with pytest.raises(errors.EndpointUnavailable, match="HTTP 500"):
        world.connect(provider, store=store, options={"timeout": 5.0}).token()
    assert len(world.endpoint.requests) == 1


def test_no_caller_takes_the_lock_when_the_rate_limit_is_used_up(world: World) -> None:
    """Many callers would wait for the lock, although all of them will be refused."""
    store = RateLimitStore(world.clock)
    provider = world.changed(rate_limit=keyturn.plugins.RateLimit(per_minute=6, burst=1))
    connection = world.connect(provider, store=store)
    connection.token()
    connection.forget()
    for _ in range(3):
        with pytest.raises(errors.RateLimited):
            connection.token()

    assert store.taken == 1


@pytest.mark.parametrize(("wait", "attempts"), [(15.0, 1), (25.0, 2)])
def test_wait_bounds_all_attempts_together(world: World, wait: float, attempts: int) -> None:
    """A caller would wait three times as long as its options allow."""
    provider = world.changed(rate_limit=keyturn.plugins.RateLimit(per_minute=6, burst=1))
    connection = world.connect(provider, options={"wait": wait})
    connection.token()
    connection.forget()
    world.endpoint.responses += [UNREACHABLE] * attempts

    with pytest.raises(errors.RateLimited):
        connection.token()
    assert len(world.endpoint.requests) == 1 + attempts
    assert sum(world.clock.slept) < wait


@pytest.mark.parametrize("status", [503, 500, 408])
def test_failing_endpoint_gets_no_request_before_its_retry_after(world: World, status: int) -> None:
    """An endpoint that asked for a pause while it recovers would get many requests."""
    world.endpoint.responses.append(world.endpoint.response(status, {}, retry_after="7"))

    assert world.connect().token().access_token == "token-2"
    assert world.clock.slept == [7]


def test_failing_endpoint_gets_no_request_of_any_caller(world: World) -> None:
    """A caller would wait beyond its timeout, and other callers would send requests meanwhile."""
    world.endpoint.responses.append(world.endpoint.response(503, {}, retry_after="60"))
    with pytest.raises(errors.EndpointUnavailable) as caught:
        world.connect().token()
    assert "in 60 s" in caught.value.hint
    assert world.clock.slept == []

    with pytest.raises(errors.RateLimited) as limited:
        world.connect(client_id="other").token()
    assert limited.value.retry_after == pytest.approx(60)
    assert len(world.endpoint.requests) == 1
    world.clock.advance(60.01)
    assert world.connect().token().access_token == "token-2"


def test_wait_option_waits_for_a_failing_endpoint(world: World) -> None:
    """A job that would rather wait than fail would need its own loop."""
    world.endpoint.responses.append(world.endpoint.response(503, {}, retry_after="45"))
    connection = world.connect(options={"timeout": 10.0, "wait": 60.0})

    assert connection.token().access_token == "token-2"
    assert sum(world.clock.slept) == pytest.approx(45)
    # The rest of `wait` is for a server that delays the response.
    assert world.endpoint.seconds == [70, pytest.approx(25)]


@pytest.mark.parametrize(("asked", "least", "most"), [("1", 1, 1), ("20", 20, 20), ("0", 0.2, 0.6)])
def test_wait_option_waits_when_the_server_says_429(
    world: World, asked: str, least: float, most: float
) -> None:
    """A caller with `wait` would get an error for a short pause, or retry at once."""
    world.endpoint.responses.append(world.endpoint.response(429, {}, retry_after=asked))

    assert world.connect(options={"wait": 30.0}).token().access_token == "token-2"
    assert least - 1e-6 <= sum(world.clock.slept) <= most + 1e-6


@pytest.mark.parametrize("asked", ["0", "1"])
def test_caller_without_wait_gets_a_429_at_once(world: World, asked: str) -> None:
    """A web request without `wait` would hang."""
    world.endpoint.responses.append(world.endpoint.response(429, {}, retry_after=asked))

    with pytest.raises(errors.RateLimited):
        world.connect().token()
    assert world.clock.slept == []


@pytest.mark.parametrize(("asked", "requests"), [("1", 3), ("14", 3), ("20", 2), ("31", 1)])
def test_repeated_429_is_reported(world: World, asked: str, requests: int) -> None:
    """Requests while blocked would prolong the block, and the caller would wait too long."""
    world.endpoint.responses += [world.endpoint.response(429, {}, retry_after=asked)] * 5

    with pytest.raises(errors.RateLimited, match="is reached") as caught:
        world.connect(options={"wait": 30.0}).token()
    assert caught.value.retry_after == float(asked)
    assert len(world.endpoint.requests) == requests
    assert sum(world.clock.slept) <= 30


def test_token_that_expires_during_the_request_is_requested_again(world: World) -> None:
    """A suspended process would cause an error about the endpoint."""

    def response() -> keyturn.plugins.Response:
        token = world.endpoint.token("late", expires_in=5)
        world.clock.advance(10)
        return token

    world.endpoint.responses.append(response)

    assert world.connect().token().access_token == "token-2"


@pytest.mark.parametrize("wall", [7200, -7200])
def test_clock_set_during_a_token_request_does_not_affect_the_token(
    world: World, wall: float
) -> None:
    """A valid token would be refused after a clock change."""

    def response() -> keyturn.plugins.Response:
        token = world.endpoint.token("good", expires_in=60)
        world.clock.now += wall
        return token

    world.endpoint.responses.append(response)
    connection = world.connect()

    assert connection.token().access_token == "good"
    assert connection.token().access_token == "good"


def test_token_that_always_expires_during_the_request_is_reported(world: World) -> None:
    """Token requests would be sent forever, or the error would be about the endpoint."""

    def response() -> keyturn.plugins.Response:
        token = world.endpoint.token("late", expires_in=5)
        world.clock.advance(6)
        return token

    world.endpoint.responses += [response] * 5

    with pytest.raises(errors.EndpointUnavailable, match="suspended during the token request"):
        world.connect().token()
    assert len(world.endpoint.requests) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "s3cret-for-tests"},
        {"scope": "read the-token-itself"},
        {"scope": "czNjcmV0LWZvci10ZXN0cw=="},
        {"s3cret-for-tests": 1},
        {"x-the-token-itself": 1},
        {"x": {"s3cret-for-tests": ["c3RvbGVuIHMzY3JldC1mb3ItdGVzdHM="]}},
    ],
    ids=str,
)
def test_secret_that_a_response_repeats_is_hidden(
    world: World, fields: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    """A server could put a secret into logs, the store, and the repr of a token."""
    world.endpoint.responses.append(world.endpoint.token("the-token-itself", **fields))
    token = world.connect(scope="read").token()
    stored = world.store.read(world.connect(scope="read").token_request().fingerprint) or ""
    shown = f"{token!r} {token.scope} {dict(token.extra)} {caplog.text}"
    shown += stored.replace('"access_token": "the-token-itself"', "")

    assert token.access_token == "the-token-itself"
    assert "[hidden]" in shown
    for hidden in ("s3cret", "itself", "czNjcmV0", "czNjcmV0LWZvci10ZXN0", "MzY3JldC1mb3I"):
        assert hidden not in shown


def test_other_field_may_contain_a_part_of_the_token(world: World) -> None:
    """An API's URL would be hidden because it contains the account's number."""
    extra = {"account": "https://acct1032d82ezvkylo2c.api.example", "long": "x" * 100}
    token = f"acct1032d82ezvkylo2c.{'y' * 40}"
    world.endpoint.responses.append(world.endpoint.token(token, **extra, again=token + "."))

    assert world.connect().token().extra == extra | {"again": "[hidden]."}


def test_short_secret_may_occur_in_a_word(world: World) -> None:
    """A user with a short secret would get no token."""
    world.endpoint.responses.append(world.endpoint.token("t0ken", scope="read write"))

    assert world.connect(client_secret="write").token().scope == "read write"


def test_cached_error_response_of_another_version_is_a_miss(world: World) -> None:
    """Two versions of keyturn could not share a Redis during a rollout."""
    written: dict[str, str] = {}

    class Noting(MemoryStore):
        """A store that records its entries."""

        def write(self, key: str, entry: str, expires_at: float) -> None:
            """Write and record an entry."""
            written[key] = entry
            super().write(key, entry, expires_at)

    store = Noting(lambda: world.clock.now)
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        world.connect(store=store).token()
    ((key, entry),) = [each for each in written.items() if "InvalidClient" in each[1]]
    store.write(key, json.dumps(json.loads(entry) | {"v": 99}), world.clock.now + 60)

    assert world.connect(store=store).token().access_token == "token-2"


def test_failed_renewal_does_not_restore_a_forgotten_token(world: World) -> None:
    """A discarded token would be returned again after a failed renewal."""
    connection = world.connect()
    connection.token()

    def forgotten() -> keyturn.plugins.Response:
        connection.forget()
        return world.endpoint.response(401, {"error": "invalid_client"})

    world.endpoint.responses.append(forgotten)
    world.clock.advance(3600 - 60)
    connection.token()
    world.land()
    connection.forget()

    assert connection.token().access_token == "token-3"


def test_token_that_is_forgotten_while_it_is_received_is_not_cached(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller would get a token again after `forget`."""
    process, calls, last = os.getpid(), 0, 0

    def getpid() -> int:
        """Forget the token at the last call that the thread which receives it makes here."""
        nonlocal calls
        if world.endpoint.requests and threading.current_thread().name == "keyturn-worker":
            calls += 1
            if calls == last:
                connection.forget()
        return process

    monkeypatch.setattr(os, "getpid", getpid)
    connection = world.connect()
    connection.token()
    world.land()
    connection.forget()
    world.endpoint.requests.clear()
    calls, last = 0, calls
    connection.token()
    world.land()

    assert calls >= last > 0
    assert connection.token().access_token == "token-2"


def test_unexpected_failure_names_the_connection_and_shows_no_secret(world: World) -> None:
    """A defect would raise a raw error of a library, with the request in its frames."""
    world.endpoint.responses.append(RuntimeError("s3cret-for-tests"))

    with pytest.raises(errors.KeyturnError, match=r"failed with RuntimeError in send, line") as got:
        world.connect().token()
    assert "s3cret-for-tests" not in str(got.value)
