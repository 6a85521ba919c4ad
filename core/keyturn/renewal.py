"""From a token request to a token: the store, the lock, the budget and the retries around it.

`Renewal.obtain` is the one path on which a token comes to be.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors, events, lifetime, refusals
from keyturn import token as tokens
from keyturn.allowance import Allowance, endpoint_key
from keyturn.budget import Budget
from keyturn.clock import SYSTEM, Clock
from keyturn.lifetime import State
from keyturn.response import DEFAULT_RETRY_AFTER, Answer, refusal
from keyturn.token import Token

if TYPE_CHECKING:
    from keyturn._provider import Provider
    from keyturn.request import TokenRequest
    from keyturn.settings import Settings
    from keyturn.stores.guard import GuardedStore
    from keyturn.transport import Transport

_ATTEMPTS = 3
_BACKOFF = 0.25
_LEASE_EXTRA = 5.0
_OK = 200
_LONGEST = 86_400.0
# A dead API that answers 401 for ever must not burn the token endpoint's budget.
_FORCED = Budget(per_minute=2, burst=5)

_logger = logging.getLogger("keyturn.renewal")


@attrs.frozen
class Exchange:
    """What went over the wire for one token request; nothing secret shows in its `repr`.

    Args:
        request: What was sent.
        answer: What came back, or None when nothing did.
        result: The token in it, or our error.
    """

    request: TokenRequest
    answer: Answer | None
    result: Token | errors.KeyturnError


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
class Need:
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


ANY = Need()


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
        provider: Reads the answers, and declares the budget.
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
    store: GuardedStore
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
        return refusals.from_entry(self.store.read(self._refusal_key), self.clock.time())

    def obtain(self, need: Need = ANY) -> Outcome:
        """Return a token that may be used, from the store or else from the token endpoint.

        Raises:
            keyturn.errors.RateLimited: Besides the token endpoint's own reasons, an API refused
                too many tokens in the last minutes.
            keyturn.errors.KeyturnError: There is no token to be had.
        """
        found = self._found(need)
        if found is not None:
            return Outcome(found)
        lease = self.options.timeout + self.options.wait + _LEASE_EXTRA
        with self.store.lock(self.request.fingerprint, lease):
            found = self._found(need)
            if found is not None:
                return Outcome(found)
            if need.refused and need.other_than is not None and self._is_stored(need.other_than):
                self._spend_on_refusals()
                self.discard(need.other_than)
            return self._request_token()

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
        answer = self.transport.send(request, self.options.timeout)
        if answer.status != _OK:
            raise refusal(
                self.provider.read_error(self.settings, answer), answer, request.secrets()
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

    def _found(self, need: Need) -> Token | None:
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

    def _spend_on_refusals(self) -> None:
        """Count a token that an API refused before its end; too many are not replaced."""
        key = f"forced-{self.request.fingerprint}"
        try:
            Allowance(self.store, self.clock, key, _FORCED).spend(wait=0.0)
        except errors.RateLimited as limited:
            seconds = limited.retry_after
        else:
            return
        raise errors.RateLimited(
            "an API goes on refusing new tokens, so no other is requested for now.",
            retry_after=seconds,
            hint=f"Look at what the API answers; ask again in {seconds:.0f} s.",
        )

    def _request_token(self) -> Outcome:
        deadline = self.clock.monotonic() + self.options.timeout
        attempt = 1
        while True:
            deadline += self._allowance().spend(self.options.wait)
            exchange = self._exchange(max(0.0, deadline - self.clock.monotonic()))
            self.last_exchange = exchange
            self._tell(exchange)
            if isinstance(exchange.result, Token):
                return Outcome(exchange.result, exchange)
            pause = _BACKOFF * 2.0**attempt * (0.5 + random.random() / 2)  # noqa: S311 - no secret
            in_time = self.clock.monotonic() + pause < deadline
            transient = isinstance(exchange.result, errors.EndpointUnavailable)
            if attempt == _ATTEMPTS or not (transient and in_time):
                raise exchange.result
            self.clock.sleep(pause)
            attempt += 1

    def _exchange(self, seconds: float) -> Exchange:
        answer = None
        try:
            answer = self.transport.send(self.request, seconds)
            token = self._read(answer)
        except errors.KeyturnError as error:
            self._after_failure(error)
            return Exchange(self.request, answer, error)
        entry = tokens.to_entry(token, self.request.fingerprint)
        self.store.write(self.request.fingerprint, entry, token.expires_at)
        return Exchange(self.request, answer, token)

    def _read(self, answer: Answer) -> Token:
        error = self.provider.read_error(self.settings, answer)
        if error is not None or answer.status != self.provider.token_status:
            declared = self.provider.budget
            pause = declared.period if declared else DEFAULT_RETRY_AFTER
            raise refusal(error, answer, self.request.secrets(), retry_after_default=pause)
        token = self.provider.read_token(self.settings, answer, self.request)
        if self.state(token) is State.EXPIRED:
            message = "the token endpoint gave a token that has expired already."
            raise errors.InvalidTokenResponse(message)
        missing = set(self.request.scope) - set((token.scope or "").split())
        if missing:
            granted = (self.provider.name, token.scope, self.request.scope)
            _logger.warning("%s granted the scope %r where %r was asked for", *granted)
        return token

    def _after_failure(self, error: errors.KeyturnError) -> None:
        now = self.clock.time()
        if isinstance(error, errors.RateLimited):
            self._allowance().block(error.retry_after)
        elif isinstance(error, errors.TokenRequestRefused):
            entry = refusals.to_entry(error, now)
            self.store.write(self._refusal_key, entry, now + refusals.MEMORY)

    def _allowance(self) -> Allowance:
        key = endpoint_key(self.request.url)
        return Allowance(self.store, self.clock, key, self.provider.budget)

    def _tell(self, exchange: Exchange) -> None:
        obtained = isinstance(exchange.result, Token)
        events.emit(
            "token_obtained" if obtained else "token_request_failed",
            provider=self.provider.name,
            url=self.request.url,
            fingerprint=self.request.fingerprint,
            status=exchange.answer.status if exchange.answer else None,
            error=None if obtained else type(exchange.result).__name__,
        )
