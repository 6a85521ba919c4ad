"""The frozen token: the validated response of a token endpoint."""

from __future__ import annotations

import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

_VISIBLE_REGEX = re.compile(r"[\x21-\x7e]+")


def _read_only(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(given))


@attrs.frozen(repr=False)
class Token:
    """A valid access token, as the token endpoint gave it.

    `repr`, `str` and pickling don't give the token away; only `access_token` does.

    Args:
        access_token: The token itself (RFC 6749 section 1.4).
        token_type: How it is used, as the provider wrote it, such as `Bearer` or `bearer`
            (RFC 6749 section 7.1: compared without regard to case).
        expires_at: When it ends, in epoch seconds by this machine's clock.
        scope: What was granted, space-delimited, or None when neither asked for nor answered.
        extra: The response's other fields, such as `created_at`; never another secret.
        issued_at: When its token request was sent, in epoch seconds by this machine's clock.
    """

    # Some who show values ask each field for itself, whatever the class's own `repr`.
    access_token: str = attrs.field(repr=False)
    token_type: str
    expires_at: float
    scope: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, converter=_read_only, eq=False, repr=False)
    issued_at: float = attrs.field(default=0.0, eq=False)

    @property
    def lifetime(self) -> float:
        """The seconds from its token request to its end."""
        return self.expires_at - self.issued_at

    def __repr__(self) -> str:
        return (
            f"Token(access_token=********, token_type={self.token_type!r}, "
            f"expires_at={self.expires_at!r}, scope={self.scope!r}, extra={sorted(self.extra)})"
        )

    def __copy__(self) -> Token:
        return self

    def __deepcopy__(self, memo: object) -> Token:
        return self

    def __getstate__(self) -> NoReturn:
        message = "A Token can't be pickled: let each process ask its own connection for it."
        raise TypeError(message)

    def __reduce__(self) -> NoReturn:
        self.__getstate__()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__getstate__()


def to_entry(token: Token, fingerprint: str) -> str:
    """Return the store's entry for `token`; it names its own key, as a check when it is read."""
    return json.dumps(
        {
            "fingerprint": fingerprint,
            "access_token": token.access_token,
            "token_type": token.token_type,
            "expires_at": token.expires_at,
            "scope": token.scope,
            "extra": dict(token.extra),
            "issued_at": token.issued_at,
        }
    )


def from_entry(entry: str, fingerprint: str) -> Token | None:
    """Return the token of a store's entry, or None when it isn't one written for `fingerprint`."""
    try:
        fields = json.loads(entry)
        if fields.pop("fingerprint") != fingerprint:
            return None
        token = Token(**fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return token if _well_formed(token) else None


def _well_formed(token: Token) -> bool:
    texts = (token.access_token, token.token_type)
    times = (token.expires_at, token.issued_at)
    return (
        all(isinstance(text, str) and _VISIBLE_REGEX.fullmatch(text) for text in texts)
        and all(isinstance(time, (int, float)) and 0 <= time < float("inf") for time in times)
        and (token.scope is None or isinstance(token.scope, str))
    )
