"""`keyturn.connect`: a connection from a provider and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn._connection import Connection, make_connection
from keyturn._http.policy import PERMISSIVE, NetworkPolicy
from keyturn._tokens.options import DEFAULT_MARGIN, specify
from keyturn.stores._opening import open_store

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from keyturn._plugins.events import Listener
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._rate_limit import RateLimit
    from keyturn.stores._base import TokenStore


def connect(
    provider: str | Provider[Any],
    settings: Mapping[str, Any] | Settings | None = None,
    /,
    *,
    store: str | TokenStore | None = None,
    name: str | None = None,
    policy: NetworkPolicy = PERMISSIVE,
    margin: float = DEFAULT_MARGIN,
    timeout: float = 30.0,
    wait: float = 0.0,
    rate_limit: str | RateLimit | None = None,
    tls: ssl.SSLContext | str | None = None,
    on_event: Listener | None = None,
    **setting_keywords: Any,
) -> Connection:
    """Return a connection to one account at one provider; this sends nothing.

    Args:
        provider: The provider's name (`keyturn.providers()` lists them), or a provider.
        settings: The provider's settings, as a mapping such as a form or a database row, or as an
            instance of its settings class. It can contain no option and no secret reference.
        store: A token store or its URL; by default `$KEYTURN_STORE`, else the memory of this
            process, which all its connections share.
        name: The connection's name in messages, with control characters escaped; by default the
            provider's name.
        policy: Restricts the settings, and the hosts that the connection may reach; by default
            everything is allowed, because the application's own developer writes the settings.
        margin: Seconds before the expiry at which keyturn renews a token; limited by a fifth of the
            token's lifetime and the provider's `max_margin`.
        timeout: Seconds for a token request, including retries.
        wait: Maximum seconds to wait for the token endpoint's rate limit, and for a server that
            delays a response beyond `timeout`; with 0, `keyturn.errors.RateLimited` is raised at
            once.
        rate_limit: The token requests that the token endpoint's host allows, instead of the
            provider's declared limit: a string such as `3/min burst 20` (a number, then `/s`,
            `/min` or `/h`; the number at once, by default 1), a `keyturn.plugins.RateLimit`, or
            `none` for no limit. keyturn always obeys the server's own 429 and `Retry-After`.
        tls: The TLS configuration for token requests: a context, or the path of a PEM file of
            certificate authorities; by default the authorities of `KEYTURN_CA_FILE`,
            `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else those of certifi.
        on_event: Called with each `keyturn.Event` of the connection, in the worker's thread, after
            callers have their result. keyturn logs its exceptions. It must not block, because it
            occupies the worker.
        setting_keywords: The provider's settings, if `settings` is not given.

    Raises:
        keyturn.errors.ConfigurationError: A setting is wrong, missing or forbidden by the policy
            (`problems` lists all mistakes), or the provider or the store can't be used.

    Example:
        >>> import keyturn
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ... )
        >>> connection.api_url
        'https://shop.example/admin/api'
    """
    try:
        specification = specify(
            provider,
            settings,
            name=name,
            policy=policy,
            margin=margin,
            timeout=timeout,
            wait=wait,
            rate_limit=rate_limit,
            tls=tls,
            on_event=on_event,
            **setting_keywords,
        )
    finally:
        setting_keywords.clear()  # a traceback with locals must not show what is in them
    return make_connection(specification, open_store(store))
