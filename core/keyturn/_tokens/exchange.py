"""One exchange with a token endpoint: what was sent, what came back, and what that means."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.response import DEFAULT_RETRY_AFTER, Response, error_for, retry_after
from keyturn._token import Token

if TYPE_CHECKING:
    from keyturn._http.request import TokenRequest
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

_SHORTEST_SECRET = 8

_logger = logging.getLogger("keyturn._tokens.acquisition")


@attrs.frozen
class Exchange:
    """What went over the wire for one token request; nothing secret shows in its `repr`.

    Args:
        request: What was sent.
        response: What came back, or None when nothing did.
        result: The token in it, or our error.
    """

    request: TokenRequest
    response: Response | None
    result: Token | errors.KeyturnError

    @property
    def silence(self) -> float | None:
        """Seconds for which the token endpoint is to be left alone; None when nobody said so."""
        if isinstance(self.result, errors.RateLimited):
            return self.result.retry_after
        if isinstance(self.result, errors.EndpointUnavailable) and self.response is not None:
            return retry_after(self.response)
        return None

    def event(self, provider: str) -> dict[str, Any]:
        """Return what plugins are told about it.

        Args:
            provider: The provider's name.
        """
        obtained = isinstance(self.result, Token)
        return {
            "kind": "token_obtained" if obtained else "token_request_failed",
            "provider": provider,
            "url": self.request.url,
            "fingerprint": self.request.fingerprint,
            "status": self.response.status if self.response else None,
            "error": None if obtained else type(self.result).__name__,
        }


def read(
    provider: Provider[Any], settings: Settings, request: TokenRequest, response: Response
) -> Token:
    """Return the token in a response to a token request.

    Args:
        provider: Reads it.
        settings: The provider's settings.
        request: What was sent.
        response: What came back.

    Raises:
        keyturn.errors.KeyturnError: There is none that may be believed.
    """
    error = provider.read_error(settings, response)
    if error is not None or response.status != provider.token_status:
        declared = provider.rate_limit
        pause = declared.period if declared else DEFAULT_RETRY_AFTER
        raise error_for(error, response, request.secrets(), retry_after_default=pause)
    token = provider.read_token(settings, response, request)
    if _quotes_a_secret(token, request):
        message = "the token endpoint's response repeats a secret where none belongs."
        raise errors.InvalidTokenResponse(message)
    missing = set(request.scope) - set((token.scope or "").split())
    if missing:
        granted = (provider.name, token.scope, request.scope)
        _logger.warning("%s granted the scope %r where %r was asked for", *granted)
    return token


def _quotes_a_secret(token: Token, request: TokenRequest) -> bool:
    """Tell whether what is shown of a token holds the token itself, or one of the secrets sent.

    One of a few letters is found in many a word: that tells nothing.
    """
    secrets = [token.access_token, *(secret.reveal() for secret in request.secrets())]
    shown = [token.scope or "", token.token_type, *token.extra]
    return any(
        secret in text for secret in secrets if len(secret) >= _SHORTEST_SECRET for text in shown
    )
