"""Making a connection from a provider and settings, and checking settings without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn import errors
from keyturn._connection import Connection
from keyturn._http.policy import PERMISSIVE, NetworkPolicy
from keyturn._http.urls import url_problem
from keyturn._names import did_you_mean
from keyturn._plugins.loading import provider as find_provider
from keyturn._providers import calls
from keyturn._providers.kinds import fields_of
from keyturn._providers.provider import Provider
from keyturn._providers.settings import OPTION_NAMES, Settings, read
from keyturn._providers.settings_policy import (
    forbidden_settings,
    provider_problem,
    settings_problems,
)
from keyturn._tokens.options import DEFAULT_MARGIN, Options, option_problem
from keyturn.errors import Problem
from keyturn.stores._opening import open_store

if TYPE_CHECKING:
    import ssl

    from keyturn._plugins.events import Listener
    from keyturn._rate_limit import RateLimit
    from keyturn.stores._base import TokenStore


_OPTIONS = ("margin", "timeout", "wait", "rate_limit", "tls")


class Specification(NamedTuple):
    """What a connection is made of, its store excepted, checked."""

    provider: Provider[Any]
    settings: Settings
    name: str | None
    options: Options
    on_event: Listener | None


def connect(
    provider: str | Provider[Any],
    settings: Mapping[str, Any] | Settings | None = None,
    /,
    *,
    store: str | TokenStore | None = None,
    name: str | None = None,
    policy: NetworkPolicy = PERMISSIVE,
    margin: float = DEFAULT_MARGIN,
    timeout: float = 30.0,
    wait: float = 0.0,
    rate_limit: str | RateLimit | None = None,
    tls: ssl.SSLContext | str | None = None,
    on_event: Listener | None = None,
    **setting_keywords: Any,
) -> Connection:
    """Return a connection to one account at one provider; nothing is sent yet.

    Args:
        provider: The provider's name (`keyturn.providers()` lists them), or a provider.
        settings: The provider's settings, as a mapping such as a form or a row of a database, or as
            an instance of its settings class. No option can be in it, and no secret reference.
        store: A token store or its URL; by default `$KEYTURN_STORE`, else the memory of this
            process, which all its connections share.
        name: What messages call the connection; by default the provider's name.
        policy: What the settings may name, and which hosts the connection may reach; by default
            everything, as the application's own developer writes the settings.
        margin: Seconds before its end from which a token is renewed; a fifth of the token's
            lifetime and the provider's cap bound it.
        timeout: Seconds for a token request, retries included.
        wait: Seconds to wait at most when the token endpoint's rate limit is used up; 0 raises
            `keyturn.errors.RateLimited` at once.
        rate_limit: How many token requests the token endpoint's host allows, instead of what the
            provider declares: such as `3/min burst 20` (a number, then `/s`, `/min` or `/h`; how
            many at once, by default 1), a `keyturn.plugins.RateLimit`, or `none` for no limit on
            this side. The server's own 429 and `Retry-After` count whatever it is.
        tls: How TLS is done for token requests: a context, or the path of a PEM file of certificate
            authorities; by default with those of `SSL_CERT_FILE` or `SSL_CERT_DIR`, or else those
            of certifi.
        on_event: Called with each `keyturn.Event` of the connection, on the thread of the worker,
            after callers have their result. keyturn logs what it raises.
        setting_keywords: The provider's settings, if `settings` is not given.

    Raises:
        keyturn.errors.ConfigurationError: A setting is wrong or missing (all mistakes are named),
            or forbidden by the policy, or the provider or the store can't be used.

    Example:
        >>> import keyturn
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ... )
        >>> connection.api_url
        'https://shop.example/admin/api'
    """
    try:
        specification = specify(
            provider,
            settings,
            name=name,
            policy=policy,
            margin=margin,
            timeout=timeout,
            wait=wait,
            rate_limit=rate_limit,
            tls=tls,
            on_event=on_event,
            **setting_keywords,
        )
    finally:
        setting_keywords.clear()  # a traceback with locals must not show what is in them
    return Connection(**specification._asdict(), store=open_store(store))


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
    """Return what a connection is made of.

    Args:
        provider: See `connect`.
        settings: See `connect`.
        name: See `connect`.
        policy: See `connect`.
        on_event: See `connect`.
        given: The other options of `connect`, and settings as keywords.

    Raises:
        keyturn.errors.ConfigurationError: As `connect`.
    """
    options = {each: given.pop(each) for each in _OPTIONS if each in given}
    try:
        if problem := option_problem("policy", policy):
            raise errors.ConfigurationError(f"policy {problem}.")
        found = _provider(provider)
        values, mistakes = _read(found, settings, given, policy)
    finally:
        given.clear()  # a traceback with locals must not show what is in them
    for option, value in {**options, "on_event": on_event}.items():
        if problem := option_problem(option, value):
            mistakes.append(Problem(option, problem))
    if values is not None and not mistakes:
        mistakes = settings_problems(found, values, policy)
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
    """Return every mistake in settings, such as those of a form; nothing is sent.

    Args:
        provider: The provider's name, or a provider.
        settings: As `keyturn.connect` takes them.

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
    """Return every mistake in settings, and what a policy forbids in them; see `problems`."""
    found = _provider(provider)
    # For `connect`, None stands for keywords; a form can't be None.
    form: Any = settings
    if form is None:
        form = ()
    values, mistakes = _read(found, form, {}, policy)
    if values is None:
        return mistakes
    try:
        forbidden = settings_problems(found, values, policy)
        request = calls.token_request(calls.for_settings(found, values), values)
    except errors.ConfigurationError as error:
        return [*error.problems] or [Problem("", error.message)]
    if problem := url_problem(request.url):
        return [Problem("", f"the token endpoint's address {problem}.")]
    return forbidden


def _provider(provider: str | Provider[Any]) -> Provider[Any]:
    """Return the provider of a name, or one that was given, checked as a named one is."""
    if not isinstance(provider, Provider):
        return find_provider(provider)
    mistakes = calls.translate_errors(
        str(getattr(provider, "name", "")), lambda: calls.problems(provider)
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
    """Return settings that are given as one value or as keywords, or every mistake in them."""
    unusable = provider_problem(provider, policy)
    if unusable:
        return None, [unusable]
    fields = fields_of(provider.settings)
    known, problem = (
        [*OPTION_NAMES],
        "is not an option, and settings are given as one value already.",
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
        provider.name, lambda: read(provider.settings, allowed)
    )
    found = [problem for problem in found if problem.path not in forbidden]
    found += [Problem(name, message) for name, message in forbidden.items()]
    option = "is an option: pass it to keyturn.connect as a keyword"
    found = [Problem(p.path, option) if p.path in OPTION_NAMES else p for p in found]
    return None if forbidden else settings, sorted(found + mistakes, key=str)
