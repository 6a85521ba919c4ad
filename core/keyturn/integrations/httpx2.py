"""The adapter for httpx2, for `httpx2.Client` and `httpx2.AsyncClient` alike."""

from __future__ import annotations

import httpx2

from keyturn.integrations._httpx_flow import Flow, OwnHeaders


class _Headers(OwnHeaders, httpx2.Headers):  # type: ignore[misc]  # for mypy, the one is httpx'
    plain = httpx2.Headers


class KeyturnAuth(Flow, httpx2.Auth):
    """Puts a connection's token, and the provider's own headers, on requests for its API.

    A caller's `Authorization` is replaced, and so is `Accept: */*`, which httpx2 sends by itself;
    all other headers of the caller's stay. After a 401 that means the token, the token is renewed
    and the request sent once more; when its body is a stream (a form with files is one), or there
    is no other token to be had, the API's own response is returned. What is added here doesn't
    follow a redirect to another origin. A redirect within the API is followed without the
    provider's own headers; if it is then refused, it is sent again with them, but a response of 2xx
    stays. Like httpx2's own authentication, it reads the whole body of a 401.

    Args:
        connection: Where the tokens come from.

    Raises:
        keyturn.errors.ForeignOrigin: A request doesn't lead to the API's origin (RFC 6454); it
            isn't sent.
        keyturn.errors.KeyturnError: There is no token to be had.

    Example:
        >>> import httpx2, keyturn
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ... )
        >>> client = httpx2.Client(
        ...     base_url=connection.api_url,
        ...     auth=keyturn.integrations.httpx2.KeyturnAuth(connection),
        ... )
    """

    _byte_stream = httpx2.ByteStream
    _own_headers = _Headers
