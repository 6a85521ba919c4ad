"""Private keys: their forms, and their maximum size, checked before a library computes with them.

cryptography checks the numbers of an RSA key when it loads one, holding Python's lock: a key of
8,676 bits stops every thread for 20 seconds.
"""

import base64
import json
import re
from typing import Any

from keyturn._secret import Secret

# Bits of the longest number in a key; RSA keys have 2048 to 4096.
MAX_BITS = 4096
# Characters: a key of MAX_BITS has about 3,300, and a certificate chain may precede it.
_MAX_LENGTH = 32_768
_MAX_DEPTH = 8
UNREADABLE = (
    "must be a private key as PEM, unencrypted, from -----BEGIN to -----END, or as JWK (RFC 7517)"
)
# The numbers of a key (RFC 7518 section 6, RFC 8037 section 2), in Base64.
_NUMBERS = ("n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y")
_LONGEST_NUMBER = MAX_BITS // 6 + 4
_INTEGER, _OCTET_STRING, _SEQUENCE = 0x02, 0x04, 0x30
_KEY_PATTERN = r"(?as)-----BEGIN [^\n]{0,40}?PRIVATE KEY-----(.*?)-----END "


def is_pem(value: object) -> bool:
    """Return whether a string is PEM (RFC 7468), and not the path of a file."""
    text = value.reveal() if isinstance(value, Secret) else value
    return isinstance(text, str) and "-----BEGIN " in text


def jwk_of(key: str) -> dict[str, Any] | None:
    """Return a private key that is a JSON Web Key, or None if it is not a JSON object."""
    if not key.lstrip().startswith("{"):
        return None
    try:
        content = json.loads(key)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def private_key_problem(pem: str) -> str | None:
    """Return the mistake in the size of a private key, or None, without loading the key.

    Args:
        pem: The key as PEM, with surrounding text, or as JWK.
    """
    if len(pem) > _MAX_LENGTH:
        return f"must have at most {_MAX_LENGTH} characters"
    if jwk := jwk_of(pem):
        return _jwk_problem(jwk)
    if "OPENSSH" in pem:
        return "must be PKCS#8, not OpenSSH's own format: convert it with ssh-keygen -p -m PKCS8"
    blocks = re.findall(_KEY_PATTERN, pem)
    for content in blocks:
        try:
            der = base64.b64decode("".join(content.split()), validate=True)
        except ValueError:  # it is damaged, or has headers, as an encrypted one
            return UNREADABLE
        if _longest_integer(der) > MAX_BITS // 8 + 1:  # a byte for the sign
            return f"must be a key of at most {MAX_BITS} bits"
    return None if blocks else UNREADABLE


def _jwk_problem(jwk: dict[str, Any]) -> str | None:
    if jwk.get("kty") not in {"RSA", "EC", "OKP"} or not isinstance(jwk.get("d"), str):
        return UNREADABLE
    if "oth" in jwk:
        return "must be a key with two primes"
    numbers = [str(jwk[name]) for name in _NUMBERS if name in jwk]
    is_large = max(map(len, numbers)) > _LONGEST_NUMBER
    return f"must be a key of at most {MAX_BITS} bits" if is_large else None


def _longest_integer(der: bytes, depth: int = 0) -> int:
    """Return the bytes of the longest integer in DER (ITU-T X.690), for the forms of keys."""
    longest = 0
    while len(der) > 1 and depth < _MAX_DEPTH:
        tag, size, start = der[0], der[1], 2
        if size > 127:  # it is the number of bytes of the size
            start += size - 128
            size = int.from_bytes(der[2:start], "big")
        content, der = der[start : start + size], der[start + size :]
        if tag == _INTEGER:
            longest = max(longest, len(content))
        elif tag in {_OCTET_STRING, _SEQUENCE}:
            longest = max(longest, _longest_integer(content, depth + 1))
    return longest
