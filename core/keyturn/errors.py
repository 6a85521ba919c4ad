"""The errors that come out of keyturn, and no others.

Each says what happened, to which connection, and what to do next. None carries a secret: server
text that reaches a message has been through `keyturn._http.response.printable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@attrs.frozen
class Problem:
    """One mistake in settings, a description or a configuration file.

    Args:
        path: Where it is, such as `scope` or `connections.shop.scope`; empty for the whole.
        message: What is wrong; it shows no value that may be secret.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class KeyturnError(Exception):
    """The root of every error raised by keyturn.

    Args:
        message: What happened, as a sentence.
        connection: The name of the connection it happened to, when there is one.
        hint: What to do next, as a sentence.
    """

    def __init__(self, message: str, *, connection: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.connection = connection
        self.hint = hint

    def __str__(self) -> str:
        subject = f"{self.connection}: " if self.connection else ""
        return f"{subject}{self.message}{' ' + self.hint if self.hint else ''}"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # Keyword-only arguments are lost by Exception's own pickling and copying.
        return _rebuild, (type(self), self.args, dict(self.__dict__))


def _rebuild(cls: type[KeyturnError], args: tuple[Any, ...], state: dict[str, Any]) -> KeyturnError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(KeyturnError):
    """Settings, a configuration file, a store's URL or a plugin choice can't be used as given.

    Args:
        message: What happened, as a sentence.
        problems: Every mistake found, each naming its place.
        connection: The name of the connection it happened to, when there is one.
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
    """No installed distribution registers a provider of that name."""


class ProviderConflict(ConfigurationError):
    """Two distributions register a provider of the same name."""


class ProviderLoadError(ConfigurationError):
    """The chosen provider's plugin can't be imported, or does not give a usable provider."""


class TokenRequestRefused(KeyturnError):
    """The authorization server refused the token request (RFC 6749 section 5.2).

    Args:
        message: What happened, as a sentence.
        error: The OAuth error code; empty when the response held none, or it may quote a secret.
        status: The HTTP status of the response.
        connection: The name of the connection it happened to, when there is one.
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
    """The client id is unknown, or its secret is wrong (`invalid_client`)."""


class InvalidScope(TokenRequestRefused):
    """The scope is unknown, malformed or not granted to this client (`invalid_scope`)."""


class RateLimited(KeyturnError):
    """The token endpoint's rate limit is reached, by the server's word or by the local rate_limit.

    Args:
        message: What happened, as a sentence.
        retry_after: Seconds after which a token request may succeed.
        connection: The name of the connection it happened to, when there is one.
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
    """The token endpoint can't be reached, is too slow, or reports a failure of its own."""


class InvalidTokenResponse(KeyturnError):
    """The token endpoint answered, but its response is not a token that may be used."""


class ForeignOrigin(KeyturnError):
    """A request leads to an origin that is not one of the connection's API origins."""
