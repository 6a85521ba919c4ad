"""Finds secrets and tokens in files, output and pages, plain or encoded."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyturn.testing import Emulator


def secrets_of(emulator: Emulator, provider: str = "orocommerce") -> list[str]:
    """Return the client secret of an emulator, and all tokens that it has seen in API requests."""
    credentials = [
        request.headers.get("authorization", "") for request in emulator.requests(provider)
    ]
    seen = {each.removeprefix("Bearer ") for each in credentials if each.startswith("Bearer ")}
    assert seen, "no API request with a token has arrived"
    return [str(emulator.settings(provider)["client_secret"]), *seen]


def leaks(secrets: Iterable[str], *places: Path | str | bytes) -> list[str]:
    """Return the places that contain one of the secrets.

    Args:
        secrets: Values that must not appear, neither plain nor in a common encoding.
        places: Strings, bytes, files, and directories, which are searched with all their files.

    Returns:
        The files, and `output` for strings and bytes, each once.
    """
    forms = {form for secret in secrets for form in _forms(secret)}
    found: list[str] = []
    for place in places:
        for name, content in _contents(place):
            if any(form in content for form in forms) and name not in found:
                found.append(name)
    return found


def assert_finds(secrets: Iterable[str], directory: Path) -> None:
    """Assert that `leaks` finds each secret in a file; otherwise an empty result means nothing."""
    for number, secret in enumerate(secrets):
        for kind, form in enumerate(sorted(_forms(secret))):
            written = directory / f"written-{number}-{kind}"
            written.write_bytes(b"before " + form + b" after")
            assert leaks([secret], directory) == [str(written)]
            written.unlink()
    assert leaks(secrets, directory) == []


def _forms(secret: str) -> set[bytes]:
    plain = secret.encode()
    # Base64 of a longer string that contains it, at each offset, without the characters that depend
    # on the rest.
    encoded = {
        base64.b64encode(b"x" * offset + plain)[(0, 2, 3)[offset] : -4] for offset in range(3)
    }
    forms = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    return encoded | {plain.hex().encode()} | {form.encode() for form in forms}


def _contents(place: Path | str | bytes) -> Iterable[tuple[str, bytes]]:
    if isinstance(place, Path):
        files = [place] if place.is_file() else sorted(place.rglob("*"))
        return [(str(file), file.read_bytes()) for file in files if file.is_file()]
    return [("output", place.encode() if isinstance(place, str) else place)]
