"""Checks of settings against a network policy: endpoints, files, and forbidden hosts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._common.once import importing
from keyturn._http.keys import is_pem
from keyturn._http.policy import PERMISSIVE, host_problem
from keyturn._http.urls import host_of
from keyturn._providers import calls
from keyturn._providers.kinds import fields_of
from keyturn.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyturn._http.policy import NetworkPolicy
    from keyturn._http.request import TokenRequest
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

# Settings of these names replace an endpoint that the provider has, or describe a platform.
_ADDRESS_SETTINGS = frozenset({"token_url", "api_url", "revocation_url"})
# The name of the last request's address in messages.
ENDPOINT = "token endpoint"
_NO_ADDRESS = (
    "can't be set under this network policy, as it is an endpoint's address: see "
    "NetworkPolicy.address_settings"
)
_NO_FILE = (
    "can't be set under this network policy, as it names a file: see NetworkPolicy.file_settings"
)


def provider_problem(provider: Provider[Any], policy: NetworkPolicy) -> Problem | None:
    """Return why a provider can't be used under a policy, whatever its settings."""
    for name, field in _restricted(provider.settings, policy).items():
        problem = _field_problem(name, field, policy)
        if problem and field.default is attrs.NOTHING and "pem" not in field.metadata:
            return Problem(name, f"is required by {provider.name}, and {problem}")
    return None


def forbidden_settings(
    cls: type[Settings], values: Mapping[str, Any], policy: NetworkPolicy
) -> dict[str, str]:
    """Return the settings that a policy forbids in forms, each with its problem.

    Their values are not checked, since a provider's own check may use them.

    Args:
        cls: The settings class.
        values: The settings that are given.
        policy: The policy.
    """
    fields = _restricted(cls, policy)
    return {
        name: problem
        for name, value in values.items()
        if name in fields
        and value is not None
        and not (fields[name].metadata.get("pem") and is_pem(value))
        and value != fields[name].default
        and (problem := _field_problem(name, fields[name], policy))
    }


def settings_problems(
    provider: Provider[Any], settings: Settings, policy: NetworkPolicy
) -> list[Problem]:
    """Return what a policy forbids in settings; no file is opened, and no name resolved.

    Raises:
        keyturn.errors.ConfigurationError: The settings make no token request.
    """
    if policy == PERMISSIVE:
        return []
    values = {name: getattr(settings, name) for name in fields_of(type(settings))}
    forbidden = forbidden_settings(type(settings), values, policy)
    if forbidden:
        return [Problem(name, problem) for name, problem in forbidden.items()]
    bound = calls.for_settings(provider, settings)
    requests = dict(token_requests(bound, settings))
    request = requests[ENDPOINT]
    found = [] if policy.file_settings else list(_used_files(settings, request))
    return found or list(_host_problems(bound, settings, requests, policy))


def token_requests(
    provider: Provider[Any], settings: Settings, name: str = ENDPOINT
) -> Iterator[tuple[str, TokenRequest]]:
    """Yield the token request, and that of each step before it, with its name in messages.

    Args:
        provider: The provider, as it behaves for the settings.
        settings: Its settings.
        name: The name of the last one in messages.

    Raises:
        keyturn.errors.ConfigurationError: The settings make no token request.
    """
    with importing:
        from keyturn._providers.steps import steps_of
    yield name, calls.token_request(provider, settings)
    for step_name, step, own in steps_of(provider, settings):
        path = f"step {step_name}" if name == ENDPOINT else f"{name}.{step_name}"
        yield from token_requests(calls.for_settings(step, own), own, path)


def _restricted(cls: type[Settings], policy: NetworkPolicy) -> Mapping[str, attrs.Attribute[Any]]:
    """Return the settings that a policy may forbid; of a permissive one, none."""
    return {} if policy.address_settings and policy.file_settings else fields_of(cls)


def _field_problem(name: str, field: attrs.Attribute[Any], policy: NetworkPolicy) -> str | None:
    if name in _ADDRESS_SETTINGS and not policy.address_settings:
        return _NO_ADDRESS
    return _NO_FILE if field.metadata.get("file") and not policy.file_settings else None


def _used_files(settings: Settings, request: TokenRequest) -> Iterator[Problem]:
    """Yield settings that name files of the certificate without being declared as files."""
    certificate = request.certificate
    paths = [certificate.certificate, certificate.key] if certificate else []
    for name, field in fields_of(type(settings)).items():
        value = getattr(settings, name)
        if isinstance(value, str) and value in paths and value != field.default:
            yield Problem(name, _NO_FILE)


def _host_problems(
    provider: Provider[Any],
    settings: Settings,
    requests: Mapping[str, TokenRequest],
    policy: NetworkPolicy,
) -> Iterator[Problem]:
    """Yield each host that the policy forbids, once, with the setting that it is in."""
    with importing:
        from keyturn._providers.revocation import revocation_url
    addresses: dict[str, str | None] = {name: each.url for name, each in requests.items()}
    # What is wrong with these is reported when they are used.
    with contextlib.suppress(errors.ConfigurationError):
        addresses["API"] = calls.api_url_for(provider, settings, None)
    with contextlib.suppress(errors.ConfigurationError):
        addresses["revocation endpoint"] = revocation_url(provider, settings)
    seen: set[str] = set()
    for endpoint, url in addresses.items():
        host = host_of(url or "")
        problem = host_problem(policy, host) if host and host not in seen else None
        seen.add(host)
        if problem:
            yield Problem(_origin_of(host, settings), f"the {endpoint}'s host {host} {problem}")


def _origin_of(host: str, settings: Settings) -> str:
    """Return the name of the setting that a host comes from, or an empty string."""
    for name in fields_of(type(settings)):
        value = getattr(settings, name)
        if isinstance(value, str) and host in value.lower():
            return name
    return ""
