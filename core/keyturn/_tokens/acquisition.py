"""From a token request to a token: the store, the lock, the rate_limit and the retries around it.

`Renewal.obtain` is the one path on which a token comes to be.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import _token as tokens
from keyturn import errors
from keyturn._clock import SYSTEM, Clock
from keyturn._http.response import error_for
from keyturn._plugins import events
from keyturn._token import Token
from keyturn._tokens import lifetime, negative_cache
from keyturn._tokens.exchange import Exchange, read
from keyturn._tokens.lifetime import State
from keyturn._tokens.rate_limiter import RateLimiter, endpoint_key, replace_refused

if TYPE_CHECKING:
    from keyturn._http.request import TokenRequest
    from keyturn._http.transport import Transport
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn.stores._resilient import ResilientStore

_ATTEMPTS = 3
_BACKOFF = 0.25
_LEASE_EXTRA = 5.0
_CLOCK_TOLERANCE = 1.0
_OK = 200
_LONGEST = 86_400.0

_logger = logging.getLogger("keyturn._tokens.acquisition")


@attrs.frozen(kw_only=True)
class Options:
    """How a connection behaves, whatever its provider.

    Args:
        margin: Seconds before its end from which a token is renewed; a fifth of the token's
            lifetime and the provider's cap bound it.
        timeout: Seconds for a token request, retries included.
        wait: Seconds to wait at most when the token endpoint's rate limit is used up; 0 raises
            `keyturn.errors.RateLimited` at once.
    """

    margin: float = lifetime.DEFAULT_MARGIN
    timeout: float = 30.0
    wait: float = 0.0


def option_problem(name: str, value: object) -> str | None:
    """Return what keeps a value from being the option of that name, or None."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and 0 <= value <= _LONGEST and (value or name != "timeout"):  # type: ignore[operator]
        return None
    least = "above 0" if name == "timeout" else "not below 0"
    return f"must be a number of seconds, {least} and at most {_LONGEST:g}"


@attrs.frozen
class TokenQuery:
    """What is asked of a renewal.

    Args:
        other_than: A token that will not do: it was refused, or it is over by a clock that the
            store does not know.
        refused: Whether an API refused it.
        fresh: Whether only a fresh token will do, as when one is renewed ahead of time.
    """

    other_than: Token | None = None
    refused: bool = False
    fresh: bool = False

    def is_met_by(self, token: Token, state: State) -> bool:
        """Tell whether a token that may still be used will do."""
        unwanted = self.other_than is not None and (
            self.other_than.access_token == token.access_token
        )
        return not unwanted and (state is State.FRESH or not self.fresh)


ANY = TokenQuery()


@attrs.frozen
class Outcome:
    """How a token was obtained.

    Args:
        token: The token.
        exchange: The exchange with the token endpoint, or None when the store had the token.
    """

    token: Token
    exchange: Exchange | None = None


@attrs.define(kw_only=True)
class Renewal:
    """Obtains the tokens of one token request.

    Args:
        provider: Reads the responses, and declares the rate_limit.
        settings: The provider's settings.
        request: The token request, with its fingerprint.
        store: Where entries live.
        transport: Sends the token request.
        options: How the connection behaves, whatever its provider.
        jitter: Where in the spread of renewal points this process lies, from 0 up to 1.
        clock: The clocks.
    """

    provider: Provider[Any]
    settings: Settings
    request: TokenRequest
    store: ResilientStore
    transport: Transport
    options: Options
    jitter: float = 0.0
    clock: Clock = SYSTEM
    last_exchange: Exchange | None = attrs.field(default=None, init=False)

    def plan(self, token: Token) -> lifetime.Lifetime:
        """Decide when `token` is to be renewed."""
        margin = min(self.options.margin, self.provider.max_margin)
        return lifetime.plan(token.issued_at, token.expires_at, margin=margin, jitter=self.jitter)

    def state(self, token: Token) -> State:
        """Return the state of `token` now."""
        return self.plan(token).state(self.clock.time())

    def stored(self) -> Token | None:
        """Return the store's token if it may still be used."""
        token = self._entry()
        return None if token is None or self.state(token) is State.EXPIRED else token

    def remembered(self) -> errors.TokenRequestRefused | None:
        """Return the refusal that the store remembers, if there is one."""
        return negative_cache.from_entry(self.store.read(self._refusal_key), self.clock.time())

    def obtain(self, need: TokenQuery = ANY) -> Outcome:
        """Return a token that may be used, from the store or else from the token endpoint.

        Raises:
            keyturn.errors.RateLimited: Besides the token endpoint's own reasons, an API refused
                too many tokens in the last minutes.
            keyturn.errors.KeyturnError: There is no token to be had.
        """
        found = self._found(need)
        if found is not None:
            return Outcome(found)
        exchanges: list[Exchange] = []
        try:
            return self._obtained_alone(need, exchanges)
        finally:
            # Not before the lock is free: nobody should wait for a plugin.
            self._tell(exchanges)

    def _obtained_alone(self, need: TokenQuery, exchanges: list[Exchange]) -> Outcome:
        lease = self.options.timeout + self.options.wait + _LEASE_EXTRA
        with self.store.lock(self.request.fingerprint, lease):
            found = self._found(need)
            if found is not None:
                return Outcome(found)
            if need.refused and need.other_than is not None and self._is_stored(need.other_than):
                replace_refused(self.store, self.clock, self.request.fingerprint)
                self.discard(need.other_than)
            return self._request_token(exchanges)

    def discard(self, token: Token) -> None:
        """Remove `token` from the store, if it is still the one that is there."""
        held = self._entry()
        if held is not None and held.access_token == token.access_token:
            self.store.delete(self.request.fingerprint)

    def forget(self) -> None:
        """Remove what the store holds for this token request: the token, a remembered refusal."""
        self.store.delete(self.request.fingerprint)
        self.store.delete(self._refusal_key)

    def revoke(self, request: TokenRequest) -> None:
        """Send a revocation request (RFC 7009 section 2.1)."""
        response = self.transport.send(request, self.options.timeout, self.clock)
        if response.status != _OK:
            raise error_for(
                self.provider.read_error(self.settings, response), response, request.secrets()
            )

    @property
    def _refusal_key(self) -> str:
        return f"refused-{self.request.fingerprint}"

    def _entry(self) -> Token | None:
        entry = self.store.read(self.request.fingerprint)
        if entry is None:
            return None
        token = tokens.from_entry(entry, self.request.fingerprint)
        if token is None:
            _logger.warning(
                "the store's entry at %s is no token of this key's: it is passed over",
                self.request.fingerprint,
            )
        return token

    def _found(self, need: TokenQuery) -> Token | None:
        """Return a token from the store that will do, or raise a refusal it remembers."""
        token = self.stored()
        if token is not None and need.is_met_by(token, self.state(token)):
            return token
        remembered = self.remembered()
        if remembered is not None:
            raise remembered
        return None

    def _is_stored(self, token: Token) -> bool:
        held = self.stored()
        return held is not None and held.access_token == token.access_token

    def _request_token(self, exchanges: list[Exchange]) -> Outcome:
        rate_limiter = self._allowance()
        wait = self.options.wait - rate_limiter.spend(self.options.wait)
        # Not before: what the rate_limit and its lock took must not be lacking for the request.
        deadline = self.clock.monotonic() + self.options.timeout
        attempt = 1
        while True:
            exchange = self._exchange(max(0.0, deadline - self.clock.monotonic()))
            self.last_exchange = exchange
            exchanges.append(exchange)
            if isinstance(exchange.result, Token):
                return Outcome(exchange.result, exchange)
            pause = _pause(exchange, attempt, deadline - self.clock.monotonic(), wait)
            if attempt == _ATTEMPTS or pause is None:
                raise exchange.result
            self.clock.sleep(pause)
            waited = rate_limiter.spend(wait)
            wait -= waited
            deadline += waited
            if self.clock.monotonic() >= deadline:
                raise exchange.result
            attempt += 1

    def _exchange(self, seconds: float) -> Exchange:
        began = (self.clock.time(), self.clock.monotonic())
        response = None
        result: Token | errors.KeyturnError
        try:
            response = self.transport.send(self.request, seconds, self.clock)
            result = read(self.provider, self.settings, self.request, response)
            self._check_usable(result, *began)
        except errors.KeyturnError as error:
            result = error
        exchange = Exchange(self.request, response, result)
        self._remember(exchange)
        return exchange

    def _check_usable(self, token: Token, time: float, monotonic: float) -> None:
        """Refuse a token that has expired; the clocks are those of when it was asked for."""
        if self.state(token) is not State.EXPIRED:
            return
        took = self.clock.monotonic() - monotonic
        clock_was_set = abs(self.clock.time() - time - took) > _CLOCK_TOLERANCE
        if clock_was_set or took >= self.plan(token).usable_until - token.issued_at:
            message = (
                "the clock was set, or this process stood still, while a token was on its way."
            )
            raise errors.EndpointUnavailable(message, hint="Ask again.")
        message = "the token endpoint gave a token that has expired already."
        raise errors.InvalidTokenResponse(message)

    def _remember(self, exchange: Exchange) -> None:
        result, now = exchange.result, self.clock.time()
        if isinstance(result, Token):
            entry = tokens.to_entry(result, self.request.fingerprint)
            self.store.write(self.request.fingerprint, entry, result.expires_at)
        elif isinstance(result, errors.TokenRequestRefused):
            entry = negative_cache.to_entry(result, now)
            self.store.write(self._refusal_key, entry, now + negative_cache.MEMORY)
        elif exchange.silence is not None:
            self._allowance().block(exchange.silence)

    def _allowance(self) -> RateLimiter:
        key = endpoint_key(self.request.url)
        return RateLimiter(self.store, self.clock, key, self.provider.rate_limit)

    def _tell(self, exchanges: list[Exchange]) -> None:
        if exchanges:
            events.emit([exchange.event(self.provider.name) for exchange in exchanges])


def _pause(exchange: Exchange, attempt: int, left: float, wait: float) -> float | None:
    """Return the seconds to sleep before another attempt, or None when there is to be none.

    Args:
        exchange: What failed.
        attempt: How many there were.
        left: Seconds left for the token request.
        wait: Seconds that may still be waited for the rate limit.
    """
    pause = _BACKOFF * 2.0**attempt * (0.5 + random.random() / 2)  # noqa: S311 - no secret
    silence = exchange.silence or 0.0
    in_time = max(pause, silence) < left
    if isinstance(exchange.result, errors.EndpointUnavailable) and in_time:
        return max(pause, silence)
    if exchange.silence is not None and 0 < wait >= silence:
        return max(0.0, pause - silence)  # the rate_limiter waits out the silence itself
    return None
