"""What a connection does with its token: keep it, renew it ahead of its expiry, and discard it."""

from __future__ import annotations

import functools
import logging
import os
import random
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

import attrs

from keyturn import errors
from keyturn._providers import calls
from keyturn._token import Token
from keyturn._tokens.acquisition import TokenQuery
from keyturn._tokens.failures import for_caller
from keyturn._tokens.fingerprint import local_key
from keyturn._tokens.single_flight import ReentrantCallError, SingleFlight, wait
from keyturn._tokens.snapshot import EMPTY, TokenSnapshot
from keyturn._tokens.token_request import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from concurrent.futures import Future

    from keyturn._event import Reason
    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._tokens.acquisition import Acquisition
    from keyturn._tokens.snapshot import Headers
    from keyturn.stores._base import TokenStore

T = TypeVar("T")

_MAX_RETRY = 30.0
_SPREAD = 0.25
# A token may expire before its waiter wakes up; more often than this, nothing helps.
_WAITS = 4
# For locks whose holder is gone, twice: that of the request, and that of the rate limit.
_PATIENCE_EXTRA = 15.0

_logger = logging.getLogger("keyturn")
_flights: SingleFlight[TokenSnapshot, TokenSnapshot] = SingleFlight()


class TokenManager:
    """Keeps the current token of one connection.

    Args:
        acquisition: Acquires the tokens.

    Attributes:
        snapshot: The current token; `keyturn._tokens.snapshot.EMPTY` when there is none.
        now: Returns the time on the connection's monotonic clock.
    """

    __slots__ = (
        "__weakref__",
        "_acquisition",
        "_flight_key",
        "_generation",
        "_is_closed",
        "_is_invalidated",
        "_patience",
        "now",
        "snapshot",
    )

    def __init__(self, acquisition: Acquisition) -> None:
        self.snapshot = EMPTY
        self.now: Callable[[], float] = acquisition.clock.monotonic
        self._acquisition = acquisition
        self._flight_key = self._new_flight_key()
        options = acquisition.options
        self._patience = options.timeout + options.wait + _PATIENCE_EXTRA
        # A token that was wanted before the current one was discarded is not kept.
        self._generation = 0
        self._is_invalidated = False
        self._is_closed = False
        _managers.add(self)

    def get(self, stale: Token | None = None) -> TokenSnapshot:
        """Return a token that may be used now; see `keyturn.Connection.token`."""
        found = self._find(stale)
        for _ in range(_WAITS):
            if isinstance(found, TokenSnapshot):
                return found
            try:
                found = self._checked(found.result(self._patience))
            except Exception as error:  # noqa: BLE001 - only keyturn's errors come out
                failure = error
                break
        else:
            failure = self._too_late()
        raise self.own(failure)

    async def aget(self, stale: Token | None = None) -> TokenSnapshot:
        """Return a token that may be used now, without blocking the event loop."""
        found = self._find(stale)
        for _ in range(_WAITS):
            if isinstance(found, TokenSnapshot):
                return found
            try:
                found = self._checked(await wait(found, self._patience))
            except Exception as error:  # noqa: BLE001 - only keyturn's errors come out
                failure = error
                break
        else:
            failure = self._too_late()
        raise self.own(failure)

    def peek(self) -> TokenSnapshot:
        """Return the token of this connection or of the store; `EMPTY` if none may be used.

        Nothing is sent.
        """
        self.check_open()
        held = self.snapshot
        if self.now() < held.usable_until:
            return held
        stored = self._acquisition.stored(self._request())
        return (
            EMPTY
            if stored is None
            else attrs.evolve(stored, headers=self._new_headers(stored.token))
        )

    @property
    def store(self) -> TokenStore:
        """The token store."""
        return self._acquisition.store.store

    def refused(self) -> errors.TokenRequestRefused | None:
        """Return the error response that the store keeps for the token request."""
        return self._acquisition.refused(self._request())

    def invalidate(self, token: Token) -> None:
        """Discard `token` here and in the store, if it is still the current one."""
        if self.snapshot is EMPTY or _is_same(self.snapshot.token, token):
            self._discard()
        self._acquisition.discard(self._request(), token)

    def forget(self) -> None:
        """Discard what is kept here and in the store: a token, an error response."""
        self.check_open()
        self._discard()
        self._acquisition.forget(self._request())

    def close(self) -> None:
        """Discard the token here for good; it stays in the store."""
        self._is_closed = True
        self.snapshot = EMPTY

    def check_open(self) -> None:
        """Raise an error if the connection is closed.

        Raises:
            keyturn.errors.ConfigurationError: It is.
        """
        if self._is_closed:
            name = self._acquisition.connection
            raise errors.ConfigurationError("the connection is closed.", connection=name)

    def headers(self, token: Token) -> Headers:
        """Return what an API request with a token needs; the token's own header is first."""
        held = self.snapshot
        return held.headers if held.token is token else self._new_headers(token)

    def api_url(self, token: Token | None) -> str | None:
        """Return where the API is, as far as settings and token determine it."""
        credentials = self._acquisition.account.latest()
        return calls.api_url_for(credentials.provider, credentials.settings, token)

    def token_rejected(self, response: Response) -> bool:
        """Return whether an API's 401 response means the token."""
        credentials = self._acquisition.account.latest()
        return calls.token_rejected(credentials.provider, credentials.settings, response)

    def spread(self) -> None:
        """Move the renewal to a moment of this process, towards the expiry.

        Workers forked from one parent that had a token would all renew it at once.
        """
        held = self.snapshot
        if held is not EMPTY:
            left = held.usable_until - held.fresh_until
            pause = _SPREAD * left * random.random()  # noqa: S311 - no secret
            self.snapshot = attrs.evolve(held, fresh_until=held.fresh_until + pause)

    def own(self, failure: Exception) -> errors.KeyturnError:
        """Return an error for one caller: one raised in two threads mixes their tracebacks."""
        return for_caller(failure, self._acquisition.connection, self._patience)

    def _new_flight_key(self) -> Hashable:
        """Return what connections have in common that share their workers."""
        own = self._acquisition
        if not own.account.is_fixed:
            return self
        request = own.account.latest().request.with_fingerprint(local_key())
        return (id(own.store.store), request.fingerprint, own.options, own.clock.id)

    def _find(self, stale: Token | None) -> TokenSnapshot | Future[TokenSnapshot]:
        """Return a token that may be used now, or the future of one."""
        if self._is_closed:
            self.check_open()
        if stale is not None and not isinstance(stale, Token):
            raise self.own(errors.ConfigurationError("stale must be a Token."))
        held, now = self.snapshot, self.now()
        if stale is not None and (held is EMPTY or _is_same(stale, held.token)):
            return self._join(TokenQuery(stale, refused=True, reason="refused"))
        if now >= held.usable_until:
            if stale is not None:
                return self._join(TokenQuery(stale, refused=True, reason="refused"))
            reason: Reason = "invalidated" if self._is_invalidated else "cold"
            return self._join(TokenQuery(None if held is EMPTY else held.token, reason=reason))
        if now >= held.fresh_until and self._postpone(held, _MAX_RETRY):
            query = TokenQuery(held.token, fresh=True, reason="expiring")
            self._join(query)
        return held

    def _join(self, query: TokenQuery) -> Future[TokenSnapshot]:
        acquisition = self._acquisition
        try:
            return _flights.join(
                (self._flight_key, query),
                functools.partial(acquisition.acquire, query),
                self,
                functools.partial(self._install, self._generation),
                functools.partial(self._failed, query),
                acquisition.emit_events,
            )
        except ReentrantCallError:
            failure = errors.ConfigurationError(
                "a token is requested on the thread that acquires it.",
                hint="Call no connection from a handler of keyturn's log, nor from a provider's "
                "method.",
            )
        raise self.own(failure)

    def _install(self, generation: int, fetched: TokenSnapshot) -> TokenSnapshot:
        """Keep a token that a worker has acquired, with its headers."""
        snapshot = attrs.evolve(fetched, headers=self._new_headers(fetched.token))
        if generation == self._generation and not self._is_closed:
            self._is_invalidated = False
            self.snapshot = snapshot
            if generation != self._generation or self._is_closed:  # by another thread, just now
                self.snapshot = EMPTY
        return snapshot

    def _checked(self, fetched: TokenSnapshot) -> TokenSnapshot | Future[TokenSnapshot]:
        """Return a token, or the future of another if it has expired before its waiter woke up."""
        if self.now() < fetched.usable_until:
            return fetched
        return self._join(TokenQuery(fetched.token))

    def _too_late(self) -> errors.KeyturnError:
        return errors.EndpointUnavailable(
            f"{_WAITS} tokens in a row expired before they could be used; the process may be "
            "suspended or overloaded.",
            hint="Check the load of this machine, or request tokens with a longer lifetime.",
        )

    def _discard(self) -> None:
        self._generation += 1
        self._is_invalidated = True
        self.snapshot = EMPTY

    def _failed(self, query: TokenQuery, failure: BaseException) -> None:
        """Report a renewal ahead of the expiry that has failed: no caller waits for it."""
        if not query.fresh:
            return
        own = self._acquisition
        _logger.warning("%s: the renewal ahead of time failed: %s", own.connection, failure)
        host = host_of(own.account.latest().request)
        own.note("renewal_failure", host, reason="expiring", error=type(failure).__name__)
        seconds = failure.retry_after if isinstance(failure, errors.RateLimited) else _MAX_RETRY
        self._postpone(self.snapshot, seconds)

    def _postpone(self, held: TokenSnapshot, seconds: float) -> bool:
        """Put off the renewal, unless another thread has replaced the token meanwhile."""
        if held is EMPTY or self.snapshot is not held:
            return False
        self.snapshot = held.postponed(seconds, self.now())
        return True

    def _request(self) -> TokenRequest:
        return self._acquisition.with_fingerprint(self._acquisition.account.latest().request)

    def _new_headers(self, token: Token) -> Headers:
        credentials = self._acquisition.account.latest()
        provider, settings = credentials.provider, credentials.settings
        name, value = calls.authorization(provider, settings, token)
        others = dict(calls.api_request_headers(provider, settings, token))
        others.pop(name, None)
        return ((name, value), *others.items())


# Those of this process, for its children.
_managers: WeakSet[TokenManager] = WeakSet()


def _spread_in_child() -> None:
    for manager in list(_managers):
        manager.spread()


if hasattr(os, "register_at_fork"):  # pragma: no branch - it is missing on Windows
    os.register_at_fork(after_in_child=_spread_in_child)


def _is_same(one: Token, other: Token) -> bool:
    return one.access_token == other.access_token
