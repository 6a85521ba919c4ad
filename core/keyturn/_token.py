"""The token: the validated response of a token endpoint."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

# The longest accepted lifetime of a token, in seconds: one year.
MAX_LIFETIME = 31_536_000.0


def _read_only(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(given))


@attrs.frozen(repr=False)
class Token:
    """A valid access token from the token endpoint.

    `repr`, `str` and pickling don't show the token; only `access_token` does.

    Args:
        access_token: The token itself (RFC 6749 section 1.4).
        token_type: Its type as the provider wrote it, such as `Bearer` or `bearer` (RFC 6749
            section 7.1: case-insensitive).
        expires_at: Its expiry, in epoch seconds by this machine's clock.
        scope: The granted scope, space-delimited, or None if neither request nor response has one.
        extra: The response's other fields, such as `created_at`; never another secret. The
            largest ones are omitted if all of them exceed 65,536 characters of JSON.
        issued_at: The time of its token request, in epoch seconds by this machine's clock.
    """

    # rich and structlog show each field, and ignore the class's own `repr`.
    access_token: str = attrs.field(repr=False)
    token_type: str
    expires_at: float
    scope: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, converter=_read_only, eq=False, repr=False)
    issued_at: float = attrs.field(default=0.0, eq=False)

    @property
    def lifetime(self) -> float:
        """The seconds from its token request to its expiry."""
        return self.expires_at - self.issued_at

    def __repr__(self) -> str:
        return (
            f"Token(access_token=********, token_type={self.token_type!r}, "
            f"expires_at={self.expires_at!r}, scope={self.scope!r}, extra={sorted(self.extra)})"
        )

    def __copy__(self, _: object = None) -> Token:
        return self

    __deepcopy__ = __copy__

    def __getstate__(self) -> NoReturn:
        raise TypeError("A Token can't be pickled: use a separate connection in each process.")

    def __reduce__(self) -> NoReturn:
        self.__getstate__()
