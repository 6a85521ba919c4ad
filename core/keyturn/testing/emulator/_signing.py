"""Signed JWTs, with one key for the whole process."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Literal

from joserfc import jwt
from joserfc.jwk import RSAKey

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOCK = threading.Lock()


@functools.cache
def _key() -> RSAKey:
    return RSAKey.generate_key(2048)


def signed(
    claims: Mapping[str, Any], algorithm: Literal["RS256", "RS512"], media_type: str = "JWT"
) -> str:
    """Return a signed JWT.

    Args:
        claims: The claims.
        algorithm: The signature's algorithm (RFC 7518 section 3.1).
        media_type: The header's `typ`.
    """
    with _LOCK:
        key = _key()
    header = {"typ": media_type, "alg": algorithm, "kid": key.thumbprint()}
    return jwt.encode(header, dict(claims), key, algorithms=[algorithm])
