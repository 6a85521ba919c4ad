"""Base64 for URLs, without padding (RFC 7515 section 2)."""

from __future__ import annotations

import base64


def base64url(content: bytes) -> str:
    """Return content in base64url."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """Return the content of base64url, with padding or without.

    Python ignores characters that do not belong there.

    Raises:
        ValueError: Its length is wrong, or it is not ASCII.
    """
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
