"""Checks of what hostile settings do to addresses."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._http.urls import origin, url_problem
from keyturn._providers.calls import translate_errors
from keyturn._providers.settings import read
from keyturn._token import Token
from keyturn.testing.provider_kit._made_up import candidates, text_settings, url_settings
from keyturn.testing.provider_kit._subject import CheckFailed

if TYPE_CHECKING:
    from keyturn.testing.provider_kit._subject import Subject

_TEXTS = (
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
    "a\0",
    "\uff41cme",
    "\u0430cme",
    "a" * 64,
    "acme.",
    "",
    "https://evil.example/",
    "http://evil.example",
    "{client_secret}",
)
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
    "",
)
_TOKEN = Token("made-up-token", "Bearer", 4e9)


def hostile_texts(subject: Subject) -> None:
    """No text that a tenant's owner may choose leads a secret or a token to another host."""
    for name in text_settings(subject.provider.settings):
        usual = _addresses(subject, _harmless(subject, name))
        for text in _TEXTS:
            try:
                found = _addresses(subject, {name: text})
            except errors.ConfigurationError as error:
                if _is_named(name, str(error)):
                    continue
                raise CheckFailed(
                    f"the setting {name} as {text!r} is refused without being named: {error}",
                    f"declare {name} with keyturn.plugins.label or another check, and make addresses of "
                    f"templates such as https://{{{name}}}.example.",
                ) from None
            for kind in found.keys() & usual.keys():
                _compare(f"the setting {name} as {text!r}", name, kind, usual[kind], found[kind])


def hostile_urls(subject: Subject) -> None:
    """A setting that is an address takes https addresses only, and nothing odd in them."""
    for name in url_settings(subject.provider.settings):
        for address in _URLS:
            _, mistakes = read(subject.provider.settings, {**subject.values, name: address})
            if not any(mistake.path == name for mistake in mistakes):
                raise CheckFailed(
                    f"the setting {name} may be {address!r}.",
                    f"declare {name} with keyturn.plugins.url, or let its check ask keyturn.url_problem.",
                )


def _harmless(subject: Subject, name: str) -> dict[str, str]:
    """Return a harmless value for a setting that has none, if one can be made up."""
    if name in subject.values:
        return {}
    cls = subject.provider.settings
    values = candidates(subject.provider, name)
    accepted = (each for each in values if read(cls, {**subject.values, name: each})[0])
    first = next(accepted, None)
    return {} if first is None else {name: first}


def _addresses(subject: Subject, changes: dict[str, str]) -> dict[str, str]:
    """Return the addresses that settings lead to.

    Raises:
        keyturn.errors.ConfigurationError: The settings, or an address, are refused.
    """
    settings, mistakes = read(subject.provider.settings, {**subject.values, **changes})
    if settings is None:
        raise errors.ConfigurationError("refused:", problems=mistakes)
    provider, request = subject.ready(settings)
    for header, value in request.headers.items():
        if not value.isprintable():
            raise CheckFailed(
                f"the token request's header {header} holds control characters from a setting.",
                "let the setting's check refuse them.",
            )
    found = {"token endpoint": request.url}
    with contextlib.suppress(errors.ConfigurationError):
        base = translate_errors(provider.name, lambda: provider.api_url_for(settings, _TOKEN))
        if base is not None:
            found["API"] = base
    with contextlib.suppress(errors.ConfigurationError):
        revocation = translate_errors(
            provider.name, lambda: provider.revocation_request(settings, _TOKEN)
        )
        if revocation is not None:
            found["revocation endpoint"] = revocation.url
    return found


def _is_named(name: str, text: str) -> bool:
    """Tell whether a text names a setting, and not just a host that is called so."""
    return re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w-]|\.\w)", text) is not None


def _compare(what: str, name: str, kind: str, usual: str, address: str) -> None:
    mend = (
        f"declare {name} with keyturn.plugins.label if it is a part of the host, else make the address of "
        f"a template, https://host.example/{{{name}}}, which encodes it."
    )
    problem = url_problem(address)
    if problem:
        raise CheckFailed(f"{what} makes the address of the {kind} odd: it {problem}.", mend)
    if origin(address) != origin(usual):
        raise CheckFailed(f"{what} leads to another host: the {kind} is at {address!r}.", mend)
    if address.count("/") != usual.count("/"):
        raise CheckFailed(f"{what} changes the path: the {kind} is at {address!r}.", mend)
