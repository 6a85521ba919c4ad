"""What a connection is made of, with its options: how it behaves, whatever its provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import attrs

from keyturn import errors
from keyturn._http.policy import PERMISSIVE, NetworkPolicy
from keyturn._rate_limit import RateLimit, parse_rate_limit, rate_limit_problem

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from keyturn._plugins.events import Listener
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

# Seconds before its expiry from which a token is renewed.
DEFAULT_MARGIN = 300.0
# Seconds for the store's operations and short locks, whose holders may be gone.
STORE_PATIENCE = 15.0
_MAX_SECONDS = 86_400.0


def _rate_limit(given: RateLimit | str | None) -> Any:
    return (parse_rate_limit(given) if isinstance(given, str) else given) or given


@attrs.frozen(kw_only=True)
class Options:
    """How a connection behaves, whatever its provider.

    Args:
        margin: Seconds before its expiry from which a token is renewed; a fifth of the token's
            lifetime and the provider's maximum bound it.
        timeout: Seconds for a token request, retries included.
        wait: Seconds to wait at most when the token endpoint's rate limit is used up, or while the
            server lets a request wait beyond `timeout`; 0 raises `keyturn.errors.RateLimited` at
            once.
        rate_limit: How many token requests the token endpoint's host allows, instead of what the
            provider declares; `none` when it limits nothing.
        policy: Which hosts the connection may reach.
        tls: A TLS context, or the path of a PEM file of certificate authorities.
    """

    margin: float = DEFAULT_MARGIN
    timeout: float = 30.0
    wait: float = 0.0
    rate_limit: RateLimit | Literal["none"] | None = attrs.field(
        default=None, converter=_rate_limit
    )
    policy: NetworkPolicy = PERMISSIVE
    tls: ssl.SSLContext | str | None = None


class Specification(NamedTuple):
    """What a connection is made of, its store excepted, checked.

    Args:
        provider: The provider.
        settings: Its settings; or a function that resolves secret references and returns the
            settings of now, or raises `keyturn.errors.ConfigurationError`.
        name: What messages call the connection; by default the provider's name.
        options: How it behaves.
        on_event: Gets each event.
    """

    provider: Provider[Any]
    settings: Settings | Callable[[], Settings]
    name: str | None = None
    options: Options = Options()
    on_event: Listener | None = None


def option_problem(name: str, value: object) -> str | None:
    """Return what is wrong with a value for the option of that name, or None."""
    if name == "rate_limit":
        return _rate_limit_problem(value)
    if name == "tls":
        return _tls_problem(value)
    if name == "policy":
        return None if isinstance(value, NetworkPolicy) else "must be a keyturn.NetworkPolicy"
    if name == "on_event":
        is_listener = value is None or callable(value)
        return None if is_listener else "must be callable with one keyturn.Event"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and 0 <= value <= _MAX_SECONDS and (value or name != "timeout"):  # type: ignore[operator]
        return None
    least = "above 0" if name == "timeout" else "not below 0"
    return f"must be a number of seconds, {least} and at most {_MAX_SECONDS:g}"


def _rate_limit_problem(value: object) -> str | None:
    if isinstance(value, RateLimit):
        return rate_limit_problem(value)
    if value is None or value == "none" or (isinstance(value, str) and parse_rate_limit(value)):
        return None
    return "must be 'none', or a rate such as '3/min burst 20': N/s, N/min or N/h, with N above 0"


def _tls_problem(value: object) -> str | None:
    if value is None:
        return None
    from keyturn._http.tls import is_context, trusted_context

    if not is_context(value) and not (isinstance(value, str) and value):
        return "must be an ssl.SSLContext, or the path of a PEM file of certificate authorities"
    try:
        trusted_context(value)
    except errors.ConfigurationError as error:
        return error.message
    return None
