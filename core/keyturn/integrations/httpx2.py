"""The adapter for httpx2, for `httpx2.Client` and `httpx2.AsyncClient` alike."""

from __future__ import annotations

import httpx2

from keyturn.integrations._httpx import Flow, OneRequestHeaders


class _Headers(OneRequestHeaders, httpx2.Headers):  # type: ignore[misc]  # for mypy, the one is httpx'
    plain = httpx2.Headers


class KeyturnAuth(Flow, httpx2.Auth):
    """Adds a connection's token, and the provider's own headers, to requests for its API.

    A caller's `Authorization` is replaced, and so is `Accept: */*`, which httpx2 sends by itself;
    all other headers of the caller stay. After a 401 that means the token, the token is renewed
    and the request is sent once more. The API's own response is returned when the body is a stream
    (a form with files is one), or when there is no other token.

    What is added here belongs to one request: httpx2 doesn't copy it to a redirected one. A request
    that was redirected within the API is sent again with it if its method is GET, HEAD or OPTIONS,
    or if the API refused it. Like httpx2's own authentication, this reads the whole body of a 401.

    Args:
        connection: Where the tokens come from: a connection, or the name of a configured one.
            Made from a name, it can be pickled and copied.

    Raises:
        keyturn.errors.ForeignOrigin: A request doesn't lead to the API's origin (RFC 6454); it
            isn't sent.
        keyturn.errors.ConfigurationError: Another client than httpx2 uses it.
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
