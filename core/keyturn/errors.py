"""The errors of keyturn; it raises no others.

Each says what failed, for which connection, and what to do next. None contains a secret: keyturn
redacts messages of servers and plugins. Control characters are escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from keyturn._common.names import escaped, shown

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.frozen(repr=False)
class Problem:
    """One mistake in settings, options or a configuration file; its `str` is "path: message".

    Args:
        path: The location of the mistake, such as `client_secret` or `connections.shop.timeout`;
            empty if it has no single location.
        message: The mistake, such as "must not be empty". It contains no secret.
    """

    path: str = attrs.field(converter=escaped)
    message: str = attrs.field(converter=escaped)

    __repr__ = shown

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class KeyturnError(Exception):
    """The base class of every error that keyturn raises.

    Args:
        message: What failed, as a sentence.
        connection: The name of the connection, or None.
        hint: What to do next, as a sentence.
    """

    def __init__(self, message: str, *, connection: str | None = None, hint: str = "") -> None:
        message = escaped(message)
        super().__init__(message)
        self.message = message
        self.connection = connection
        self.hint = escaped(hint)

    def __str__(self) -> str:
        subject = f"{self.connection}: " if self.connection else ""
        return escaped(f"{subject}{self.message}{' ' + self.hint if self.hint else ''}")

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own pickling and copying loses keyword-only arguments.
        return _new, (type(self), *self.args), self.__dict__


def _new(cls: type[KeyturnError], *args: Any) -> KeyturnError:
    return cls.__new__(cls, *args)


class ConfigurationError(KeyturnError):
    """Settings, an option, a configuration file or a plugin can't be used.

    Args:
        message: What failed, as a sentence.
        problems: Every mistake found.
        connection: The name of the connection, or None.
        hint: What to do next, as a sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        problems: Iterable[Problem] = (),
        connection: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, connection=connection, hint=hint)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n  - ".join([super().__str__(), *map(str, self.problems)])


class ProviderNotFound(ConfigurationError):
    """No installed distribution registers a provider with that name."""


class ProviderConflict(ConfigurationError):
    """Two installed distributions register a provider with the same name."""


class ProviderLoadError(ConfigurationError):
    """The chosen provider's plugin can't be imported, or returns no usable provider."""


class ConnectionNotFound(ConfigurationError, KeyError):
    """`keyturn.Connections` has no open connection with that id."""


class TokenRequestRefused(KeyturnError):
    """The authorization server refused the token request (RFC 6749 section 5.2).

    Args:
        message: What failed, as a sentence.
        error: The OAuth error code; empty if the response has none, or if it may contain a secret.
        status: The HTTP status of the response.
        connection: The name of the connection, or None.
        hint: What to do next, as a sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        error: str = "",
        status: int = 0,
        connection: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, connection=connection, hint=hint)
        self.error = error
        self.status = status


class InvalidClient(TokenRequestRefused):
    """The server does not know the client id, or its secret is wrong (`invalid_client`)."""


class InvalidScope(TokenRequestRefused):
    """The scope is unknown, malformed or not granted to this client (`invalid_scope`)."""


class RateLimited(KeyturnError):
    """The rate limit of the token endpoint is reached: the server's limit or the declared one.

    Args:
        message: What failed, as a sentence.
        retry_after: Seconds after which a token request may succeed.
        connection: The name of the connection, or None.
        hint: What to do next, as a sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float,
        connection: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, connection=connection, hint=hint)
        self.retry_after = retry_after


class EndpointUnavailable(KeyturnError):
    """The token endpoint can't be reached, is too slow, or reports a server failure.

    Args:
        message: What failed, as a sentence.
        transient: Whether a retry may succeed. It is false for causes that a person must fix, such
            as an untrusted certificate, or a proxy that refuses its credentials. keyturn does not
            retry these.
        connection: The name of the connection, or None.
        hint: What to do next, as a sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        transient: bool = True,
        connection: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, connection=connection, hint=hint)
        self.transient = transient


class InvalidTokenResponse(KeyturnError):
    """The token endpoint responded, but the response contains no usable token."""


class ForeignOrigin(KeyturnError):
    """A request's URL is not at the API origin of the connection."""
