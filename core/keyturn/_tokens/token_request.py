"""A token request with its rate limit and its retries; what came of it is kept in the store."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn._http.response import DEFAULT_RETRY_AFTER, Response, error_for, retry_after
from keyturn._providers import calls
from keyturn._secret import Secret
from keyturn._tokens import entries
from keyturn._tokens.rate_limiter import RateLimiter, endpoint_key

if TYPE_CHECKING:
    from keyturn._http.request import TokenRequest
    from keyturn._token import Token
    from keyturn._tokens.acquisition import Acquisition, TokenQuery
    from keyturn._tokens.snapshot import TokenSnapshot

_ATTEMPTS = 3
_BACKOFF = 0.25
# A secret of a few letters is found in many words.
_SHORTEST_SECRET = 8

_logger = logging.getLogger("keyturn")


@attrs.frozen(eq=False, repr=False)
class TokenRequester:
    """Sends one token request, up to three times.

    Args:
        acquisition: For whom.
        request: The token request, with its fingerprint.
        query: Which token is wanted; its `responses` get the responses.
    """

    acquisition: Acquisition
    request: TokenRequest
    query: TokenQuery

    def run(self) -> TokenSnapshot:
        """Return the token, which is in the store then.

        Raises:
            keyturn.errors.KeyturnError: There is none.
        """
        own, clock = self.acquisition, self.acquisition.clock
        declared = own.account.latest().provider.rate_limit
        limiter = RateLimiter(own.store, clock, endpoint_key(self.request.url), declared)
        wait = own.options.wait - limiter.acquire(own.options.wait)
        # Only from here: what the rate limit and its lock took must not be missing here.
        deadline = clock.monotonic() + own.options.timeout
        attempt = 0
        while True:
            attempt += 1
            result, cooldown = self._send(attempt, deadline)
            if not isinstance(result, errors.KeyturnError):
                return result
            if cooldown is not None:
                limiter.cool_down(cooldown)
            pause = _pause(result, cooldown, attempt, deadline - clock.monotonic(), wait)
            if pause is None:
                raise result
            clock.sleep(pause)
            waited = limiter.acquire(wait)
            wait -= waited
            deadline += waited
            if clock.monotonic() >= deadline:
                raise result

    def _send(
        self, attempt: int, deadline: float
    ) -> tuple[TokenSnapshot | errors.KeyturnError, float | None]:
        """Send it once; return the token or the error, and how long the server wants no other."""
        own, clock = self.acquisition, self.acquisition.clock
        began = clock.monotonic()
        response = error = lifetime = cooldown = None
        result: TokenSnapshot | errors.KeyturnError
        try:
            response = own.transport.send(self.request, max(0.0, deadline - began), clock)
            self.query.responses.append(response)
            result = self._read(response, began)
            lifetime = result.token.lifetime
            entry = entries.TokenEntry(result.token, clock.id, began)
            text = entries.to_text(entry, self.request.fingerprint)
            own.store.write(self.request.fingerprint, text, result.token.expires_at)
        except errors.KeyturnError as failure:
            result, error = failure, type(failure).__name__
            cooldown = self._keep_error(failure, response)
        own.note(
            "token_request",
            reason=self.query.reason,
            attempt=attempt,
            duration=clock.monotonic() - began,
            status=response.status if response else None,
            error=error,
            lifetime=lifetime,
        )
        return result, cooldown

    def _read(self, response: Response, began: float) -> TokenSnapshot:
        """Return the token in a response.

        Raises:
            keyturn.errors.KeyturnError: There is none that can be used.
        """
        provider, settings, _ = self.acquisition.account.latest()
        error = calls.read_error(provider, settings, response)
        if error is not None or response.status != provider.token_status:
            declared = provider.rate_limit
            pause = declared.period if declared else DEFAULT_RETRY_AFTER
            secrets = self.request.secrets()
            raise error_for(error, response, secrets, retry_after_default=pause)
        token = calls.read_token(provider, settings, response, self.request)
        self._check(token)
        snapshot = self.acquisition.plan(token, began, self.request.fingerprint)
        now = self.acquisition.clock.monotonic()
        if now < snapshot.usable_until:
            return snapshot
        if snapshot.usable_until > began:
            message = "the process was suspended during the token request."
            raise errors.EndpointUnavailable(message, hint="Try again.")
        raise errors.InvalidTokenResponse("the token endpoint's token has expired already.")

    def _check(self, token: Token) -> None:
        """Refuse a token that shows a secret; warn of a scope that was not granted."""
        request = self.request
        shown = "\n".join([token.scope or "", token.token_type, *token.extra])
        for secret in (token.access_token, *map(Secret.reveal, request.secrets())):
            if len(secret) >= _SHORTEST_SECRET and secret in shown:
                raise errors.InvalidTokenResponse(
                    "the token endpoint's response repeats a secret where none belongs."
                )
        if set(request.scope) - set((token.scope or "").split()):
            granted = (self.acquisition.account.provider.name, token.scope, request.scope)
            _logger.warning("%s granted the scope %r, but %r was requested", *granted)

    def _keep_error(self, error: errors.KeyturnError, response: Response | None) -> float | None:
        """Keep an error response; return the seconds for which the server wants no request."""
        if isinstance(error, errors.TokenRequestRefused):
            now = self.acquisition.clock.time()
            entry = entries.error_to_entry(error, now)
            key = f"refused-{self.request.fingerprint}"
            self.acquisition.store.write(key, entry, now + entries.CACHED_SECONDS)
        if isinstance(error, errors.RateLimited):
            return error.retry_after
        if isinstance(error, errors.EndpointUnavailable) and response is not None:
            return retry_after(response)
        return None


def _pause(
    error: errors.KeyturnError, cooldown: float | None, attempt: int, left: float, wait: float
) -> float | None:
    """Return the seconds to sleep before another attempt, or None when there is to be none.

    Args:
        error: What failed.
        cooldown: Seconds for which the server wants no request, or None.
        attempt: How many there were.
        left: Seconds left for the token request.
        wait: Seconds that may still be waited for the rate limit.
    """
    if attempt == _ATTEMPTS:
        return None
    pause = _BACKOFF * 2.0**attempt * (0.5 + random.random() / 2)  # noqa: S311 - no secret
    at_least = max(pause, cooldown or 0.0)
    if isinstance(error, errors.EndpointUnavailable) and at_least < left:
        return at_least
    if cooldown is not None and 0 < wait >= cooldown:
        return max(0.0, pause - cooldown)  # the rate limiter waits for the cooldown itself
    return None
