"""What the token requests of a connection are made of, resolved when it is needed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.urls import url_problem
from keyturn._providers import calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._http.request import TokenRequest
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

_logger = logging.getLogger("keyturn")


@attrs.frozen(eq=False, repr=False)
class Credentials:
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

    Attributes:
        provider: The provider, whatever the settings.
        known: The credentials that were used last, or None.

    Raises:
        keyturn.errors.KeyturnError: The settings make no token request.
    """

    __slots__ = ("_connection", "_settings", "_warned", "known", "provider")

    def __init__(
        self, provider: Provider[Any], settings: Settings | Callable[[], Settings], connection: str
    ) -> None:
        self.provider = provider
        self._connection = connection
        self._settings = settings if callable(settings) else None
        self.known: Credentials | None = None
        self._warned = False
        if not callable(settings):
            self.known = self._made(settings)

    @property
    def is_fixed(self) -> bool:
        """Whether the settings never change."""
        return self._settings is None

    def resolve(self) -> Credentials:
        """Return the credentials of now: secret references are read again.

        Raises:
            keyturn.errors.KeyturnError: A reference can't be resolved.
        """
        if self._settings is not None:
            self.known = self._made(self._settings())
        assert self.known is not None  # noqa: S101 - for the type checkers
        return self.known

    def latest(self) -> Credentials:
        """Return the credentials that were used last; they are resolved if there are none."""
        return self.known or self.resolve()

    def _made(self, settings: Settings) -> Credentials:
        provider = calls.for_settings(self.provider, settings)
        request = calls.token_request(provider, settings)
        problem = url_problem(request.url)
        if problem:
            raise errors.ConfigurationError(f"the token endpoint's address {problem}.")
        if not self._warned:
            self._warned = True
            for warning in calls.warnings(provider, settings):
                _logger.warning("%s: %s", self._connection, warning)
        return Credentials(provider, settings, request)
