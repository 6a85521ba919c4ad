"""Values of requests, computed ones included, as plain strings that two processes can compare."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
from typing import TYPE_CHECKING, Any

from keyturn._http.values import DynamicValue, fingerprint_parts
from keyturn._providers.settings import read
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from keyturn._providers.provider import Provider

# The time for values of a request, in epoch seconds.
_NOW = 1_900_000_000.0


def shown_value(value: Any) -> str:
    """Return a value of a request as a string: a secret as a digest, a dynamic value computed."""
    if isinstance(value, DynamicValue):
        parts = [shown(each) for each in fingerprint_parts(value)]
        if not type(value).__module__.startswith("keyturn."):
            one, other = made(value), made(value)
            parts.append(digest(one) if one == other else "another each time")
        return " ".join(parts)
    return shown(value)


def varying(
    provider: Provider[Any], values: Mapping[str, Any], count: int, now: float = _NOW
) -> list[str]:
    """Return the digests of a provider's own values that differ each time."""
    settings: Any = read(provider.settings, values)[0]
    try:
        request = provider.for_settings(settings).token_request(settings)
        pairs = (*request.parameters, *request.extra_headers)
        found: list[str] = []
        for name, value in pairs:
            if not isinstance(value, DynamicValue) or type(value).__module__.startswith("keyturn."):
                continue
            several = [value.value(now) for _ in range(count)]
            if len(set(several)) > 1:
                found += [digest(f"{name}: {each}") for each in several]
    except (Exception, SystemExit):  # noqa: BLE001 - other checks report it
        return []
    return found


def made(value: DynamicValue, now: float = _NOW) -> str:
    """Return a dynamic value, computed without random numbers."""
    with no_randomness():
        return value.value(now)


@contextlib.contextmanager
def no_randomness() -> Generator[None]:
    """Make random numbers the same each time, on every thread."""
    state, source = random.getstate(), os.urandom
    module: Any = random
    other = module._urandom  # noqa: SLF001 - the source of SystemRandom, and so of `secrets`

    def same(size: int) -> bytes:
        return b"\1" * size

    random.seed(1)
    os.urandom = same
    module._urandom = same  # noqa: SLF001 - as above
    try:
        yield
    finally:
        os.urandom = source
        module._urandom = other  # noqa: SLF001 - as above
        random.setstate(state)


def shown(value: Any) -> str:
    if isinstance(value, Secret):
        return f"secret {digest(value.reveal())}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(shown, value))}]"
    return repr(value)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
