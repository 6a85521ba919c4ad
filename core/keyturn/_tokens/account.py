"""What the token requests of a connection are made of, resolved when it is needed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn import errors
from keyturn._http.urls import url_problem
from keyturn._providers import calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._http.request import TokenRequest
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

_logger = logging.getLogger("keyturn")


class Credentials(NamedTuple):
    """A provider, its settings and the token request that they make.

    Args:
        provider: The provider as it behaves for these settings.
        settings: The settings, with their secrets.
        request: The token request, without its fingerprint.
    """

    provider: Provider[Any]
    settings: Settings
    request: TokenRequest


class Account:
    """One account at one provider.

    Args:
        provider: The provider.
        settings: Its settings, which never change; or a function that resolves secret references
            and returns the settings of now.
        connection: The connection's name, for errors and the log.

    Raises:
        keyturn.errors.KeyturnError: The settings make no token request.
    """

    def __init__(
        self, provider: Provider[Any], settings: Settings | Callable[[], Settings], connection: str
    ) -> None:
        self.provider = provider
        self.is_fixed = not callable(settings)
        self._connection = connection
        self._settings = settings
        self._latest: Credentials | None = None
        if self.is_fixed:
            self.resolve()

    def resolve(self) -> Credentials:
        """Return the credentials of now: secret references are read again.

        Raises:
            keyturn.errors.KeyturnError: A reference can't be resolved.
        """
        if self._latest is not None and self.is_fixed:
            return self._latest
        settings = self._settings() if callable(self._settings) else self._settings
        provider = calls.for_settings(self.provider, settings)
        request = calls.token_request(provider, settings)
        problem = url_problem(request.url)
        if problem:
            raise errors.ConfigurationError(f"the token endpoint's address {problem}.")
        if self._latest is None:
            for warning in calls.warnings(provider, settings):
                _logger.warning("%s: %s", self._connection, warning)
        self._latest = Credentials(provider, settings, request)
        return self._latest

    def latest(self) -> Credentials:
        """Return the credentials that were used last; they are resolved if there are none."""
        return self._latest or self.resolve()
