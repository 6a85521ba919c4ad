"""Opening a connection from a provider's name and plain settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from keyturn import errors, lifetime, stores
from keyturn.connection import Connection
from keyturn.once import Once, Undivided
from keyturn.plugins import provider as find_provider
from keyturn.renewal import Options, option_problem
from keyturn.settings import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keyturn.secret import Secret
    from keyturn.stores.base import TokenStore

STORE_VARIABLE = "KEYTURN_STORE"
"""The environment variable that names the token store's URL when none is given."""


def connect(
    provider: str,
    /,
    *,
    store: str | TokenStore | None = None,
    name: str | None = None,
    margin: float = lifetime.DEFAULT_MARGIN,
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


def open_store(store: str | TokenStore | None) -> TokenStore:
    """Return the token store of `connect`'s argument of that name."""
    chosen = (os.environ.get(STORE_VARIABLE) or None) if store is None else store
    if chosen is None:
        return _process_memory()
    if isinstance(chosen, str):
        return stores.from_url(chosen) if chosen == "memory://" else shared_store(chosen)
    if isinstance(chosen, stores.TokenStore):
        return chosen
    raise errors.ConfigurationError(
        f"a {type(chosen).__name__} is not a token store.",
        hint="Give a URL such as disk:///var/cache/x, or an object with a store's four methods.",
    )


@Once
def shared_store(url: str) -> TokenStore:
    """Return the token store at a URL, one for all connections of this process that name it."""
    return stores.from_url(url)


def shared_encrypted_store(store: TokenStore, keys: Sequence[Secret]) -> TokenStore:
    """Return `store` with its entries encrypted, one for all connections of this process.

    What callers share (a request in progress, what is remembered while the store fails) belongs to
    one store object.

    Raises:
        keyturn.errors.ConfigurationError: There is no key, or one is of another form.
    """
    with _encrypting:
        for inner, used, encrypted in _encrypted_stores:
            if inner is store and used == keys:
                return encrypted
        new = stores.EncryptedStore(store, keys)
        _encrypted_stores.append((store, keys, new))
        return new


_encrypting = Undivided()
_encrypted_stores: list[tuple[TokenStore, Sequence[Secret], TokenStore]] = []


@Once
def _process_memory() -> TokenStore:
    return stores.from_url("memory://")


def _option_problems(options: Mapping[str, float]) -> list[str]:
    problems = ((name, option_problem(name, value)) for name, value in options.items())
    return [f"{name}: {problem}" for name, problem in problems if problem]
