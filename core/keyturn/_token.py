"""The frozen token: the validated response of a token endpoint."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


def _read_only(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(given))


@attrs.frozen(repr=False)
class Token:
    """A valid access token, as the token endpoint gave it.

    `repr`, `str` and pickling don't show the token; only `access_token` does.

    Args:
        access_token: The token itself (RFC 6749 section 1.4).
        token_type: How it is used, as the provider wrote it, such as `Bearer` or `bearer`
            (RFC 6749 section 7.1: compared without regard to case).
        expires_at: When it expires, in epoch seconds by this machine's clock.
        scope: What was granted, space-delimited, or None when neither request nor response has one.
        extra: The response's other fields, such as `created_at`; never another secret. The largest
            are left out if all of them have more than 65,536 characters of JSON.
        issued_at: When its token request was sent, in epoch seconds by this machine's clock.
    """

    # rich and structlog show each field by itself, whatever the class's own `repr`.
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
        raise TypeError("A Token can't be pickled: let each process use a connection of its own.")

    def __reduce__(self) -> NoReturn:
        self.__getstate__()
