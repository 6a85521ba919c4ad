"""Chains of token requests: the steps whose responses a token request needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from keyturn import errors
from keyturn._http.steps import STEP_NAMES, StepValue, step_value
from keyturn._http.urls import domain_problem, is_below, origin, url_problem
from keyturn._providers import templates
from keyturn._providers.checks import domain_templates
from keyturn._providers.named_values import names_behind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from keyturn._http.values import Value
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token

# The maximum number of steps before the last one.
LONGEST = 4
_SAMPLE = "https://step.invalid"
ADDRESSES = ("token_url", "revocation_url", "api_url")


class StepNames(dict[str, "Value"]):
    """The values of other steps, by their names in templates.

    Args:
        provider: The provider, which has the steps.
    """

    def __init__(self, provider: Any) -> None:
        super().__init__()
        self._steps = [name for name in STEP_NAMES if getattr(provider, name, None) is not None]

    def __contains__(self, name: object) -> bool:
        step, _, path = str(name).partition(".")
        return bool(path) and step in self._steps

    def __missing__(self, name: str) -> Value:
        step, _, path = name.partition(".")
        return StepValue(step, path)


def steps_of(
    provider: Provider[Any], settings: Settings
) -> Iterator[tuple[str, Provider[Any], Settings]]:
    """Yield the name, the provider and the settings of each step before a provider's request."""
    for name in STEP_NAMES:
        step: Provider[Any] | None = getattr(provider, name)
        if step is not None:
            yield name, step, _own_settings(provider, step, settings)


def step_of(
    provider: Provider[Any], settings: Settings, name: str
) -> tuple[Provider[Any], Settings]:
    """Return the provider and the settings of the step of that name, which there is."""
    return next((step, own) for each, step, own in steps_of(provider, settings) if each == name)


def expand(template: str, settings: Settings, names: Mapping[str, Value]) -> str:
    """Return an address template with the settings' values in it.

    Values of a step's response stay in it as placeholders.
    """
    found = step_value(template)
    if found is None or f"{found.step}.{found.path}" not in names:
        return templates.address(template, settings)
    made = templates.address(_SAMPLE + found.rest, settings).removeprefix(_SAMPLE)
    return attrs.evolve(found, rest=made).value(0.0)


def api_names(provider: Provider[Any]) -> list[str]:
    """Return the values of earlier steps that API requests need, such as `previous.account`.

    The token keeps them, because keyturn does not need the earlier steps to use it.
    """
    used = [provider.api_url, provider.authorization_value]
    used += [*provider.api_headers.values(), *provider.api_query.values()]
    direct = frozenset[str]().union(*map(templates.names_in, used))
    names = direct.union(*(names_behind(each, provider.values) for each in direct))
    known = StepNames(provider)
    return sorted(each for each in names if each in known)


def api_url(provider: Provider[Any], settings: Settings, token: Token | None) -> str | None:
    """Return the API's address that a step's response has, or None without a token.

    Raises:
        keyturn.errors.ConfigurationError: The token must not be sent there.
    """
    place = step_value(expand(provider.api_url, settings, StepNames(provider)))
    if token is None or place is None:
        return None
    step, own = step_of(provider, settings, place.step)
    url = place.after(token.extra.get(f"{place.step}.{place.path}", "")).rstrip("/")
    domains, source = domains_of(step, own), own.token_url or step.expand(step.token_url, own)
    is_allowed = any(is_below(url, each) for each in domains)
    if url_problem(url) is None and (is_allowed or (not domains and origin(url) == origin(source))):
        return url
    raise errors.ConfigurationError(
        f"the response of the step {place.step} has no address of the API at {place.path} that is "
        f"below {' or '.join(domains) or origin(source)}.",
        hint="Check api_url, and set `domains` of that step to the domains of its addresses.",
    )


def _own_settings(provider: Provider[Any], step: Provider[Any], settings: Settings) -> Settings:
    """Return the settings of a step: the endpoints in them are those of the last one.

    Where the setting `token_url` leads to another origin than the provider's own, a step at that
    origin follows: a secret of a staging system must not go to production.
    """
    # Not with `copy`, which imports a module: nothing can be imported while an interpreter ends.
    own = object.__new__(type(settings))
    overrides = vars(own)
    overrides.update(vars(settings))
    moved = overrides["token_url"]
    overrides.update(token_url=None, api_url=None, revocation_url=None)
    if moved is None or step_value(provider.token_url) or step_value(step.token_url):
        return own
    try:
        usual, url = (each.expand(each.token_url, settings) for each in (provider, step))
    except errors.ConfigurationError:
        return own
    if origin(url) == origin(usual) != origin(moved):
        overrides["token_url"] = origin(moved) + urlsplit(url).path
    return own


def domains_of(step: Provider[Any], settings: Settings) -> tuple[str, ...]:
    """Return the domains below which the addresses in a step's response must lie.

    Raises:
        keyturn.errors.ConfigurationError: One is not a domain with these settings.
    """
    made = tuple(str(templates.render(each, settings) or "") for each in step.domains)
    for domain in made:
        if problem := domain_problem(domain):
            raise errors.ConfigurationError(
                f"domains: {domain!r}, made from the settings, {problem}.",
                hint="Check the settings that `domains` names.",
            )
    return made


def _domains_problems(
    name: str, step: Provider[Any], settings: type[Settings]
) -> Iterator[tuple[str, str]]:
    path = f"{name}.domains"
    if problem := domain_templates(step.domains):
        yield path, problem
        return
    for template in step.domains:
        if problem := templates.problem(template, settings, "address"):
            yield path, f"{template!r} {problem}"


def problems(provider: Any, depth: int = 1) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the steps of a provider, apart from their own data."""
    for name in STEP_NAMES:
        step = getattr(provider, name, None)
        if step is None:
            continue
        if not hasattr(step, "token_request"):
            yield name, "must be a provider" if name == "previous" else "must be a Discovery"
        elif depth > LONGEST:
            yield name, f"is one of more than {LONGEST} steps"
        elif any(path in STEP_NAMES for path, _ in problems(step, depth + 1)):
            yield name, f"is one of more than {LONGEST} steps, or of another type"
        else:
            yield from _domains_problems(name, step, provider.settings)
            is_known = not _names_steps(step.token_url, STEP_NAMES)
            is_followed = any(_names_steps(each, [name]) for each in _step_addresses(provider))
            if is_followed and not is_known and not step.domains:
                yield f"{name}.domains", "is required, because another step gives its own address"
    for name, url in zip(ADDRESSES, _step_addresses(provider), strict=True):
        if isinstance(url, str) and _names_steps(url[1:], STEP_NAMES):
            yield name, "may only begin with a value of another step"


def _step_addresses(provider: Any) -> list[object]:
    """Return the addresses of a provider that may be in a step's response."""
    return [getattr(provider, name, "") for name in ADDRESSES]


def _names_steps(url: object, steps: Collection[str]) -> bool:
    """Return whether an address is a value of one of these steps."""
    names = templates.names_in(url) if isinstance(url, str) else ()
    return any(each.partition(".")[0] in steps for each in names if "." in each)
