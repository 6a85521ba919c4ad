"""The faults that a test can request, and their responses."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from keyturn._common.names import did_you_mean
from keyturn.errors import ConfigurationError
from keyturn.testing._messages import Response, html_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn.testing.emulator._origin import Origin

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@attrs.frozen
class Fault:
    """The response to one token request instead of, or before, an ordinary one.

    Args:
        seconds: The delay of the response.
        hangs_up: Whether the connection is closed without a response.
        response: The response, or None for the ordinary one.
    """

    seconds: float = 0.0
    hangs_up: bool = False
    response: Response | None = None


def _rate_limit(origin: Origin, *, retry_after: float | str | None = None) -> Fault:
    response = origin.rate_limited()
    if retry_after is not None:
        value = str(retry_after)
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError("retry_after must be printable ASCII.")
        response = attrs.evolve(response, headers={**response.headers, "Retry-After": value})
    return Fault(response=response)


def _slow(origin: Origin, *, seconds: float) -> Fault:
    del origin
    if not isinstance(seconds, int | float) or not 0 <= seconds <= 3600:
        raise ConfigurationError("seconds must be a number from 0 to 3600.")
    return Fault(seconds=seconds)


def _redirect(origin: Origin, *, location: str) -> Fault:
    del origin
    try:
        host = urlsplit(location).hostname
    except (ValueError, AttributeError):
        host = None
    if host not in _LOOPBACK or not (location.isascii() and location.isprintable()):
        raise ConfigurationError("location must be a URL on loopback.")
    return Fault(response=Response(307, headers={"Location": location}))


def _malformed_json(origin: Origin) -> Fault:
    del origin
    response = Response(200, b'{"access_token": "', {"Content-Type": "application/json"})
    return Fault(response=response)


def _server_error(origin: Origin) -> Fault:
    return Fault(response=origin.server_error())


def _html(origin: Origin) -> Fault:
    return Fault(response=html_response(200, f"Welcome to {origin.name}"))


def _hang_up(origin: Origin) -> Fault:
    del origin
    return Fault(hangs_up=True)


def _own(kind: str, origin: Origin) -> Fault:
    return Fault(response=origin.own_faults[kind])


_MAKERS: dict[str, Callable[..., Fault]] = {
    "rate-limit": _rate_limit,
    "server-error": _server_error,
    "html": _html,
    "slow": _slow,
    "hang-up": _hang_up,
    "malformed-json": _malformed_json,
    "redirect": _redirect,
}


def make_fault(origin: Origin, kind: str, options: Mapping[str, Any]) -> Fault:
    """Return a fault of an origin.

    Args:
        origin: The provider whose token requests it applies to.
        kind: Its name.
        options: Its options by name.

    Raises:
        ConfigurationError: The fault is unknown, or its options are wrong.
    """
    makers = _MAKERS | {name: partial(_own, name) for name in origin.own_faults}
    if kind not in makers:
        known = ", ".join(makers)
        raise ConfigurationError(
            f"{origin.name} has no fault {kind!r}.{did_you_mean(kind, makers)}",
            hint=f"Known faults: {known}.",
        )
    try:
        return makers[kind](origin, **options)
    except TypeError as error:
        raise ConfigurationError(
            f"the options of the fault {kind!r} are wrong: {error}."
        ) from error
