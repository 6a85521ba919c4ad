"""Check of the URLs to which a hostile response can redirect a token."""

from __future__ import annotations

import base64
import functools
import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from keyturn import errors
from keyturn._http.steps import STEP_NAMES, known_address
from keyturn._http.urls import host_of, is_below, url_problem
from keyturn._providers.calls import translate_errors
from keyturn._providers.kinds import fields_of
from keyturn._providers.settings import read
from keyturn._providers.steps import domains_of, steps_of
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._elsewhere import elsewhere
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._source import is_data_alone, own_strings
from keyturn.testing.provider_kit._suffixes import is_shared, registered_domain
from keyturn.testing.provider_kit._variants import BASE, cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn.testing.provider_kit._subject import Subject

_ADDRESSES = ("token_url", "api_url", "revocation_url")
_EVIL = "https://evil.example/api"
_SLUGS = ("evil.example/", "evil.example#", "a@evil.example")
# The depths of a URL in a response.
_DEPTHS = (1, 2, 3)
# Names of claims that contain claims.
_MOST = 100
# Claims of a JWT in which a platform may have an address.
_CLAIMS = (
    *("iss", "aud", "azp", "sub", "url", "api", "api_url", "api_base", "base", "base_url", "host"),
    *("domain", "endpoint", "instance_url", "tenant", "org", "realm", "resource", "server", "shop"),
)
_DOMAIN_REGEX = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_PLACEHOLDER_REGEX = re.compile(r"https://[^/]*\{([a-z0-9_]+)(?:\[[^{}]*)?\}\.([^/:{}]+)")


class _Anything(dict[str, Any]):
    """Fields of a response with any name, all with one value."""

    def __init__(self, value: object) -> None:
        super().__init__(made_up=value)
        self._value = value

    def __missing__(self, key: str) -> object:
        return self._value

    def get(self, key: str, default: object = None) -> object:
        del key, default
        return self._value

    def __contains__(self, key: object) -> bool:
        return True


def foreign_api_address(subject: Subject) -> None:
    """A response can't direct API or revocation requests, with their token, to another host."""
    domains = own_domains(subject)
    values = (_EVIL, *_hostile(domains), *_SLUGS)
    for value in values:
        _try_field(subject, value, domains)
    token = subject.token()
    _address(
        subject,
        "api_url_for",
        lambda: subject.effective_provider.api_url_for(subject.settings(), None),
    )
    # The simplest first, for the simplest message.
    for depth in _DEPTHS:
        for value in values:
            _try_token(subject, token_with(token, value, depth), domains)
    for listed in ([_EVIL], [_Anything(_EVIL)], [_Anything(_Anything(_EVIL))]):
        _try_token(subject, _with_extra(token, _Anything(listed)), domains)
    for value in values:
        _try_token(subject, attrs.evolve(token, scope=f"read {value}", token_type=value), domains)
    names = own_strings(subject.provider)
    for value in values:
        _try_token(subject, jwt_with(token, value, names), domains)
    further = [_EVIL, *_below_shared(names)]
    inner = [jwt_with(token, value, names).access_token for value in further]
    tables = [json.dumps(dict.fromkeys((*names, *_CLAIMS), each)) for each in further]
    inner += [base64.b64encode(each.encode()).decode() for each in tables]
    further += inner
    for value in further:
        _try_token(subject, token_with(token, value, 1), domains)
    hostile = [jwt_with(token, _EVIL, names, depth) for depth in (1, 2)]
    hostile += [token_with(token, _EVIL, depth) for depth in (1, 2)]
    for settings in other_settings(subject):
        for each in hostile:
            _try_token(subject, each, domains, settings)


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


def own_domains(subject: Subject) -> list[str]:
    """Return the platform's own domains."""
    host = urlsplit(known_address(subject.request())).hostname or ""
    declared = subject.effective_provider.api_domains
    steps = steps_of(subject.effective_provider, subject.settings())
    documents = [each for _, step, own in steps for each in domains_of(step, own)]
    return list(dict.fromkeys((*declared, *documents, host, registered_domain(host))))


def other_settings(subject: Subject) -> list[Settings]:
    """Return the settings given, and others that may lead to another branch of a method."""
    every = [case.values for case in cases(subject)] if not is_data_alone(subject.provider) else []
    found = [read(subject.provider.settings, each)[0] for each in every[2:]]
    return [subject.settings(), *(each for each in found if each is not None)]


def _below_shared(names: list[str]) -> Iterator[str]:
    """Yield URLs below the shared domains that the provider's own code names."""
    for name in names:
        domain = name.strip(".").lower()
        if _DOMAIN_REGEX.fullmatch(domain) and is_shared(domain, domain):
            yield f"https://evil.{domain}"


def _hostile(domains: list[str]) -> Iterator[str]:
    """Yield URLs that only look like the platform's own."""
    for domain in domains:
        yield f"https://evil{domain}"
        yield f"https://evil.example/{domain}"
        yield f"https://{domain}.evil.example"
        yield f"https://shop.{domain}.evil.example"


def token_with(token: Token, value: str, depth: int) -> Token:
    """Return a token in whose response every field at a depth has one value."""
    fields = _Anything(value)
    for _ in range(depth - 1):
        fields = _Anything(fields)
    return _with_extra(token, fields)


def _with_extra(token: Token, fields: dict[str, Any]) -> Token:
    changed = attrs.evolve(token)
    object.__setattr__(changed, "extra", MappingProxyType(fields))
    return changed


def jwt_with(token: Token, value: str, names: list[str], depth: int = 1) -> Token:
    """Return a token that is a JWT, all of whose claims at a depth have one value."""
    try:
        _, payload, _ = token.access_token.split(".")
        own: Any = json.loads(base64.urlsafe_b64decode(payload + "=="))
    except (ValueError, TypeError):  # not a URL
        own = ()
    keys = list(dict.fromkeys((*names, *own, *_CLAIMS)))
    content: Any = value
    if depth > 1:
        content = dict.fromkeys(names[:_MOST], value)
    content = dict.fromkeys(keys[:_MOST] if depth > 1 else keys, content)
    claims = json.dumps(content)
    parts = (_base64(each).rstrip("=") for each in ('{"alg":"none"}', claims))
    return attrs.evolve(token, access_token=".".join([*parts, "made-up"]))


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _try_token(
    subject: Subject, token: Token, domains: list[str], settings: Settings | None = None
) -> None:
    settings = settings or subject.settings()
    provider = subject.provider_for(settings)

    def revocation() -> str | None:
        request = provider.revocation_request(settings, token)
        return None if request is None else request.url

    address = _address(
        subject, "api_url_for", functools.partial(provider.api_url_for, settings, token)
    )
    _judge("api_url_for", address, domains)
    _judge("revocation_request", _address(subject, "revocation_request", revocation), domains)


def _try_field(subject: Subject, value: str, domains: list[str]) -> None:
    """Let the token endpoint return a URL in the field that the provider reads it from."""
    content, field = subject.sample.content, subject.effective_provider.api_url_field
    if field and isinstance(content, dict):
        connection = subject.connect(subject.sample.changed(samples.placed(content, field, value)))
        _judge("api_url_for", _address(subject, "api_url_for", lambda: connection.api_url), domains)


def _judge(method: str, address: str | None, domains: list[str]) -> None:
    if address is None or "evil" not in (urlsplit(address).hostname or ""):
        return
    if not any(is_below(address, domain) for domain in domains):
        raise CheckFailed(
            f"{method} trusts a field of a token response, or of the token itself, and the token "
            f"would be sent to {address!r}.",
            "use api_url_field with api_domains, or compare with the host of the settings; a part "
            "of "
            "a host must be one label.",
        )


def _address(subject: Subject, method: str, work: Callable[[], str | None]) -> str | None:
    """Return a URL; None when the method rejects the fields."""
    try:
        address: Any = translate_errors(subject.provider.name, work)
    except errors.ConfigurationError:
        return None
    except errors.KeyturnError as error:
        failure = str(error)
    else:
        if isinstance(address, str):
            return None if url_problem(address) else address
        if address is None:
            return None
        failure = f"it returns {type(address).__name__}"
    raise CheckFailed(
        f"{method} fails for unusual fields of a token response: {failure}",
        f"let {method} return None, or raise keyturn.errors.ConfigurationError.",
    )
