"""Signed JWTs, with one key for the whole process."""

from __future__ import annotations

import base64
import functools
import hashlib
import threading
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from joserfc import jwt
from joserfc.jwk import RSAKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    _Algorithm: TypeAlias = Literal["RS256", "RS512"]

_LOCK = threading.Lock()


@functools.cache
def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048)


def _key() -> RSAKey:
    with _LOCK:
        return _new_key()


def _names(key: RSAKey, *, by_certificate: bool) -> dict[str, str]:
    """Return the key's name in a header; without a certificate, its digest is made up."""
    thumbprint = key.thumbprint()
    if not by_certificate:
        return {"kid": thumbprint}
    digest = hashlib.sha256(thumbprint.encode()).digest()[:20]
    x5t = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return {"kid": digest.hex().upper(), "x5t": x5t}


def signed(
    claims: Mapping[str, Any],
    algorithm: _Algorithm,
    media_type: str = "JWT",
    *,
    by_certificate: bool = False,
) -> str:
    """Return a signed JWT.

    Args:
        claims: The claims.
        algorithm: The signature's algorithm (RFC 7518 section 3.1).
        media_type: The header's `typ`.
        by_certificate: Whether the header has an `x5t` (RFC 7515 section 4.1.7).
    """
    key = _key()
    names = _names(key, by_certificate=by_certificate)
    header = {"typ": media_type, "alg": algorithm, **names}
    return jwt.encode(header, dict(claims), key, algorithms=[algorithm])


def public_keys(algorithm: _Algorithm, *, by_certificate: bool = False) -> dict[str, Any]:
    """Return the JWK Set (RFC 7517 section 5) that verifies the result of `signed`."""
    key = _key()
    names = _names(key, by_certificate=by_certificate)
    return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": algorithm, **names}]}
