"""The adapter for httpx, for `httpx.Client` and `httpx.AsyncClient` alike."""

from __future__ import annotations

import httpx

from keyturn.integrations._httpx import Flow, OneRequestHeaders


class _Headers(OneRequestHeaders, httpx.Headers):
    plain = httpx.Headers


class KeyturnAuth(Flow, httpx.Auth):
    """Adds a connection's token, and the provider's own headers, to requests for its API.

    A caller's `Authorization` is replaced, and so is `Accept: */*`, which httpx sends by itself;
    all other headers of the caller stay. After a 401 that means the token, the token is renewed
    and the request is sent once more. The API's own response is returned when the body is a stream
    (a form with files is one), or when there is no other token.

    What is added here belongs to one request: httpx doesn't copy it to a redirected one. A request
    that was redirected within the API is sent again with it if its method is GET, HEAD or OPTIONS,
    or if the API refused it. Like httpx' own authentication, this reads the whole body of a 401.

    Args:
        connection: Where the tokens come from: a connection, or the name of a configured one.
            Made from a name, it can be pickled and copied.

    Raises:
        keyturn.errors.ForeignOrigin: A request doesn't lead to the API's origin (RFC 6454); it
            isn't sent.
        keyturn.errors.ConfigurationError: Another client than httpx uses it.
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
