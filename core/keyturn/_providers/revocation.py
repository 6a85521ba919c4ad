"""The address of the revocation endpoint, at the origin of the token endpoint in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keyturn import errors
from keyturn._http.steps import step_value
from keyturn._http.urls import origin

if TYPE_CHECKING:
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings


def revocation_url(provider: Provider[Any], settings: Settings) -> str | None:
    """Return the address of the revocation endpoint, or None if there is none.

    Where the setting `token_url` leads to another origin than the provider's own, the revocation
    endpoint follows: a secret and a token of a staging system must not go to production.

    Raises:
        keyturn.errors.ConfigurationError: A setting in the template of the address is missing.
    """
    if settings.revocation_url:
        return provider.expand(settings.revocation_url, settings)  # a template for `generic`
    if not provider.revocation_url:
        return None
    url = provider.expand(provider.revocation_url, settings)
    moved = moved_token_url(provider, settings)
    if moved is None or step_value(url):
        return url
    path, own = urlsplit(url).path, _own_token_url(provider, settings)
    if own and path.startswith(_directory(own)):
        path = _directory(moved) + path.removeprefix(_directory(own))
    return origin(moved) + path


def moved_token_url(provider: Provider[Any], settings: Settings) -> str | None:
    """Return the setting `token_url`, if it leads to another origin than the provider's own."""
    moved, own = settings.token_url, _own_token_url(provider, settings)
    return moved if moved and not (own and origin(moved) == origin(own)) else None


def _own_token_url(provider: Provider[Any], settings: Settings) -> str:
    try:
        url = provider.expand(provider.token_url, settings)
        return "" if step_value(url) else url
    except errors.ConfigurationError:
        return ""  # the settings in its template are optional beside `token_url`


def _directory(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[0] + "/"
