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
from keyturn._http.steps import known_address
from keyturn._http.urls import is_below, origin, url_problem
from keyturn._providers.calls import translate_errors
from keyturn._providers.provider import Provider
from keyturn._providers.settings import read
from keyturn._providers.steps import domains_of, steps_of
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._source import is_data_alone, own_strings
from keyturn.testing.provider_kit._suffixes import is_shared, registered_domain
from keyturn.testing.provider_kit._variants import cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn.testing.provider_kit._subject import Subject

_EVIL = "https://evil.example/api"
_PORT = 8743
# An address that keyturn refuses, and of which the method knows nothing.
_HTTP_REGEX = re.compile(r"http://[a-z0-9.-]+(:[0-9]+)?(/\S*)?")
_SLUGS = ("evil.example/", "evil.example#", "a@evil.example")
# What makes addresses; keyturn's own compare whole origins.
_ADDRESSING = ("api_url_for", "revocation_request")
# The depths of a URL in a response.
_DEPTHS = (1, 2, 3)
# Names of claims that contain claims.
_MOST = 100
# Claims of a JWT in which a platform may have an address.
_CLAIMS = (
    *("iss", "aud", "azp", "sub", "url", "api", "api_url", "api_base", "base", "base_url", "host"),
    *("domain", "endpoint", "instance_url", "tenant", "org", "realm", "resource", "server", "shop"),
)
_START_REGEX = re.compile(r"https://[a-z0-9.-]+(:[0-9]+)?")
_SEPARATOR_REGEX = re.compile(r"[^\w\s/.]{1,3}", re.ASCII)
_DOMAIN_REGEX = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


@attrs.frozen
class _Own:
    """Where a platform is.

    Args:
        domains: Its domains.
        with_ports: Those whose ports are all its own, as its data say.
        origins: The origins of the token endpoint and of the API.
    """

    domains: list[str]
    with_ports: tuple[str, ...]
    origins: frozenset[str]


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
    token = subject.token()
    own = _own(subject, token)
    names = own_strings(subject.provider)
    values = (_EVIL, *_hostile(own.domains), *_SLUGS)
    _address(
        subject,
        "api_url_for",
        lambda: subject.effective_provider.api_url_for(subject.settings(), None),
    )
    _try_values(subject, token, own, values)
    for listed in ([_EVIL], [_Anything(_EVIL)], [_Anything(_Anything(_EVIL))]):
        _try_token(subject, fields_of(token, _Anything(listed)), own)
    further = [_EVIL, *_below_shared(names)]
    inner = [jwt_with(token, value, names).access_token for value in further]
    tables = [json.dumps(dict.fromkeys((*names, *_CLAIMS), each)) for each in further]
    inner += [base64.b64encode(each.encode()).decode() for each in tables]
    further += inner
    for value in further:
        _try_token(subject, token_with(token, value, 1), own)
    hostile = [jwt_with(token, _EVIL, names, depth) for depth in (1, 2)]
    hostile += [token_with(token, _EVIL, depth) for depth in (1, 2)]
    for settings in other_settings(subject):
        for each in hostile:
            _try_token(subject, each, own, settings)
    provider = type(subject.effective_provider)
    if any(getattr(provider, each) is not getattr(Provider, each) for each in _ADDRESSING):
        looks = (*_hosts_like(own.domains), *_beginning_with(names))
        _try_values(subject, token, own, (*_otherwise(own.domains), *looks, str(_PORT), "http"))
        for value in _around(names):
            _try_token(subject, attrs.evolve(token, access_token=value), own)


def _try_values(subject: Subject, token: Token, own: _Own, values: Iterable[str]) -> None:
    """Try values in the fields of the response, at each depth, and in the claims of the token."""
    for value in values:
        _try_field(subject, value, own)
    # The simplest first, for the simplest message.
    for depth in _DEPTHS:
        for value in values:
            _try_token(subject, token_with(token, value, depth), own)
    names = own_strings(subject.provider)
    for value in values:
        _try_token(subject, attrs.evolve(token, scope=f"read {value}", token_type=value), own)
        _try_token(subject, jwt_with(token, value, names), own)


def _own(subject: Subject, token: Token) -> _Own:
    provider = subject.effective_provider
    address = _address(
        subject, "api_url_for", lambda: provider.api_url_for(subject.settings(), token)
    )
    usual = [known_address(subject.request()), *([address] if address else [])]
    return _Own(own_domains(subject), provider.api_domains, frozenset(map(origin, usual)))


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


def _hosts_like(domains: list[str]) -> Iterator[str]:
    """Yield hosts that only look like the platform's own."""
    for domain in domains:
        yield f"evil{domain}"
        yield f"{domain}.evil.example"


def _beginning_with(names: list[str]) -> Iterator[str]:
    """Yield URLs of other hosts that begin like those that the provider's own code names."""
    for name in names:
        if _START_REGEX.fullmatch(name):
            yield f"{name}.evil.example"
            yield f"{name}@evil.example"


def _around(names: list[str]) -> Iterator[str]:
    """Yield tokens with a host, or a URL, after a separator that the provider's own code names."""
    for name in names:
        if _SEPARATOR_REGEX.fullmatch(name):
            yield f"made-up{name}evil.example"
            yield f"made-up{name}{_EVIL}"


def _otherwise(domains: list[str]) -> Iterator[str]:
    """Yield URLs of the platform's own hosts, by another scheme or port."""
    for domain in domains:
        yield f"http://{domain}"
        yield f"https://{domain}:{_PORT}"


def token_with(token: Token, value: str, depth: int) -> Token:
    """Return a token in whose response every field at a depth has one value."""
    fields = _Anything(value)
    for _ in range(depth - 1):
        fields = _Anything(fields)
    return fields_of(token, fields)


def fields_of(token: Token, fields: dict[str, Any]) -> Token:
    """Return a token whose response has certain fields."""
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


def _try_token(subject: Subject, token: Token, own: _Own, settings: Settings | None = None) -> None:
    settings = settings or subject.settings()
    provider = subject.provider_for(settings)

    def revocation() -> str | None:
        request = provider.revocation_request(settings, token)
        return None if request is None else request.url

    address = _address(
        subject, "api_url_for", functools.partial(provider.api_url_for, settings, token)
    )
    _judge("api_url_for", address, own)
    _judge("revocation_request", _address(subject, "revocation_request", revocation), own)


def _try_field(subject: Subject, value: str, own: _Own) -> None:
    """Let the token endpoint return a URL in the field that the provider reads it from."""
    content, field = subject.sample.content, subject.effective_provider.api_url_field
    if field and isinstance(content, dict):
        connection = subject.connect(subject.sample.changed(samples.placed(content, field, value)))
        _judge("api_url_for", _address(subject, "api_url_for", lambda: connection.api_url), own)


def _judge(method: str, address: str | None, own: _Own) -> None:
    parts = urlsplit(address or "")
    host = f"https://{parts.hostname}"
    is_own = any(is_below(host, domain) for domain in own.domains)
    is_moved = parts.scheme == "http" or (
        parts.port == _PORT and not any(is_below(host, domain) for domain in own.with_ports)
    )
    if address and is_own and is_moved and origin(address) not in own.origins:
        raise CheckFailed(
            f"{method} takes the scheme or the port of an address from a token response, or from "
            f"the token itself: the token would be sent to {address!r}.",
            "take a part of the host alone from it, or compare the whole origin with that of the "
            "settings.",
        )
    if "evil" in (parts.hostname or "") and not is_own:
        raise CheckFailed(
            f"{method} trusts a field of a token response, or of the token itself, and the token "
            f"would be sent to {address!r}.",
            "use api_url_field with api_domains, or compare with the origin of the settings; a "
            "part of a host must be one label.",
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
            is_refused = url_problem(address) and not _HTTP_REGEX.fullmatch(address)
            return None if is_refused else address
        if address is None:
            return None
        failure = f"it returns {type(address).__name__}"
    raise CheckFailed(
        f"{method} fails for unusual fields of a token response: {failure}",
        f"let {method} return None, or raise keyturn.errors.ConfigurationError.",
    )
