"""Check of the domains that a provider names: only the platform registers hosts there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keyturn._http.steps import STEP_NAMES, known_address
from keyturn._http.urls import host_of
from keyturn._providers.kinds import fields_of
from keyturn.testing.provider_kit._elsewhere import elsewhere
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._source import is_data_alone
from keyturn.testing.provider_kit._suffixes import is_shared
from keyturn.testing.provider_kit._variants import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn._providers.provider import Provider
    from keyturn.testing.provider_kit._subject import Subject

_ADDRESSES = ("token_url", "api_url", "revocation_url")
_PLACEHOLDER_REGEX = re.compile(r"https://[^/]*\{([a-z0-9_]+)(?:\[[^{}]*)?\}\.([^/:{}]+)")


def shared_domains(subject: Subject) -> None:
    """No token is sent to a domain in which anyone can register a host."""
    provider = subject.effective_provider
    host = urlsplit(known_address(subject.request())).hostname or ""
    for domain in provider.api_domains:
        if is_shared(domain, host):
            raise CheckFailed(
                f"api_domains has {domain!r}, below which anyone can register a host.",
                "name the platform's own domains only.",
            )
    for step, each in _steps_of(provider):
        for domain in getattr(each, "domains", ()):
            if "{" not in domain and is_shared(domain, host):
                raise CheckFailed(
                    f"the domains of {step} have {domain!r}, below which anyone can register a "
                    "host.",
                    f"name the platform's own domains only in {step}.",
                )
    addresses = [(name, getattr(provider, name)) for name in _ADDRESSES]
    addresses += [(step, each.token_url) for step, each in _steps_of(provider)]
    for datum, template in addresses:
        for name, domain in _PLACEHOLDER_REGEX.findall(template):
            field = fields_of(subject.provider.settings).get(name)
            is_free = field is not None and not field.metadata.get("choices")
            if is_free and is_shared(domain, domain):
                raise CheckFailed(
                    f"{datum} puts the setting {name} before {domain!r}, below which anyone can "
                    "register a host.",
                    f"let {datum} have the platform's own domain after {{{name}}}.",
                )
    if not is_data_alone(subject.provider):
        _judge_made_hosts(subject)


def _judge_made_hosts(subject: Subject) -> None:
    """Check the hosts that methods make from settings, like those of templates."""
    here = elsewhere(subject).here
    for case, outcome in here.items():
        name = case.removeprefix("another ")
        for method in ("token_request", "api_url_for", "revocation_request"):
            one, other = (requested_host(each.get(method, {})) for each in (here[BASE], outcome))
            domain = one.partition(".")[2]
            is_part = one != other and domain == other.partition(".")[2]
            if is_part and name != case and domain and is_shared(domain, domain):
                raise CheckFailed(
                    f"{method} puts the setting {name} before {domain!r}, below which anyone can "
                    "register a host.",
                    f"let {method} have the platform's own domain after the setting.",
                )


def requested_host(parts: Mapping[str, str]) -> str:
    """Return the host of each address that a method returned, by part."""
    return host_of(parts.get("url") or parts.get("", "").strip("'"))


def _steps_of(provider: Provider[Any]) -> Iterator[tuple[str, Provider[Any]]]:
    """Yield the steps before a provider's token request, with those before them."""
    for name in STEP_NAMES:
        step: Provider[Any] | None = getattr(provider, name)
        if step is not None:
            yield name, step
            yield from _steps_of(step)
