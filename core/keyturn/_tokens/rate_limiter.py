"""Rate limits in the store, which all processes that share it keep together."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
from typing import TYPE_CHECKING

import attrs

from keyturn import _rate_limit as rate_limit
from keyturn import errors
from keyturn._http.urls import origin
from keyturn._rate_limit import RateLimit, whole_seconds
from keyturn._tokens.host_queue import QUEUED, HostQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from keyturn._clock import Clock
    from keyturn._rate_limit import Buckets
    from keyturn.stores._resilient import ResilientStore

# Not a real limit: its bucket only contains the pauses that the server requested, to the hundredth
# of a second.
_COOLDOWN = RateLimit(per_minute=6000, burst=1)
# An API that always responds with 401 must not exhaust the token endpoint's rate limit.
_REFUSED = RateLimit(per_minute=2, burst=5)
# The share of a declared limit for one account's refused requests, on average and at once.
_SHARE = 0.1
_BURST_SHARE = 0.25
_FEWEST = 3
_LEASE = 5.0

_logger = logging.getLogger("keyturn")


@attrs.frozen(eq=False, repr=False)
class SharedBuckets:
    """Token buckets in one entry of the store, shared by all processes that use it.

    Args:
        store: The store.
        clock: The clocks.
        key: The store's key.
    """

    store: ResilientStore
    clock: Clock
    key: str

    def read(self) -> Buckets:
        """Return the state of each recently used bucket."""
        found: Buckets = {}
        for entry in self.store.entries(self.key):
            try:
                buckets = rate_limit.from_entry(entry)
            except ValueError:
                message = "the store's entry at %s is not a valid rate limit; ignoring it"
                _logger.warning(message, self.key)
                continue
            for name, bucket in buckets.items():
                known = found.setdefault(name, bucket)
                if (
                    known is not bucket
                ):  # the stricter one, because a store that failed did not count all requests
                    now = self.clock.time()
                    both = [rate_limit.refill(name[0], each, now) for each in (known, bucket)]
                    found[name] = min(both)
        return found

    def take(self, limit: RateLimit, account: str = "", *, wait: float = 0.0) -> float:
        """Take one request out of a bucket, and return the seconds until it may be sent.

        Args:
            limit: The bucket's limit.
            account: The account whose requests it counts; by default all.
            wait: The maximum wait in seconds; for a longer one, nothing is taken.
        """
        with self.locked() as buckets:
            known = buckets.get((limit, account))
            current = rate_limit.refill(limit, known, self.clock.time())
            left, pause = rate_limit.take(limit, current)
            if pause <= wait:
                buckets.pop((limit, account), None)  # the most recently used bucket is the last
                buckets[limit, account] = left
        return pause

    def cool_down(self, limits: Iterable[RateLimit], seconds: float) -> None:
        """Allow no request for some seconds."""
        with self.locked() as buckets:
            for limit in limits:
                known = buckets.pop((limit, ""), None)
                current = rate_limit.refill(limit, known, self.clock.time())
                buckets[limit, ""] = rate_limit.cool_down(limit, current, seconds)

    @contextlib.contextmanager
    def locked(self) -> Generator[Buckets]:
        """Yield the buckets, locked for a `with` block, and write changed ones."""
        with self.store.lock(self.key, _LEASE):
            buckets = self.read()
            before = list(buckets.items())
            yield buckets
            if list(buckets.items()) != before:
                self.store.write(self.key, *rate_limit.to_entry(buckets, self.clock.time()))


@attrs.frozen(eq=False, repr=False)
class RateLimiter:
    """The rate limiter of a host, shared by all processes that share the store.

    Args:
        shared: The shared buckets.
        url: The token endpoint; the limit belongs to its host.
        limit: The limit, or None. Without a limit, only the server's own 429 responses and
            `Retry-After` count.
        account: Returns the account of the requests, so that refused ones use only a share.
        queue: The turns of callers, if the host delays requests.
    """

    shared: SharedBuckets
    url: str
    limit: RateLimit | None
    account: Callable[[], str]
    queue: HostQueue

    def acquire(self, wait: float) -> float:
        """Take one token request out of the rate limit, and wait until it may be sent.

        Args:
            wait: Maximum seconds to wait.

        Returns:
            The seconds waited.

        Raises:
            keyturn.errors.RateLimited: The wait would be longer, or the token endpoint refused too
                many requests of this account; nothing was taken.
            keyturn.errors.EndpointUnavailable: The host gets one request at a time, and others took
                too long.
        """
        pause, now, known = 0.0, self.shared.clock.time(), self.shared.read()
        # Without the lock at first, because many callers may have to be refused.
        for (limit, account), bucket in known.items():
            if bucket.tokens >= 1:
                continue
            _, seconds = rate_limit.take(limit, rate_limit.refill(limit, bucket, now))
            if not account and limit in {_COOLDOWN, self.limit}:
                pause = max(pause, seconds)
            if account and seconds and self.limit and account == self._digest(self.limit):
                raise _too_many_refused(seconds)
        if self.limit is not None and pause <= wait:
            pause = max(pause, self.shared.take(self.limit, wait=wait))
        if pause > wait:
            raise _limited(pause)
        if pause > 0:
            _logger.info("waiting %.1f s for the rate limit of %s", pause, origin(self.url))
            self.shared.clock.sleep(pause)
        return pause + self.queue.enter(wait - pause) if QUEUED in known else pause

    def cool_down(self, seconds: float) -> None:
        """Block token requests to the host for some seconds, as it requested."""
        limits = [_COOLDOWN, self.limit]
        self.shared.cool_down(filter(None, limits), seconds)

    def count_refused(self) -> None:
        """Count a request of this account that the token endpoint refused."""
        if self.limit is not None:
            burst = max(_FEWEST, int(self.limit.burst * _BURST_SHARE))
            share = RateLimit(self.limit.per_minute * _SHARE, burst)
            self.shared.take(share, self._digest(self.limit))

    def clear(self) -> None:
        """Reset the counts for the host, for all processes that share the store."""
        self.shared.store.delete(self.shared.key)

    def _digest(self, limit: RateLimit) -> str:
        """Return the key of the account's share of that limit."""
        named = f"{limit.per_minute} {limit.burst}\n{self.account()}"
        return hashlib.sha256(named.encode()).hexdigest()[:32]


@functools.lru_cache(maxsize=1024)
def shared_key(url: str) -> str:
    """Return the store's key for a token endpoint's host."""
    return f"rate-limit-{hashlib.sha256(origin(url).encode()).hexdigest()[:32]}"


def _limited(seconds: float) -> errors.RateLimited:
    return errors.RateLimited(
        "the token endpoint's rate limit, or the pause that it requested, allows no token request "
        "now.",
        retry_after=seconds,
        hint=f"Try again in {whole_seconds(seconds)} s, or let keyturn wait with wait=seconds.",
    )


def _too_many_refused(seconds: float) -> errors.RateLimited:
    return errors.RateLimited(
        "the token endpoint refused the last requests with this connection's settings, so keyturn "
        "sends no other now: the rate limit is shared with other connections.",
        retry_after=seconds,
        hint=f"Correct the settings; try again in {whole_seconds(seconds)} s.",
    )


def forget_refused(store: ResilientStore, fingerprint: str) -> None:
    """Reset the count of tokens that an API refused."""
    store.delete(_forced_key(fingerprint))


def _forced_key(fingerprint: str) -> str:
    return f"forced-{fingerprint}"


def count_refused(store: ResilientStore, clock: Clock, fingerprint: str) -> None:
    """Count a token that an API refused before its expiry, and limit their number.

    Args:
        store: The store of the count.
        clock: The clocks.
        fingerprint: The key of the token request.

    Raises:
        keyturn.errors.RateLimited: An API refused too many in the last minutes.
    """
    seconds = SharedBuckets(store, clock, _forced_key(fingerprint)).take(_REFUSED)
    if seconds > 0:
        raise errors.RateLimited(
            "the API keeps refusing new tokens, so keyturn requests no other now.",
            retry_after=seconds,
            hint=f"Check the API's responses; try again in {whole_seconds(seconds)} s.",
        )
