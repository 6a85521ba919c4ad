"""The adapter for httpx, for `httpx.Client` and `httpx.AsyncClient` alike."""

from __future__ import annotations

import httpx

from keyturn.integrations._httpx import Flow, OneRequestHeaders


class _Headers(OneRequestHeaders, httpx.Headers):
    plain = httpx.Headers


class KeyturnAuth(Flow, httpx.Auth):
    """Adds a connection's token, and the provider's own headers, to requests for its API.

    keyturn replaces a caller's `Authorization`, and `Accept: */*`, which httpx sends by default; it
    keeps all other headers of the caller. After a 401 for a refused token, keyturn renews the token
    and sends the request once more. The API's own response is returned when the body is a stream (a
    form with files is one), or when there is no other token.

    The added headers belong to one request: httpx doesn't copy them to a redirected request.
    keyturn sends a request that was redirected within the API again, with the headers, if its
    method is GET, HEAD or OPTIONS, or if the API refused it. Like httpx's own authentication, this
    reads the whole body of a 401.

    Args:
        connection: A connection, or the name of a configured one. An adapter made from a name can
            be pickled and copied.

    Raises:
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.ConfigurationError: A client other than httpx uses it.
        keyturn.errors.KeyturnError: No token can be acquired.

    Example:
        >>> import httpx, keyturn
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ... )
        >>> client = httpx.Client(
        ...     base_url=connection.api_url,
        ...     auth=keyturn.integrations.httpx.KeyturnAuth(connection),
        ... )
    """

    _client = "httpx"
    _byte_stream = httpx.ByteStream
    _headers = _Headers
