"""The agent's own responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from keyturn import errors
from keyturn._rate_limit import whole_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

# The most bytes of a request body to the agent itself; a proxied body may have any size.
MAX_BODY = 65_536
# A cache must not store tokens or names of connections.
PRIVATE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_STATUSES: dict[type[errors.KeyturnError], int] = {
    errors.RateLimited: 503,
    errors.EndpointUnavailable: 503,
    errors.TokenRequestRefused: 502,
    errors.InvalidTokenResponse: 502,
}


class NotServed(Exception):
    """The connection or the page does not exist."""


class ClientGone(Exception):
    """The client has closed the connection, or sends nothing."""


class TooLarge(Exception):
    """A request's body is too large.

    Args:
        most: The maximum number of bytes.
    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


def problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response of the agent."""
    return PlainTextResponse(f"keyturn: {message}\n", status, {**PRIVATE, **(headers or {})})


def not_found() -> Response:
    """Return the same response for a wrong secret, an unknown connection and an unknown page.

    So a caller without the secret can't learn the names of connections.
    """
    return problem(
        404,
        "not found. Check the session secret, the connection's name and the path.",
        {"x-keyturn-error": "NotFound"},
    )


def failure(error: errors.KeyturnError) -> Response:
    """Return the response to a request for which no token could be acquired."""
    headers = {"x-keyturn-error": type(error).__name__}
    if isinstance(error, errors.RateLimited):
        headers["retry-after"] = str(whole_seconds(error.retry_after))
    return problem(failure_status(error), str(error), headers)


def failure_status(error: errors.KeyturnError) -> int:
    """Return the HTTP status for an error."""
    return next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 500)


async def body_of(request: Request) -> bytes:
    """Return a request's body.

    Raises:
        TooLarge: It has more than `MAX_BODY` bytes.
        ClientGone: The client has gone.
    """
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise TooLarge(MAX_BODY)
    except ClientDisconnect:
        raise ClientGone from None
    return body
