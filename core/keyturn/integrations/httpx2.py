"""The adapter for httpx2, for `httpx2.Client` and `httpx2.AsyncClient` alike."""

from __future__ import annotations

import httpx2

from keyturn.integrations._httpx import Flow, OneRequestHeaders


class _Headers(OneRequestHeaders, httpx2.Headers):  # type: ignore[misc]  # for mypy, it is that of httpx
    plain = httpx2.Headers


class KeyturnAuth(Flow, httpx2.Auth):
    """Adds a connection's token, and the provider's own headers, to requests for its API.

    keyturn replaces a caller's `Authorization`, and `Accept: */*`, which httpx2 sends by default;
    it keeps all other headers of the caller. After a 401 for a refused token, keyturn renews the
    token and sends the request once more. The API's own response is returned when the body is a
    stream (a form with files is one), or when there is no other token.

    The added headers belong to one request: httpx2 doesn't copy them to a redirected request.
    keyturn sends a request that was redirected within the API again, with the headers, if its
    method is GET, HEAD or OPTIONS, or if the API refused it. Like httpx2's own authentication, this
    reads the whole body of a 401.

    Args:
        connection: A connection, or the name of a configured one. An adapter made from a name can
            be pickled and copied.

    Raises:
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.ConfigurationError: A client other than httpx2 uses it.
        keyturn.errors.KeyturnError: No token can be acquired.

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

    _client = "httpx2"
    _byte_stream = httpx2.ByteStream
    _headers = _Headers
