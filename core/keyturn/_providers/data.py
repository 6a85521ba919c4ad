"""What is wrong with a provider's data, told before anything is sent.

It goes by the annotations of `Provider`, so each datum is declared in one place.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from keyturn._http.response import is_code
from keyturn._http.urls import domain_problem, url_problem
from keyturn._providers import templates
from keyturn._providers.provider import Provider
from keyturn._rate_limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from keyturn._providers.settings import Settings

_HEADER_REGEX = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ALGORITHM_REGEX = re.compile(r"(?:RS|PS|ES)(?:256|384|512)|ES256K|EdDSA|Ed25519|Ed448")
_SCHEME_REGEX = re.compile(r"[\x21-\x7e]*")
_PATH_REGEX = re.compile(r"[^.\s]+(?:\.[^.\s]+)*")
_PLACEHOLDER_REGEX = re.compile(r"\{[^{}]*\}")
_ADDRESSES = ("token_url", "api_url", "revocation_url")
_HEADERS = ("token_headers", "api_headers")
_TEXTS = (*_HEADERS, "parameters", "assertion_claims")
_PATHS = (
    "token_field",
    "lifetime_field",
    "error_field",
    "error_description_field",
    "api_url_field",
)
_MAY_BE_EMPTY = ("token_field", "api_url_field")
TAKEN = frozenset({"provider", "store", "name", "margin", "timeout", "wait"})
"""What `keyturn.connect` and `keyturn.toml` say of any connection, so no setting may be it."""
# What frames or routes a request is its sender's alone (RFC 9110 sections 7.2 and 8.6, RFC 9112).
_FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_ALGORITHM_HEADERS = frozenset({"alg", "b64", "crit", "typ"})
_LONGEST_ASSERTION = 86_400.0
_COLLIDING = frozenset(
    {"parameters", "client_id_name", "client_secret_name", "assertion_name"}
    | {"api_headers", "authorization_header"}
    | {"token_field", "error_field", "error_description_field"}
)
_NEEDED_SETTINGS = {"private_key_jwt": "private_key", "tls_client_auth": "certificate"}


@functools.cache
def kinds() -> Mapping[str, Any]:
    """Return the type of each datum of a provider by its name."""
    hints = typing.get_type_hints(Provider)
    return {
        name: typing.get_args(hint)[0]
        for name, hint in hints.items()
        if typing.get_origin(hint) is ClassVar
    }


def problems(provider: Provider[Any]) -> list[str]:
    """Return what is wrong with a provider's data and settings, each time naming the datum."""
    found = {
        name: f"must be {_wanted(kind)}"
        for name, kind in kinds().items()
        if not _fits(getattr(provider, name, None), kind)
    }
    others = [
        (name, problem) for name, problem in _finer_problems(provider, found) if name not in found
    ]
    taken = [
        ("settings", f"none may be named {field.name}, a word of keyturn.connect's own")
        for field in attrs.fields(provider.settings)
        if field.name in TAKEN
    ]
    return [f"{name}: {problem}" for name, problem in (*found.items(), *others, *taken)]


def _fits(value: object, kind: Any) -> bool:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return value in typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(value, each) for each in typing.get_args(kind))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            isinstance(name, str) and isinstance(text, str) for name, text in value.items()
        )
    if origin is tuple:
        return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    if kind in {int, float}:
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    return isinstance(value, kind)


def _wanted(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is Literal:
        return f"one of {', '.join(typing.get_args(kind))}"
    if origin in {typing.Union, types.UnionType}:
        kinds = [each for each in typing.get_args(kind) if each is not types.NoneType]
        return f"{_wanted(kinds[0])}, or absent"
    return _WORDS[origin or kind]


_WORDS: dict[Any, str] = {
    str: "a text",
    float: "a number",
    int: "a whole number",
    tuple: "several texts",
    Mapping: "names and texts",
    RateLimit: "a rate_limit: per_minute and burst",
}


def _finer_problems(provider: Provider[Any], wrong: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with data that are of the right kind."""
    right = [name for name in kinds() if name not in wrong]
    for name in right:
        value = getattr(provider, name)
        problem = _CHECKS[name](value) if name in _CHECKS else None
        if problem:
            yield name, problem
        for template in _templates(name, value):
            problem = _template_problem(name, template, provider.settings)
            if problem:
                yield name, f"{template!r} {problem}"
    if "token_url" in right and not provider.token_url:
        yield "token_url", "is required"
    if "client_authentication" in right:
        yield from _authentication_problems(provider, right)
    if not _COLLIDING & wrong.keys():
        yield from _collisions(provider)
    if provider.method == "GET" and provider.body_format != "query":
        yield "body_format", "must be query with method GET, which has no body"


def _template_problem(name: str, template: str, settings: type[Settings]) -> str | None:
    if name == "api_headers" and template == templates.RANDOM_ID:
        return "would be the same for all requests with one token"
    problem = templates.problem(template, settings)
    if problem is None and name in _ADDRESSES:
        return templates.address_problem(template, settings)
    return problem


def _collisions(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    """Yield what would be sent twice (RFC 6749 section 3.2 forbids that), or in another's place."""
    own = {"grant_type"} if provider.grant_type else set[str]()
    if provider.client_authentication == "client_secret_post":
        own |= {provider.client_id_name, provider.client_secret_name}
    elif provider.client_authentication == "private_key_jwt":
        own |= {provider.client_id_name, provider.assertion_name, "client_assertion_type"}
    for name in provider.parameters:
        if name in own:
            yield "parameters", f"{name} is sent already"
    for name in provider.api_headers:
        if name.lower() == str(provider.authorization_header).lower():
            yield "api_headers", f"{name} carries the token: see authorization_header"
    if provider.token_field in {provider.error_field, provider.error_description_field}:
        yield "token_field", "can't be the field of an error as well"


def _authentication_problems(
    provider: Provider[Any], right: Iterable[str]
) -> Iterator[tuple[str, str]]:
    needed = _NEEDED_SETTINGS.get(provider.client_authentication)
    if needed and not hasattr(provider.settings, needed):
        yield "client_authentication", f"needs the setting {needed}"
    if provider.client_authentication == "client_secret_headers":
        for name in ("client_id_name", "client_secret_name"):
            header = getattr(provider, name)
            problem = _header_name_problem(header) if name in right and header else None
            if problem:
                yield name, problem


def _templates(name: str, value: Any) -> tuple[str, ...]:
    if name in {*_ADDRESSES, "assertion_audience"}:
        return (value,)
    return tuple(value.values()) if name in _TEXTS else ()


def _address_problem(template: str) -> str | None:
    """Return what no setting can mend in an address."""
    # A setting that an address begins with is a whole address; any other is a part of a name.
    sample = re.sub(r"^\{[^{}]*\}", "https://a.example", template)
    return url_problem(_PLACEHOLDER_REGEX.sub("a", sample)) if template else None


def _headers_problem(headers: Mapping[str, str]) -> str | None:
    for name, text in headers.items():
        if not (_HEADER_REGEX.fullmatch(name) and text.isprintable() and text.isascii()):
            return f"{name!r} and its value are no header"
        if name.lower() in _FRAMING:
            return f"{name!r} is for the HTTP client alone"
    if len({name.lower() for name in headers}) < len(headers):
        return "has a header twice: names are the same in any case"
    return None


def _path_problem(path: str) -> str | None:
    return None if _PATH_REGEX.fullmatch(path) else "must be a path such as data.token"


def _optional_path_problem(path: str) -> str | None:
    return _path_problem(path) if path else None


def _header_name_problem(name: str) -> str | None:
    if not _HEADER_REGEX.fullmatch(name):
        return "must be the name of a header"
    return "is for the HTTP client alone" if name.lower() in _FRAMING else None


def _scheme_problem(scheme: str) -> str | None:
    return None if _SCHEME_REGEX.fullmatch(scheme) else "must be one word, or empty"


def _algorithm_problem(algorithm: str) -> str | None:
    if _ALGORITHM_REGEX.fullmatch(algorithm):
        return None
    return "must be an algorithm with a private key, such as RS256, PS256, ES256 or EdDSA"


def _required_problem(text: str) -> str | None:
    return None if text else "must not be empty"


def _key_header_problem(name: str) -> str | None:
    return f"can't be {name or 'empty'}" if name in {"", *_ALGORITHM_HEADERS} else None


def _status_problem(status: int) -> str | None:
    return None if 200 <= status < 300 else "must be a status of success, from 200 to 299"


def _assertion_lifetime_problem(seconds: float) -> str | None:
    if 1 <= seconds <= _LONGEST_ASSERTION:
        return None
    return f"must be from 1 to {_LONGEST_ASSERTION:g} seconds"


def _positive_problem(number: float | None) -> str | None:
    return None if number is None or number > 0 else "must be above 0"


def _rate_limit_problem(rate_limit: RateLimit | None) -> str | None:
    if rate_limit is None:
        return None
    is_rate = 0 < rate_limit.per_minute < float("inf")
    if is_rate and isinstance(rate_limit.burst, int) and rate_limit.burst >= 1:
        return None
    return "must have a per_minute above 0 and a whole burst of 1 or more"


def _domains_problem(domains: tuple[str, ...]) -> str | None:
    return next(
        (f"{each!r} {domain_problem(each)}" for each in domains if domain_problem(each)), None
    )


def _codes_problem(codes: Mapping[str, str]) -> str | None:
    wrong = [code for code in codes.values() if not is_code(code)]
    return f"{wrong[0]!r} is no code of RFC 6749 section 5.2" if wrong else None


_CHECKS: dict[str, Any] = {
    **dict.fromkeys(("token_url", "api_url", "revocation_url"), _address_problem),
    **dict.fromkeys(_HEADERS, _headers_problem),
    **dict.fromkeys(_PATHS, _path_problem),
    **dict.fromkeys(("missing_lifetime", "max_margin"), _positive_problem),
    **dict.fromkeys(("scope_separator", "assertion_name"), _required_problem),
    "assertion_key_header": _key_header_problem,
    **dict.fromkeys(_MAY_BE_EMPTY, _optional_path_problem),
    "assertion_algorithm": _algorithm_problem,
    "assertion_lifetime": _assertion_lifetime_problem,
    "token_status": _status_problem,
    "authorization_header": _header_name_problem,
    "authorization_scheme": _scheme_problem,
    "rate_limit": _rate_limit_problem,
    "api_domains": _domains_problem,
    "error_codes": _codes_problem,
}
