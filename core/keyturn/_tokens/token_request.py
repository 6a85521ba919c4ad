"""A token request with its rate limit and retries; the store keeps its outcome."""

from __future__ import annotations

import functools
import logging
import math
import random
from typing import TYPE_CHECKING

import attrs

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._common.redaction import Redaction
from keyturn._http.policy import PERMISSIVE
from keyturn._http.response import (
    DEFAULT_RETRY_AFTER,
    MAX_RETRY_AFTER,
    Response,
    error_for,
    retry_after,
)
from keyturn._http.values import HintedValue
from keyturn._providers import response_calls
from keyturn._rate_limit import RateLimit, whole_seconds
from keyturn._secret import Secret
from keyturn._tokens import entries
from keyturn._tokens.host_queue import HostQueue
from keyturn._tokens.options import STORE_PATIENCE
from keyturn._tokens.rate_limiter import (
    RateLimiter,
    SharedBuckets,
    shared_key,
)
from keyturn._tokens.single_flight import Postponed
from keyturn._tokens.snapshot import TokenSnapshot
from keyturn._tokens.workers import pool

if TYPE_CHECKING:
    from keyturn._http.request import TokenRequest
    from keyturn._token import Token
    from keyturn._tokens.acquisition import Acquisition
    from keyturn._tokens.token_query import Credentials, TokenQuery

_ATTEMPTS = 3
_BACKOFF = 0.25
# Seconds without a response after which a host is suspect.
_SLOW = 2.0
# The difference in seconds that two clocks may show for the same time.
_ROUNDING = 0.05
_UNREAD = "It is the provider's read_token that does not take it: report it to its authors."
_SHORTEST_SECRET = 8

# Not `random`'s own functions, whose state forks without Python's hooks share.
_random = random.SystemRandom()
_logger = logging.getLogger("keyturn")


def request_token(own: Acquisition, credentials: Credentials, query: TokenQuery) -> TokenSnapshot:
    """Send a token request, up to three times; store the token and return it.

    Args:
        own: The acquisition of the connection.
        credentials: The credentials of the request, which has its fingerprint.
        query: The token query; its `exchanges` record requests and responses.

    Raises:
        keyturn.errors.KeyturnError: No token could be acquired.
    """
    clock, limiter, wait = own.clock, rate_limiter(own, credentials), own.options.wait
    last = query.deadline
    if last is not None:
        wait = max(0.0, min(wait, last - clock.monotonic()))
    waited = limiter.acquire(wait)
    # The timeout begins here, so that the wait for the rate limit and its lock does not shorten it.
    deadline = clock.monotonic() + own.options.timeout - max(0.0, waited - wait)
    deadline = deadline if last is None else min(deadline, last)
    wait = max(0.0, wait - waited)
    attempt = 0
    while True:
        attempt += 1
        # A server that delays a response also limits the rate, so this uses the same time.
        began, seen, end = clock.monotonic(), len(query.exchanges), deadline + wait
        end = end if last is None else min(end, last)
        result, cooldown = _send(own, credentials, query, attempt, end)
        took, has_responded = clock.monotonic() - began, len(query.exchanges) > seen
        is_late = not has_responded and began + took > end - _ROUNDING
        if limiter.queue.is_probe or is_late:
            limiter.queue.leave(took if has_responded else None, is_late=is_late)
        if isinstance(result, TokenSnapshot):
            return result
        if is_late:
            result.hint += " If the server lets requests wait, raise timeout or wait."
        _limit(own, limiter, result, cooldown)
        pause = _pause(result, cooldown, attempt, deadline - clock.monotonic(), wait)
        if pause is None:
            raise result
        query.progress.step = "store", SYSTEM.monotonic() + pause + wait + STORE_PATIENCE
        _logger.info("%s: retrying in %.1f s: %s", own.connection, pause, result.message)
        clock.sleep(pause)
        waited = limiter.acquire(wait)
        deadline += min(waited, wait)
        wait = max(0.0, wait - waited)
        if clock.monotonic() >= deadline:
            raise result


def rate_limiter(own: Acquisition, credentials: Credentials) -> RateLimiter:
    """Return the rate limiter of the token endpoint's host."""
    declared, url = credentials.provider.rate_limit, credentials.request.url
    chosen = own.options.rate_limit or declared
    # A plugin's subclass of RateLimit would not be equal to any limit in the store.
    limit = RateLimit(chosen.per_minute, chosen.burst) if isinstance(chosen, RateLimit) else None
    account = functools.partial(_account, own, credentials)
    shared = SharedBuckets(own.store, own.clock, shared_key(url))
    queue = HostQueue(shared, url, own.options.timeout)
    return RateLimiter(shared, url, limit, account, queue)


def _send(
    own: Acquisition, credentials: Credentials, query: TokenQuery, attempt: int, deadline: float
) -> tuple[TokenSnapshot | errors.KeyturnError, float | None]:
    """Send it once; return the token or the error, and the pause that the server requests."""
    request, clock = credentials.request, own.clock
    began = clock.monotonic()
    response = cooldown = lifetime = None
    result: TokenSnapshot | errors.KeyturnError
    try:
        response = _exchange(own, request, query, max(0.0, deadline - began))
        query.exchanges.append((request, response))
        result = _read(own, credentials, response, began)
        if query.step_values:
            extra = {**result.token.extra, **query.step_values}
            result = attrs.evolve(result, token=attrs.evolve(result.token, extra=extra))
        query.progress.step = "store", SYSTEM.monotonic() + STORE_PATIENCE
        lifetime = result.token.expires_at - result.token.issued_at
        entry = entries.TokenEntry(result.token, clock.id, began)
        stored = entries.entry_to_json(entry, request.fingerprint)
        if own.index:
            own.index.add(request.fingerprint, result.token.expires_at)
        own.store.write(request.fingerprint, stored, result.token.expires_at)
    except errors.KeyturnError as failure:
        query.progress.step = "store", SYSTEM.monotonic() + STORE_PATIENCE
        if isinstance(failure, errors.InvalidTokenResponse):
            failure.hint = failure.hint or _UNREAD
        result, cooldown = failure, _keep_error(own, request, failure, response)
    own.note(
        "token_request",
        request.url,
        url=request.url,
        method=request.method,
        reason=query.reason,
        attempt=attempt,
        duration=clock.monotonic() - began,
        status=response.status if response else None,
        error=None if lifetime else type(result).__name__,
        lifetime=lifetime,
    )
    return result, cooldown


def _exchange(
    own: Acquisition, request: TokenRequest, query: TokenQuery, seconds: float
) -> Response:
    """Return the response, and record whether the host responds, for its share of the workers."""
    began, progress = SYSTEM.monotonic(), query.progress
    # A caller's own thread, as in `explain`, is not a worker that other hosts need.
    leash = pool.get().leash(own.host) if progress.is_started else math.inf
    # Waiters keep the deadline themselves, because a name resolution, or a provider's code that
    # reads the response, can't be cancelled.
    until = SYSTEM.monotonic() + seconds
    progress.step = "request", until
    try:
        response = own.transport.send(request, min(seconds, leash), own.clock, own.options.policy)
    except errors.EndpointUnavailable:
        waited = SYSTEM.monotonic() - began
        # The duration decides, because a dead name server reports no timeout.
        if waited > _SLOW:
            progress.lane = "suspect"
        if leash <= waited < seconds:
            message = "%s: no response for %d s: the token request waits for hosts that respond"
            _logger.info(message, own.connection, waited)
            raise Postponed from None
        raise
    progress.lane = "proven"
    progress.step = "settings", until  # the provider reads the response
    return response


def _read(
    own: Acquisition, credentials: Credentials, response: Response, began: float
) -> TokenSnapshot:
    """Return the token in a response.

    Raises:
        keyturn.errors.KeyturnError: It has no usable token.
    """
    provider, settings, request = credentials
    error = response_calls.read_error(provider, settings, response)
    wanted = provider.token_status
    is_token = response.status == wanted if isinstance(wanted, int) else response.status in wanted
    if error is not None or not is_token:
        limit = rate_limiter(own, credentials).limit
        pause = min(limit.period, MAX_RETRY_AFTER) if limit else DEFAULT_RETRY_AFTER
        failure = error_for(
            error,
            response,
            own.secrets(request, response),
            url=request.url,
            retry_after_default=pause,
            only_oauth=own.options.policy != PERMISSIVE,
        )
        if response.status == 403 or isinstance(failure, errors.InvalidClient):
            values = (value for _, value in request.extra_headers)
            failure.hint += "".join(each.hint() for each in values if isinstance(each, HintedValue))
        raise failure
    token = _checked(
        own, credentials, response_calls.read_token(provider, settings, response, request)
    )
    snapshot = own.plan(token, began, request.fingerprint)
    if own.clock.monotonic() < snapshot.usable_until:
        return snapshot
    if snapshot.usable_until > began:
        message = "the process was suspended during the token request."
        raise errors.EndpointUnavailable(message, hint="Try again.")
    raise errors.InvalidTokenResponse(
        "the token endpoint's token has expired already.",
        hint="Check lifetime_field and lifetime_format, and the clocks of server and machine.",
    )


def _checked(own: Acquisition, credentials: Credentials, token: Token) -> Token:
    """Return a token without secrets in its other fields; warn of a scope that is not granted."""
    provider, _, request = credentials
    requested = set(request.scope)
    granted = set((token.scope or "").split())
    # Requested or usual values are not secret, so most responses need no search.
    if not (granted <= requested and token.token_type.lower() == "bearer" and not token.extra):
        secrets = own.secrets(request, token)
        # A secret of a few letters occurs in many words.
        long = [each for each in secrets if len(each.reveal()) >= _SHORTEST_SECRET]
        redaction = Redaction(long, whole=True)
        token = attrs.evolve(
            token,
            scope=token.scope and redaction.text(token.scope),
            token_type=redaction.text(token.token_type),
            extra=redaction.value(dict(token.extra)),
        )
    if requested - granted:
        message = "%s granted the scope %r, but %r was requested"
        _logger.warning(message, provider.name, token.scope, request.scope)
    return token


def _keep_error(
    own: Acquisition, request: TokenRequest, error: errors.KeyturnError, response: Response | None
) -> float | None:
    """Cache an error response; return the seconds of the pause that the server requests."""
    if isinstance(error, errors.TokenRequestRefused):
        key = f"refused-{request.fingerprint}"
        entry, until = entries.error_to_entry(error, own.clock.time(), own.store.read(key))
        if own.index:
            own.index.add(request.fingerprint, until)
        own.store.write(key, entry, until)
    if isinstance(error, errors.RateLimited):
        return error.retry_after
    if isinstance(error, errors.EndpointUnavailable) and response is not None:
        return retry_after(response)
    return None


def _limit(
    own: Acquisition, limiter: RateLimiter, error: errors.KeyturnError, cooldown: float | None
) -> None:
    """Report a failure to the rate limiter."""
    if cooldown is not None:
        message = "%s: the token endpoint asks for %d s without request"
        _logger.info(message, own.connection, whole_seconds(cooldown))
        limiter.cool_down(cooldown)
    if isinstance(error, (errors.TokenRequestRefused, errors.InvalidTokenResponse)):
        limiter.count_refused()


def _account(own: Acquisition, credentials: Credentials) -> str:
    """Return the account of the requests, which stays the same when a secret changes.

    It is the connection's name, if one is set, or else the settings that are not secret.
    """
    if own.connection != credentials.provider.name:
        return own.connection
    values = attrs.asdict(credentials.settings, recurse=False).items()
    return "\n".join(f"{n}={value}" for n, value in values if not isinstance(value, Secret))


def _pause(
    error: errors.KeyturnError, cooldown: float | None, attempt: int, left: float, wait: float
) -> float | None:
    """Return the seconds to sleep before another attempt, or None if no retry is allowed.

    Args:
        error: The failure.
        cooldown: The seconds of the pause that the server requests, or None.
        attempt: The number of attempts so far.
        left: Seconds left for the token request.
        wait: Seconds left to wait for the rate limit.
    """
    if attempt == _ATTEMPTS:
        return None
    pause = _BACKOFF * 2.0**attempt * (0.5 + _random.random() / 2)
    at_least = max(pause, cooldown or 0.0)
    if isinstance(error, errors.EndpointUnavailable):
        if not error.transient:
            return None
        if at_least < left:
            return at_least
    if cooldown is not None and 0 < wait >= cooldown:
        return max(0.0, pause - cooldown)  # the rate limiter waits for the cooldown itself
    return None
