"""The checked parts of a connection: provider, settings and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import attrs

from keyturn import errors
from keyturn._common.names import did_you_mean, escaped
from keyturn._common.once import importing
from keyturn._http.policy import PERMISSIVE, NetworkPolicy
from keyturn._http.urls import url_problem
from keyturn._plugins.loading import provider as find_provider
from keyturn._providers import calls
from keyturn._providers.kinds import fields_of
from keyturn._providers.provider import Provider
from keyturn._providers.settings import OPTION_NAMES, Settings, given_secrets, read
from keyturn._providers.settings_policy import (
    forbidden_settings,
    provider_problem,
    settings_problems,
    token_requests,
)
from keyturn._rate_limit import RateLimit, parse_rate_limit, rate_limit_problem
from keyturn.errors import Problem

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from keyturn._plugins.events import Listener

_OPTIONS = ("margin", "timeout", "wait", "rate_limit", "tls")
# Seconds before the expiry at which a token is renewed.
DEFAULT_MARGIN = 300.0
# Seconds for the store's operations and short locks, whose holders may have died.
STORE_PATIENCE = 15.0
_MAX_SECONDS = 86_400.0


def _rate_limit(given: RateLimit | str | None) -> Any:
    return (parse_rate_limit(given) if isinstance(given, str) else given) or given


@attrs.frozen(kw_only=True, repr=False)
class Options:
    """The options of a connection, which do not depend on its provider.

    Args:
        margin: Seconds before the expiry at which a token is renewed; limited by a fifth of the
            token's lifetime and the provider's `max_margin`.
        timeout: Seconds for a token request, including retries.
        wait: Maximum seconds to wait for the token endpoint's rate limit, and for a server that
            delays a response beyond `timeout`; with 0, `keyturn.errors.RateLimited` is raised at
            once.
        rate_limit: The token requests that the token endpoint's host allows, instead of the
            provider's declared limit; `none` for no limit.
        policy: The hosts that the connection may reach.
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
    """The checked parts of a connection, without its store.

    Args:
        provider: The provider.
        settings: Its settings; or a function that resolves secret references and returns the
            current settings, or raises `keyturn.errors.ConfigurationError`.
        name: The connection's name in messages; by default the provider's name.
        options: The options.
        on_event: Called with each event.
    """

    provider: Provider[Any]
    settings: Settings | Callable[[], Settings]
    name: str | None = None
    options: Options = Options()
    on_event: Listener | None = None


def specify(
    provider: str | Provider[Any],
    settings: Mapping[str, Any] | Settings | None,
    /,
    *,
    name: str | None = None,
    policy: NetworkPolicy = PERMISSIVE,
    on_event: Listener | None = None,
    **given: Any,
) -> Specification:
    """Return the checked parts of a connection.

    Args:
        provider: See `keyturn.connect`.
        settings: See `keyturn.connect`.
        name: See `keyturn.connect`.
        policy: See `keyturn.connect`.
        on_event: See `keyturn.connect`.
        given: The other options of `keyturn.connect`, and settings as keywords.

    Raises:
        keyturn.errors.ConfigurationError: As `keyturn.connect`.
    """
    options = {each: given.pop(each) for each in _OPTIONS if each in given}
    try:
        if problem := option_problem("policy", policy):
            raise errors.ConfigurationError(f"policy {problem}.")
        if not isinstance(name, str | None):
            raise errors.ConfigurationError("name must be a string.")
        found = _provider(provider)
        values, mistakes = _read(found, settings, given, policy)
    finally:
        given.clear()  # a traceback with locals must not show what is in them
    for option, value in {**options, "on_event": on_event}.items():
        if problem := option_problem(option, value):
            mistakes.append(Problem(option, problem))
    if values is not None and not mistakes:
        mistakes = settings_problems(found, values, policy)
    name = name and escaped(name)
    if values is None or mistakes:
        raise errors.ConfigurationError(
            f"the settings for {found.name} have {len(mistakes)} mistake(s):",
            problems=mistakes,
            connection=name,
        )
    return Specification(found, values, name, Options(**options, policy=policy), on_event)


def problems(
    provider: str | Provider[Any], settings: Mapping[str, Any] | Settings
) -> list[Problem]:
    """Return every mistake in settings, such as a form's; this sends nothing.

    Args:
        provider: The provider's name, or a provider.
        settings: The settings, as for `keyturn.connect`.

    Raises:
        keyturn.errors.ConfigurationError: The provider can't be used.

    Example:
        >>> import keyturn
        >>> for problem in keyturn.problems("orocommerce", {"client_id": "x", "url": "shop"}):
        ...     print(problem.path)
        client_secret
        url
    """
    return problems_under(PERMISSIVE, provider, settings)


def problems_under(
    policy: NetworkPolicy, provider: str | Provider[Any], settings: Mapping[str, Any] | Settings
) -> list[Problem]:
    """Return every mistake in settings, and every violation of a policy; see `problems`."""
    found = _provider(provider)
    # For `connect`, None means keywords; a form can't be None.
    form: Any = settings
    if form is None:
        form = ()
    values, mistakes = _read(found, form, {}, policy)
    if values is None:
        return mistakes
    with importing:
        from keyturn._http.steps import step_value
    try:
        forbidden = settings_problems(found, values, policy)
        requests = [*token_requests(calls.for_settings(found, values), values)]
    except errors.ConfigurationError as error:
        return [*error.problems] or [Problem("", error.message)]
    for name, request in requests:
        # The address may come from the response of an earlier step.
        if (problem := url_problem(request.url)) and not step_value(request.url):
            return [Problem("", f"the {name}'s address {problem}.")]
    return forbidden


def _provider(provider: str | Provider[Any]) -> Provider[Any]:
    """Return the provider with a name, or check a given provider in the same way."""
    if not isinstance(provider, Provider):
        return find_provider(provider)
    with importing:
        from keyturn._providers.provider_problems import problems as provider_problems
    mistakes = calls.translate_errors(
        str(getattr(provider, "name", "")), lambda: provider_problems(provider)
    )
    if mistakes:
        raise errors.ConfigurationError(
            f"the provider {type(provider).__name__} has {len(mistakes)} mistake(s):",
            problems=mistakes,
        )
    return provider


def _read(
    provider: Provider[Any],
    given: Mapping[str, Any] | Settings | None,
    keywords: Mapping[str, Any],
    policy: NetworkPolicy,
) -> tuple[Settings | None, list[Problem]]:
    """Return the settings from one value or from keywords, or every mistake in them."""
    unusable = provider_problem(provider, policy)
    if unusable:
        return None, [unusable]
    fields = fields_of(provider.settings)
    known, problem = (
        [*OPTION_NAMES],
        "is not an option, and settings are already given as one value.",
    )
    if given is None:
        known += fields
        problem = f"is neither a setting of {provider.name} nor an option."
    mistakes = [
        Problem(name, f"{problem}{did_you_mean(name, known)}")
        for name in keywords
        if given is not None or name not in fields
    ]
    if isinstance(given, Settings) and isinstance(given, provider.settings):
        return given, mistakes
    values = (
        {name: keywords[name] for name in keywords if name in fields} if given is None else given
    )
    if not isinstance(values, Mapping):
        wanted = f"a mapping or an instance of {provider.settings.__name__}"
        raise errors.ConfigurationError(f"the settings for {provider.name} must be {wanted}.")
    forbidden = forbidden_settings(provider.settings, values, policy)
    allowed = {name: value for name, value in values.items() if name not in forbidden}
    settings, found = calls.translate_errors(
        provider.name,
        lambda: read(provider.settings, allowed),
        given_secrets(provider.settings, allowed),
    )
    found = [problem for problem in found if problem.path not in forbidden]
    found += [Problem(name, message) for name, message in forbidden.items()]
    option = "is an option: pass it to keyturn.connect as a keyword"
    found = [Problem(p.path, option) if p.path in OPTION_NAMES else p for p in found]
    return None if forbidden else settings, sorted(found + mistakes, key=str)


def option_problem(name: str, value: object) -> str | None:
    """Return the mistake in the value of an option, or None."""
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
