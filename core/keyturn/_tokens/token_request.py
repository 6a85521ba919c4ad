"""A token request with its rate limit and its retries; what came of it is kept in the store."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from keyturn import errors
from keyturn._http.response import DEFAULT_RETRY_AFTER, error_for, retry_after
from keyturn._providers import calls
from keyturn._secret import Secret
from keyturn._tokens import entries, negative_cache
from keyturn._tokens.rate_limiter import RateLimiter, endpoint_key

if TYPE_CHECKING:
    from keyturn._event import Reason
    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._token import Token
    from keyturn._tokens.acquisition import Acquisition
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
        reason: Why a token is wanted.
        responses: Gets the responses.
    """

    acquisition: Acquisition
    request: TokenRequest
    reason: Reason
    responses: list[Response] | None

    def run(self) -> TokenSnapshot:
        """Return the token, which is in the store then.

        Raises:
            keyturn.errors.KeyturnError: There is none.
        """
        own, clock = self.acquisition, self.acquisition.clock
        limiter = self._limiter()
        wait = own.options.wait - limiter.acquire(own.options.wait)
        # Only from here: what the rate limit and its lock took must not be missing here.
        deadline = clock.monotonic() + own.options.timeout
        attempt = 0
        while True:
            attempt += 1
            result, cooldown = self._send(attempt, deadline)
            if not isinstance(result, errors.KeyturnError):
                return result
            failure = result
            pause = _pause(failure, cooldown, attempt, deadline - clock.monotonic(), wait)
            if attempt == _ATTEMPTS or pause is None:
                break
            clock.sleep(pause)
            waited = limiter.acquire(wait)
            wait -= waited
            deadline += waited
            if clock.monotonic() >= deadline:
                break
        raise failure

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
            result = self._read(response, began)
            lifetime = result.token.lifetime
            self._keep(result.token, began)
        except errors.KeyturnError as failure:
            result, error = failure, type(failure).__name__
            cooldown = self._keep_error(failure, response)
        if self.responses is not None and response is not None:
            self.responses.append(response)
        own.note(
            "token_request",
            host_of(self.request),
            reason=self.reason,
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
        credentials = self.acquisition.account.latest()
        provider, settings = credentials.provider, credentials.settings
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

    def _keep(self, token: Token, issued: float) -> None:
        own, key = self.acquisition, self.request.fingerprint
        entry = entries.TokenEntry(token, own.clock.id, issued)
        own.store.write(key, entries.to_text(entry, key), token.expires_at)

    def _keep_error(self, error: errors.KeyturnError, response: Response | None) -> float | None:
        """Keep an error response; return the seconds for which the server wants no request."""
        own = self.acquisition
        if isinstance(error, errors.TokenRequestRefused):
            now = own.clock.time()
            entry = negative_cache.to_entry(error, now)
            key = f"refused-{self.request.fingerprint}"
            own.store.write(key, entry, now + negative_cache.SECONDS)
            return None
        cooldown = None
        if isinstance(error, errors.RateLimited):
            cooldown = error.retry_after
        elif isinstance(error, errors.EndpointUnavailable) and response is not None:
            cooldown = retry_after(response)
        if cooldown is not None:
            self._limiter().cool_down(cooldown)
        return cooldown

    def _limiter(self) -> RateLimiter:
        own, key = self.acquisition, endpoint_key(self.request.url)
        return RateLimiter(own.store, own.clock, key, own.account.latest().provider.rate_limit)


def host_of(request: TokenRequest) -> str:
    """Return the host that a token request is sent to."""
    return urlsplit(request.url).hostname or ""


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
    pause = _BACKOFF * 2.0**attempt * (0.5 + random.random() / 2)  # noqa: S311 - no secret
    at_least = max(pause, cooldown or 0.0)
    if isinstance(error, errors.EndpointUnavailable) and at_least < left:
        return at_least
    if cooldown is not None and 0 < wait >= cooldown:
        return max(0.0, pause - cooldown)  # the rate limiter waits for the cooldown itself
    return None
