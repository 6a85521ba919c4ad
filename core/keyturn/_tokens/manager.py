"""What a connection does with its token: hold it, renew it ahead, and let go of it."""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._token import Token
from keyturn._tokens import lifetime
from keyturn._tokens.acquisition import TokenQuery
from keyturn._tokens.shared import Fetched, SharedAcquisition, sequence
from keyturn._tokens.snapshot import EMPTY, TokenSnapshot, hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._http.request import TokenRequest
    from keyturn._tokens.acquisition import Renewal
    from keyturn._tokens.snapshot import Headers

_MAX_RETRY = 30.0
# What a caller waits for may be over before it wakes up; more often than this, nothing helps.
_WAITS = 4

_logger = logging.getLogger("keyturn._connection")


class TokenManager:
    """Keeps the current token of one connection.

    Args:
        renewal: Obtains the tokens.
        connection: The connection's name, for errors and the log.
        headers: Returns what an API request with a token needs.
    """

    __slots__ = (
        "_clock",
        "_closed",
        "_connection",
        "_discarded",
        "_headers",
        "_renewal",
        "_shared",
        "held",
    )

    def __init__(
        self, renewal: Renewal, connection: str, headers: Callable[[Token], Headers]
    ) -> None:
        self._shared = SharedAcquisition(renewal, connection)
        self.held = EMPTY
        self._renewal = renewal
        self._clock = renewal.clock
        self._connection = connection
        self._headers = headers
        self._closed = False
        # What flights brought before this point of the sequence is not held any more.
        self._discarded = 0
        renewal.jitter = _jitter(renewal.request)

    def token(self, stale: Token | None) -> Token:
        """Return a token that may be used now; see `keyturn.Connection.token`."""
        found = self._find(stale)
        for _ in range(_WAITS):
            if not isinstance(found, Future):
                return found
            found = self._settle(self._shared.wait(found))
        raise self._too_late()

    async def atoken(self, stale: Token | None) -> Token:
        """Return a token that may be used now, without blocking the event loop."""
        found = self._find(stale)
        for _ in range(_WAITS):
            if not isinstance(found, Future):
                return found
            found = self._settle(await self._shared.wait_async(found))
        raise self._too_late()

    def invalidate(self, token: Token) -> None:
        """Forget `token` here and in the store, if it is still the current one."""
        held = self.held.token
        if held is None or _is_same(held, token):
            self.discard()
        self._renewal.discard(token)

    def discard(self) -> None:
        """Hold nothing, and nothing either that a flight has brought before now."""
        self._discarded = next(sequence)
        self._hold(EMPTY)

    def close(self) -> None:
        """Let go of the token for good."""
        self._closed = True
        self._hold(EMPTY)

    def check_open(self) -> None:
        """Raise an error if it is closed.

        Raises:
            keyturn.errors.ConfigurationError: It is.
        """
        if self._closed:
            raise errors.ConfigurationError(
                "the connection is closed.", connection=self._connection
            )

    def own(self, failure: errors.KeyturnError) -> errors.KeyturnError:
        """Return a copy of an error for this connection's caller."""
        return self._shared.own(failure)

    def _find(self, stale: Token | None) -> Token | Future[Fetched]:
        """Return a token that may be used at once, or the flight that brings one."""
        self.check_open()
        if stale is not None and not isinstance(stale, Token):
            raise errors.ConfigurationError("stale must be a Token.", connection=self._connection)
        held = self.held
        if held.token is not None and held.process != os.getpid():
            held = self._replanned(held)
        now, monotonic = self._clock.time(), self._clock.monotonic()
        if stale is not None and (held.token is None or _is_same(stale, held.token)):
            self._discarded = next(sequence)
            return self._shared.join(TokenQuery(stale, refused=True))
        if held.token is None or not held.is_usable(now, monotonic):
            return self._shared.join(TokenQuery(stale or held.token, refused=stale is not None))
        if not held.is_fresh(now, monotonic):
            self._postpone(held, _MAX_RETRY)
            flight = self._shared.join(TokenQuery(held.token, fresh=True))
            flight.add_done_callback(self._renewed_ahead)
        elif self._clock is SYSTEM:  # the glance is at the system's clock
            held.allow_glance(now)
        return held.token

    def _replanned(self, held: TokenSnapshot) -> TokenSnapshot:
        """Hold the same token in a forked child, to be renewed at another moment."""
        self._renewal.jitter = _jitter(self._renewal.request)
        ahead = held.usable_until_monotonic - held.usable_until
        assert held.token is not None  # noqa: S101 - for the type checkers
        new = hold(held.token, held.headers, self._renewal.plan(held.token), 0.0, ahead)
        self._hold(new)
        return new

    def _settle(self, landed: Fetched) -> Token | Future[Fetched]:
        """Hold what a flight brought, and return the token; another flight if it is over already.

        A waiter may wake up late: when the token has ended, or when another has discarded it.
        """
        token = landed.token
        plan, headers = self._renewal.plan(token), self._headers(token)
        held = hold(token, headers, plan, landed.now, landed.monotonic)
        if landed.number > self._discarded:
            self._hold(held)
            if landed.number < self._discarded:  # by another thread, just now
                self._hold(EMPTY)
        if held.is_usable(self._clock.time(), self._clock.monotonic()):
            return token
        return self._shared.join(TokenQuery(token))

    def _too_late(self) -> errors.KeyturnError:
        return errors.EndpointUnavailable(
            f"{_WAITS} tokens in a row had ended before they could be handed out.",
            connection=self._connection,
            hint="Look at what holds this process up, or ask for tokens that live longer.",
        )

    def _hold(self, held: TokenSnapshot) -> None:
        self.held = EMPTY if self._closed else held

    def _renewed_ahead(self, flight: Future[Fetched]) -> None:
        failure = flight.exception()
        if failure is None:
            self._settle(flight.result())
            return
        _logger.warning("%s: the renewal ahead of time failed: %s", self._connection, failure)
        seconds = failure.retry_after if isinstance(failure, errors.RateLimited) else _MAX_RETRY
        self._postpone(self.held, seconds)

    def _postpone(self, held: TokenSnapshot, seconds: float) -> None:
        if self.held is held:  # not when another thread has renewed or forgotten it meanwhile
            self._hold(held.postponed(seconds, self._clock.time(), self._clock.monotonic()))


def _is_same(one: Token, other: Token) -> bool:
    return one.access_token == other.access_token


def _jitter(request: TokenRequest) -> float:
    return lifetime.jitter(f"{request.fingerprint}:{os.getpid()}")
