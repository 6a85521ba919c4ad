"""The token manager of a connection: it keeps, renews and discards the token."""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import os
import random
from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._http.values import defect
from keyturn._providers import calls
from keyturn._token import Token
from keyturn._tokens import single_flight
from keyturn._tokens.fingerprint import LOCAL_KEY
from keyturn._tokens.options import STORE_PATIENCE
from keyturn._tokens.prepared import prepared
from keyturn._tokens.snapshot import EMPTY, TokenSnapshot
from keyturn._tokens.token_query import TokenQuery

if TYPE_CHECKING:
    from keyturn._http.response import Response
    from keyturn._tokens.acquisition import Acquisition
    from keyturn._tokens.single_flight import Share

_MIN_RETRY = 0.05
_MAX_RETRY = 30.0
_SPREAD = 0.25
# A token may expire before its waiter wakes up; after this many times, waiting is useless.
_WAITS = 4

# Not `random`'s own functions, whose state forks without Python's hooks share.
_random = random.SystemRandom()
_logger = logging.getLogger("keyturn")


class TokenManager:
    """Keeps the current token of one connection.

    Connections with the same fixed settings, store and options share their workers.

    Attributes:
        acquisition: Acquires the tokens.
        snapshot: The current token; `keyturn._tokens.snapshot.EMPTY` without one.
        now: Returns the time on the connection's monotonic clock.
        store: The token store.
        last_error: The error of the last attempt to acquire a token, or None.
    """

    def __init__(self, acquisition: Acquisition) -> None:
        self.snapshot = EMPTY
        self.now = acquisition.clock.monotonic
        self.acquisition = acquisition
        self.store = acquisition.store.store
        options, known = acquisition.options, acquisition.known
        self._flight_key: object = self
        if known is not None:  # the settings never change
            fingerprint = known.request.with_fingerprint(LOCAL_KEY).fingerprint
            self._flight_key = (
                id(self.store),
                fingerprint,
                options,
                acquisition.clock.id,
                acquisition.index,  # each id lists its tokens separately
            )
        # A token that was requested before the current one was discarded is not kept.
        self._generation = 0
        self._is_invalidated = False
        self._process = os.getpid()
        self._is_closed = False
        self.last_error: str | None = None

    def get(self, stale: Token | None = None) -> TokenSnapshot:
        """Return a usable token; see `keyturn.Connection.token`."""
        found, asked_at = self._find(stale), SYSTEM.monotonic()
        for _ in range(_WAITS):
            if isinstance(found, TokenSnapshot):
                return found
            while not found.done() and (seconds := self._left(found, asked_at)):
                with contextlib.suppress(TimeoutError):
                    found.exception(seconds)
            found = self._checked(found)
        raise self._too_late()

    async def aget(self, stale: Token | None = None) -> TokenSnapshot:
        """Return a usable token, without blocking the event loop."""
        found, asked_at = self._find(stale), SYSTEM.monotonic()
        for _ in range(_WAITS):
            if isinstance(found, TokenSnapshot):
                return found
            while not found.done() and (seconds := self._left(found, asked_at)):
                await single_flight.wait(found, seconds)
            found = self._checked(found)
        raise self._too_late()

    def peek(self) -> TokenSnapshot:
        """Return the token of this connection or of the store; `EMPTY` if none is usable.

        This sends nothing.
        """
        self.check_open()
        held = self.snapshot
        if self.now() < held.usable_until:
            return held
        return self.acquisition.stored(self.acquisition.latest_request()) or EMPTY

    def invalidate(self, token: Token) -> None:
        """Discard `token` in memory and in the store, if it is still the current one."""
        if self.snapshot is EMPTY or _is_same(self.snapshot.token, token):
            self._discard()
        request = self.acquisition.latest_request()
        stored = self.acquisition.stored(request)
        if stored is not None and _is_same(stored.token, token):
            self.acquisition.store.delete(request.fingerprint)

    def forget(self) -> None:
        """Discard the token and the cached error response, in memory and in the store."""
        self.check_open()
        self._discard()
        for key in self.acquisition.fingerprints():
            self.acquisition.store.delete(key)
            self.acquisition.store.delete(f"refused-{key}")

    def forget_rate_limits(self) -> None:
        """Reset the store's counts for the token endpoint's host, and of refused tokens."""
        from keyturn._tokens import rate_limiter, token_request

        own = self.acquisition
        token_request.rate_limiter(own, own.latest()).clear()
        rate_limiter.forget_refused(own.store, own.latest_request().fingerprint)

    def close(self) -> None:
        """Close the manager, and discard the token in memory; it stays in the store."""
        self._is_closed = True
        self._discard()

    def check_open(self) -> None:
        """Raise an error if the connection is closed.

        Raises:
            keyturn.errors.ConfigurationError: It is.
        """
        if self._is_closed:
            raise self._own(errors.ConfigurationError("the connection is closed."))

    def api_url(self, token: Token | None) -> str | None:
        """Return the API's address, if settings and token determine it."""
        return calls.api_url_for(*self.acquisition.latest()[:2], token)

    def token_rejected(self, response: Response) -> bool:
        """Return whether an API's response refuses the token."""
        return calls.token_rejected(*self.acquisition.latest()[:2], response)

    def _own(self, failure: BaseException) -> errors.KeyturnError:
        """Return a copy of an error for one caller: threads must not share a traceback."""
        if isinstance(failure, errors.KeyturnError):
            own = copy.copy(failure)
        else:  # neither a provider nor a store raised it
            own = defect("the token request", failure, "This is a bug in keyturn: report it.")
        own.connection = self.acquisition.connection
        return own

    @property
    def host(self) -> str:
        """The token endpoint's host and port; the connection's name until the URL is known."""
        return self.acquisition.host

    def _left(self, share: Share, asked_at: float) -> float:
        """Return the seconds until the next check of a share; 0 if it is overdue.

        A request can't be overdue before that, so no caller waits too long, and no timer is needed.
        """
        now, progress, options = SYSTEM.monotonic(), share.progress, self.acquisition.options
        due = asked_at + options.timeout + options.wait
        if progress.step is not None:
            due = progress.step[1]
        elif progress.is_started:
            due += STORE_PATIENCE
        return max(0.0, min(due, now + options.timeout) + single_flight.GRACE - now)

    def _find(self, stale: Token | None) -> TokenSnapshot | Share:
        """Return a usable token, or a share of the work for one."""
        if self._is_closed:
            self.check_open()
        if stale is not None and not isinstance(stale, Token):
            raise self._own(errors.ConfigurationError("stale must be a Token."))
        held, now = self.snapshot, self.now()
        if stale is not None and (now >= held.usable_until or _is_same(stale, held.token)):
            return self._join(TokenQuery(stale, refused=True, reason="refused"))
        if now >= held.usable_until:
            return self._join(
                TokenQuery(held.token, reason="invalidated" if self._is_invalidated else "cold")
            )
        if now >= held.fresh_until and self._process != os.getpid():
            # Workers that were forked from one parent with a token would all renew it at once.
            self._process = os.getpid()
            spread = _random.random() * _SPREAD
            self._postpone(held, spread * (held.usable_until - now))
        elif now >= held.fresh_until and self._postpone(held, _MAX_RETRY):
            message = "%s: renewing the token, which expires in %.0f s"
            _logger.debug(message, self.acquisition.connection, held.usable_until - now)
            self._join(TokenQuery(held.token, fresh=True, reason="expiring"))
        return held

    def _join(self, query: TokenQuery) -> Share:
        try:
            return single_flight.join(
                (self._flight_key, query.other_than, query.refused, query.fresh),
                self.acquisition.host,
                functools.partial(self.acquisition.acquire, query),
                progress=query.progress,
                sharer=self,
                use=functools.partial(self._install, query, self._generation),
                afterwards=self.acquisition.emit_events,
            )
        except single_flight.ReentrantCallError:
            failure = errors.ConfigurationError(
                "this thread already acquires this token, so it can't wait for it.",
                hint="Do not call a connection from a handler of keyturn's log or from a "
                "provider's method.",
            )
        raise self._own(failure)

    def _install(
        self, query: TokenQuery, generation: int, outcome: TokenSnapshot | BaseException
    ) -> TokenSnapshot:
        """Keep a token that a worker has acquired, with its headers."""
        try:
            if isinstance(outcome, BaseException):
                raise outcome  # noqa: TRY301 - both failures are reported in the same way
            if (held := self.snapshot) is not EMPTY and self._has(held, outcome, query):
                return held
            query.progress.step = "settings", SYSTEM.monotonic() + self.acquisition.options.timeout
            headers, additions = prepared(self.acquisition, outcome.token)
            snapshot = attrs.evolve(outcome, headers=headers, additions=additions)
        except BaseException as error:
            self.last_error = _summary(error)
            if query.fresh:
                self._report_renewal(error)
            raise
        self.last_error = None
        if generation == self._generation:
            self._is_invalidated, self._process = False, os.getpid()
            self.snapshot = snapshot
            if generation != self._generation:  # by another thread
                self.snapshot = EMPTY
        return snapshot

    def _has(self, held: TokenSnapshot, found: TokenSnapshot, query: TokenQuery) -> bool:
        """Return whether a token was installed after the caller, who joined late, looked for it."""
        return not query.fresh and held.token == found.token and self.now() < held.usable_until

    def _checked(self, share: Share) -> TokenSnapshot | Share:
        """Return a token, or a share of a new one if it expired before its waiter woke up."""
        options = self.acquisition.options
        if share.done():
            failure = share.exception()
        else:
            seconds = options.timeout + options.wait
            failure = single_flight.overdue(share.progress, self.host, seconds)
        if failure is not None:
            raise self._own(failure)
        fetched = share.result()
        if self.now() < fetched.usable_until:
            return fetched
        return self._join(TokenQuery(fetched.token))

    def _too_late(self) -> errors.KeyturnError:
        message = (
            f"{_WAITS} tokens in a row expired before they could be used; the process may be "
            "suspended or overloaded."
        )
        hint = "Check the load of this machine, or request tokens with a longer lifetime."
        return self._own(errors.EndpointUnavailable(message, hint=hint))

    def _discard(self) -> None:
        self._generation += 1
        self._is_invalidated = True
        self.snapshot = EMPTY

    def _report_renewal(self, failure: BaseException) -> None:
        """Report a failed renewal before the expiry, for which no caller waits."""
        own = self.acquisition
        _logger.warning("%s: the renewal before expiry failed: %s", own.connection, failure)
        url, error = own.latest().request.url, type(failure).__name__
        own.note("renewal_failure", url, url=url, reason="expiring", error=error)
        seconds = failure.retry_after if isinstance(failure, errors.RateLimited) else _MAX_RETRY
        self._postpone(self.snapshot, seconds)

    def _postpone(self, held: TokenSnapshot, seconds: float) -> bool:
        """Postpone the renewal, by at most a quarter of the time that is left.

        Return whether it was postponed: another thread may have replaced the token.
        """
        if held is EMPTY or self.snapshot is not held:
            return False
        now = self.now()
        pause = max(_MIN_RETRY, min(seconds, (held.usable_until - now) / 4))
        self.snapshot = attrs.evolve(held, fresh_until=min(held.usable_until, now + pause))
        return True


def _summary(error: BaseException) -> str:
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, errors.KeyturnError) else kind


def _is_same(one: Token, other: Token) -> bool:
    return one.access_token == other.access_token
