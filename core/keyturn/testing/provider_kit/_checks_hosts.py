"""Checks of URLs made from hostile settings."""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._http.steps import known_address
from keyturn._http.urls import origin, url_problem
from keyturn._providers.calls import translate_errors
from keyturn._providers.kinds import fields_of, kind_of
from keyturn._providers.settings import read
from keyturn._token import Token
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._made_up import (
    candidates,
    secret_settings,
    string_settings,
    url_settings,
)
from keyturn.testing.provider_kit._pinned import at_known_address, with_steps
from keyturn.testing.provider_kit._source import location

if TYPE_CHECKING:
    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn.testing.provider_kit._subject import Subject

_STRINGS = (
    "acme.evil.example/",
    "evil.example#",
    "evil.example?",
    "user@evil.example",
    "acme:8443",
    "[::1]",
    "%2e%2e",
    "..",
    "..\\",
    "../..",
    "a/b",
    "\r\nHost: evil.example",
    "%0d%0aHost:%20evil.example",
    "\\r\\nHost: evil.example",
    "a\0",
    "\uff41cme",
    "\u0430cme",
    "a" * 64,
    "acme.",
    "https://evil.example/",
    "http://evil.example",
    "{client_secret}",
)
_NUMBERS = (-1, 70_000)
_URLS = (
    "http://evil.example",
    "https://user@evil.example",
    "https://evil.example?a=b",
    "https://evil.example#a",
    "https://evil.example/../a",
    "https://acme:99999",
    "https://\u0430cme.example",
    "ftp://evil.example",
    "evil.example",
)
# Names of settings, or their values, that choose between production and what is to be tried.
_ENVIRONMENT_REGEX = re.compile(
    r"(?i)(?<![a-z])(env|environment|stage|staging|sandbox|test|testing|live|prod|production|demo|"
    r"preview|uat|qa)(?![a-z])"
)
_TOKEN = Token("made-up-token", "Bearer", 4e9)


def hostile_strings(subject: Subject) -> None:
    """No string that a tenant chooses sends a secret or a token to another host."""
    cls = subject.provider.settings
    numbers = [name for name, field in fields_of(cls).items() if kind_of(field.type)[0] is int]
    for name in (*string_settings(cls), *numbers):
        try:
            usual = _addresses(subject, _harmless(subject, name))
        except errors.ConfigurationError:  # it is no name of a file, or the like
            usual = _addresses(subject, {})
        values: tuple[Any, ...] = _NUMBERS if name in numbers else _STRINGS
        for value in values:
            try:
                found = _addresses(subject, {name: value})
            except errors.ConfigurationError as error:
                if _is_named(name, str(error)):
                    continue
                raise CheckFailed(
                    f"the setting {name} as {value!r} is rejected without being named: {error}",
                    f"declare {name} with keyturn.plugins.label or another check, and declare "
                    "URLs as "
                    f"templates such as https://{{{name}}}.example.",
                ) from None
            for kind in found.keys() & usual.keys():
                _compare(f"the setting {name} as {value!r}", name, kind, usual[kind], found[kind])


def hostile_secrets(subject: Subject) -> None:
    """No secret can inject a header."""
    for name in secret_settings(subject.provider.settings):
        for value in ("a\r\nX-Made-Up: 1", "made-up-s3cret\n"):
            if read(subject.provider.settings, {**subject.values, name: value})[0] is not None:
                with contextlib.suppress(errors.ConfigurationError):
                    _addresses(subject, {name: value})


def hostile_urls(subject: Subject) -> None:
    """A URL setting accepts only plain https URLs."""
    for name in url_settings(subject.provider.settings):
        for address in _URLS:
            _, mistakes = read(subject.provider.settings, {**subject.values, name: address})
            is_accepted = not any(mistake.path == name for mistake in mistakes)
            if is_accepted and not _is_sent(subject, {name: address}):
                raise CheckFailed(
                    f"the setting {name} may be {address!r}.",
                    f"declare {name} with keyturn.plugins.url, or let its check call "
                    "keyturn.plugins.url_problem.",
                )


def _is_sent(subject: Subject, changes: dict[str, Any]) -> bool:
    """Return whether a setting changes a parameter or a header alone, which may be any URI."""
    try:
        is_elsewhere = _addresses(subject, changes) == _addresses(subject, {})
        return is_elsewhere and subject.request(**changes) != subject.request()
    except errors.ConfigurationError:
        return False


def judge_environments(subject: Subject) -> None:
    """Check that a setting which moves the token endpoint to a sandbox moves the API as well."""
    for name, field in fields_of(subject.provider.settings).items():
        choices = tuple(field.metadata.get("choices") or ())
        values = (False, True) if kind_of(field.type)[0] is bool else choices
        if not any(map(_ENVIRONMENT_REGEX.search, map(str, (name, *choices)))):
            continue
        found: list[dict[str, str]] = []
        with contextlib.suppress(errors.ConfigurationError):  # other checks report it
            found = [_addresses(subject, {name: value}) for value in values]
        for one, other in itertools.combinations(found, 2):
            hosts = {origin(each["token endpoint"]) for each in (one, other)}
            if len(hosts) > 1 and "API" in one and one["API"] == other.get("API"):
                raise CheckFailed(
                    f"the setting {name} moves the token endpoint to another host, but the API "
                    f"stays at {one['API']}.",
                    f"let api_url, or api_url_for, depend on {name}.",
                    at=location(subject.provider, "api_url_for api_url"),
                )


def _harmless(subject: Subject, name: str) -> dict[str, str]:
    """Return a harmless value for a setting without one, if one can be generated."""
    if name in subject.values:
        return {}
    cls = subject.provider.settings
    values = candidates(subject.provider, name)
    accepted = (
        each
        for each in values
        if "/" not in str(each) and read(cls, {**subject.values, name: each})[0]
    )
    first = next(accepted, None)
    return {} if first is None else {name: first}


def _addresses(subject: Subject, changes: dict[str, Any]) -> dict[str, str]:
    """Return the URLs of all requests with some settings.

    Raises:
        keyturn.errors.ConfigurationError: The settings, or a URL, are rejected.
    """
    settings, mistakes = read(subject.provider.settings, {**subject.values, **changes})
    if settings is None:
        raise errors.ConfigurationError("rejected:", problems=mistakes)
    provider, request = subject.prepared(settings)
    for header, value in request.headers.items():
        if not (value.isprintable() and ":" not in header):
            raise CheckFailed(
                f"the token request's header {header!r} holds control characters from a setting, "
                "or its name is one.",
                "let the setting's check reject them.",
            )
    for header, value in _api_headers(provider, settings):
        is_named = ":" not in str(header) or header in {*_authorization_names(provider)}
        if not (str(value).isprintable() and is_named):
            raise CheckFailed(
                f"the header {header!r} of API requests holds control characters from a setting.",
                "let the setting's check reject them, or api_request_headers.",
            )
    found = {"token endpoint": known_address(request)}
    steps = with_steps(request)[1:]
    found |= {f"step {number}": known_address(step) for number, step in enumerate(steps, 1)}
    with contextlib.suppress(errors.ConfigurationError):
        base = translate_errors(provider.name, lambda: provider.api_url_for(settings, _TOKEN))
        if base is not None:
            found["API"] = base
    with contextlib.suppress(errors.ConfigurationError):
        revocation = translate_errors(
            provider.name, lambda: provider.revocation_request(settings, _TOKEN)
        )
        if revocation is not None:
            found["revocation endpoint"] = at_known_address(revocation, request).url
    return found


def _api_headers(provider: Provider[Any], settings: Settings) -> list[tuple[str, str]]:
    """Return the headers of an API request; other checks report exceptions."""
    with contextlib.suppress(Exception):
        name, value = provider.authorization(settings, _TOKEN)
        return [(name, value), *provider.api_request_headers(settings, _TOKEN).items()]
    return []


def _authorization_names(provider: Provider[Any]) -> tuple[str, str]:
    return provider.authorization_header, provider.authorization_query


def _is_named(name: str, message: str) -> bool:
    """Return whether a message names a setting, not only a host of that name."""
    return re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w-]|\.\w)", message) is not None


def _compare(what: str, name: str, kind: str, usual: str, address: str) -> None:
    fix = (
        f"declare {name} with keyturn.plugins.label if it is a part of the host, else declare the "
        "URL "
        f"as a template, https://host.example/{{{name}}}, which encodes it."
    )
    problem = url_problem(address)
    if problem:
        raise CheckFailed(f"{what} makes the URL of the {kind} invalid: it {problem}.", fix)
    if origin(address) != origin(usual):
        raise CheckFailed(f"{what} leads to another host: the {kind} is at {address!r}.", fix)
    if address.count("/") != usual.count("/"):
        raise CheckFailed(f"{what} changes the path: the {kind} is at {address!r}.", fix)
