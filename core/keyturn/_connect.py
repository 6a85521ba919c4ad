"""Opening a connection from a provider's name and plain settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._connection import Connection
from keyturn._options import DEFAULT_MARGIN, Options, option_problem
from keyturn._plugins.loading import provider as find_provider
from keyturn._providers.settings import read
from keyturn.stores._opening import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn.stores._base import TokenStore


def connect(
    provider: str,
    /,
    *,
    store: str | TokenStore | None = None,
    name: str | None = None,
    margin: float = DEFAULT_MARGIN,
    timeout: float = 30.0,
    wait: float = 0.0,
    **settings: Any,
) -> Connection:
    """Return a connection to one account at one provider; nothing is sent yet.

    Args:
        provider: The provider's name; `keyturn.providers()` lists them.
        store: A token store or its URL; by default `$KEYTURN_STORE`, else the memory of this
            process, which all its connections share.
        name: What messages call the connection; by default the provider's name.
        margin: Seconds before its end from which a token is renewed; a fifth of the token's
            lifetime and the provider's cap bound it.
        timeout: Seconds for a token request, retries included.
        wait: Seconds to wait at most when the token endpoint's rate limit is used up; 0 raises
            `keyturn.errors.RateLimited` at once.
        settings: The provider's settings.

    Raises:
        keyturn.errors.ConfigurationError: A setting is wrong or missing (all mistakes are named),
            or the provider or the store can't be used.

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
        found = find_provider(provider)
        values, problems = read(found.settings, settings)
    finally:
        settings.clear()  # a traceback with locals must not show what is in them
    given = {"margin": margin, "timeout": timeout, "wait": wait}
    problems += _option_problems(given)
    if values is None or problems:
        raise errors.ConfigurationError(
            f"the settings for {provider} have {len(problems)} mistake(s):",
            problems=problems,
            connection=name,
        )
    return Connection(found, values, store=open_store(store), name=name, options=Options(**given))


def _option_problems(options: Mapping[str, float]) -> list[str]:
    problems = ((name, option_problem(name, value)) for name, value in options.items())
    return [f"{name}: {problem}" for name, problem in problems if problem]
