"""Unique secrets, and the search for them in any encoding."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from keyturn._common.redaction import Redaction
from keyturn._providers.settings import read
from keyturn._secret import Secret
from keyturn.testing.provider_kit._made_up import secret_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keyturn.testing.provider_kit._subject import Subject

_ALGORITHMS = (
    *("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s"),
)
# No word has four of them in a row.
LETTERS = "BDFGJKNQVWXZ"
# A part of a canary has at least this many characters.
_FEW = 4


def canary(*others: str) -> str:
    """Return a secret of which no part occurs in any word, nor in other secrets."""
    while True:
        made = "".join(secrets.choice(LETTERS) for _ in range(24))
        if not any(is_partly_in(made, other) for other in others):
            return made


CANARY = canary()


def canaries_for(names: Iterable[str]) -> dict[str, str]:
    """Return a canary for each name, all of them different in each part."""
    found: dict[str, str] = {}
    for name in names:
        found[name] = canary(*found.values())
    return found


def is_partly_in(secret: str, text: str) -> bool:
    """Return whether a string contains some characters of a canary."""
    return any(secret[at : at + _FEW] in text for at in range(len(secret) - _FEW + 1))


def canaries(subject: Subject) -> dict[str, Any]:
    """Return unique secrets for settings that accept a generated one."""
    changes: dict[str, Any] = {}
    for name in secret_settings(subject.provider.settings):
        made = canary(CANARY, *changes.values())
        for secret in (f"{made}+7", made):
            values = {**subject.values, **changes, name: secret}
            if name in subject.values and read(subject.provider.settings, values)[0] is not None:
                changes[name] = secret
                break
    return changes


def forms_of(text: str) -> list[str]:
    """Return the possible encodings of a string."""
    plain = [text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1]]
    return [*plain, *encoded(text), text.encode().hex(), text.encode().hex().upper()]


def encoded(text: str) -> list[str]:
    """Return a string in Base64 and in Base64 for URLs (RFC 4648 sections 4 and 5)."""
    encode = (base64.b64encode, base64.urlsafe_b64encode)
    return [each(text.encode()).decode().rstrip("=") for each in encode]


def digests_of(subject: Subject, name: str, changes: Mapping[str, Any]) -> list[str]:
    """Return the digests of a secret, alone and with the client ID, in all encodings."""
    values = {**subject.values, **changes}
    secret, client_id = str(values[name]), str(values.get("client_id", ""))
    hashed = {secret, f"{secret}\n"}
    for separator in ("", ":", "&", "|", "\n"):
        hashed |= {f"{client_id}{separator}{secret}", f"{secret}{separator}{client_id}"}
    found: list[str] = []
    for algorithm in _ALGORITHMS:
        for text in hashed:
            digest = hashlib.new(algorithm, text.encode(), usedforsecurity=False).digest()
            encoded = base64.b64encode(digest).decode().rstrip("=")
            url_safe = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            found += [
                digest.hex(),
                digest.hex().upper(),
                encoded,
                quote(encoded, safe=""),
                url_safe,
            ]
    return found


def found_in(forms: list[str], text: str) -> bool:
    """Return whether a string has one of the forms of a secret, or another encoding of it."""
    if any(form in text for form in forms):
        return True
    # The first is the secret itself, for further encodings.
    return Redaction([Secret(forms[0])]).text(text) != text
