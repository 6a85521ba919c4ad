"""Checks of the headers of API requests."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from keyturn._providers.checks import header_name
from keyturn._providers.provider import Provider
from keyturn.testing.provider_kit._checks_foreign import (
    fields_of,
    jwt_with,
    other_settings,
    token_with,
)
from keyturn.testing.provider_kit._checks_request import HEADER_NAME_REGEX
from keyturn.testing.provider_kit._examples import CheckFailed, check_keys
from keyturn.testing.provider_kit._source import own_strings

if TYPE_CHECKING:
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn.testing.provider_kit._subject import Subject

_DOUBLE_REGEX = re.compile(r"(?i)([a-z]+) +\1 ")
# The last shows truncation, encoding or omission in a token (RFC 6750 section 2.1).
_LONG = f"made-up.{'aB3' * 200}-._~+/_=="
_OTHERS = ("made-up-token-of-later", _LONG)
# Other tokens, from which what is computed from a whole token must differ.
_ALIKE = (_LONG.swapcase(), _LONG[:-1], f"{_LONG}=", f"x{_LONG[1:]}")
_PART = "aB3" * 10
_MADE_HEADERS = ("authorization", "api_request_headers")
# Common HTTP servers refuse more.
_MOST_HEADERS = 100
_GRANTED = "made-up-granted"


def _judge_scope(subject: Subject, token: Token) -> None:
    """Check that no header of an API request has the granted scope twice."""
    provider, settings = subject.effective_provider, subject.settings()
    scoped, headers = attrs.evolve(token, scope=_GRANTED), dict[str, str]()
    with contextlib.suppress(Exception):  # other checks report its exceptions
        headers = dict(provider.api_request_headers(settings, scoped))
    for name in (name for name, value in headers.items() if str(value).count(_GRANTED) > 1):
        raise CheckFailed(
            f"api_request_headers returns the token's scope twice in {name}.",
            "let api_request_headers have the scope once.",
        )


def api_headers(subject: Subject) -> None:
    """An API request has the token in the declared header, and its headers are valid."""
    subject.token()  # its failure has a cause of its own
    check_keys("`api`", subject.examples.api or {}, others="url headers")
    provider, connection = subject.effective_provider, subject.connect()
    headers = subject.call("api_request_headers or authorization", connection.headers)
    # The same one: a made-up JWT of the next second is another.
    token = connection.token()
    settings, header = subject.settings(), provider.authorization_header
    if header == Provider.authorization_header:  # the method alone may name another one
        header, _ = provider.authorization(settings, token)
    carried = headers.get(header, "")
    is_made = provider.authorization_value or provider.authorization_query
    if token.access_token not in carried and not (is_made or _is_computed(subject)):
        raise CheckFailed(
            f"the header {header} of an API request has no token.",
            "correct authorization_header and authorization_scheme, or authorization(settings, "
            "token).",
        )
    _judge_authorization(subject, token)
    others = subject.call(
        "api_request_headers", lambda: dict(provider.api_request_headers(settings, token))
    )
    if carried.count(token.access_token) > 1 or _DOUBLE_REGEX.match(carried):
        raise CheckFailed(
            f"the header {header} has the token or its scheme twice.",
            "let authorization return the scheme and the token once.",
        )
    _judge_scope(subject, token)
    _judge_others(others, {header.lower(), provider.authorization_header.lower()})
    for name, value in headers.items():
        is_string = isinstance(name, str) and isinstance(value, str)
        if not (is_string and HEADER_NAME_REGEX.fullmatch(name) and value.isprintable()):
            raise CheckFailed(
                f"the header {name!r} of an API request, or its value, is not valid.",
                "correct api_headers, api_request_headers or authorization: names as in RFC 9110, "
                "and "
                "values of one line.",
            )
    _judge_accept(headers)
    wanted = (subject.examples.api or {}).get("headers", {})
    found = {name.lower(): value for name, value in headers.items()}
    missing = [name for name, value in wanted.items() if found.get(name.lower()) != value]
    if missing or (wanted and len(wanted) != len(found)):
        raise CheckFailed(
            f"an API request's headers are not those of `api`: it has {', '.join(headers)}; wrong "
            f"or missing: {', '.join(missing) or 'none'}.",
            "correct api_headers and authorization_scheme, or `api`.",
        )


def _judge_others(others: Mapping[str, str], carriers: set[str]) -> None:
    """Check the names of the headers beside the one with the token."""
    if len({str(name).lower() for name in others}) < len(others):
        raise CheckFailed(
            "api_request_headers returns a header twice.",
            "let api_request_headers have each name once: names are case-insensitive.",
        )
    for name in others:
        if isinstance(name, str) and header_name(name):
            raise CheckFailed(
                f"api_request_headers returns {name}, which {header_name(name)}.",
                f"let api_request_headers leave out {name}.",
            )
        if str(name).lower() in carriers:
            raise CheckFailed(
                f"api_request_headers returns {name}, the header that carries the token.",
                "leave it to authorization_header and authorization_scheme, or authorization.",
            )


def _is_computed(subject: Subject) -> bool:
    """Return whether `authorization` returns what it computes from the token, such as a digest.

    That has no part of the token, and differs for tokens that differ in a single character.
    """
    provider, settings, token = subject.effective_provider, subject.settings(), subject.token()
    if type(provider).authorization is Provider.authorization:
        return False
    made = []
    with contextlib.suppress(Exception):  # other checks report its exceptions
        for each in (_LONG, *_ALIKE):
            other = attrs.evolve(token, access_token=each)
            made.append(str(provider.authorization(settings, other)[1]))
    return len(set(made)) == 1 + len(_ALIKE) and _PART not in made[0]


def _judge_accept(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if name.lower() == "accept" and re.fullmatch(r"(?i)\s*(text/html|image/|video/).*", value):
            raise CheckFailed(
                f"the header {name} of an API request says {value}, which is for browsers.",
                "correct Accept in api_headers or api_request_headers, or leave it to the caller.",
            )


def _judge_authorization(subject: Subject, token: Token) -> None:
    """Check a token that is not in a header of the usual form."""
    provider, settings = subject.effective_provider, subject.settings()
    other = attrs.evolve(token, access_token=_OTHERS[0], extra=_others(token.extra))
    (name, value), (_, later) = (
        subject.call("authorization", functools.partial(provider.authorization, settings, each))
        for each in (token, other)
    )
    if provider.authorization_query and name != provider.authorization_query:
        raise CheckFailed(
            f"authorization returns {name!r}, but authorization_query is "
            f"{provider.authorization_query!r}.",
            "let authorization return the name that authorization_query has, or remove it.",
        )
    if value == later:
        raise CheckFailed(
            "authorization returns the same for two tokens: the value is not made of it.",
            "correct authorization_value, or authorization(settings, token).",
        )


def _others(content: Any) -> Any:
    """Return fields of a response that all have other strings."""
    if isinstance(content, str):
        return f"{content}-of-later"
    if isinstance(content, (list, tuple)):
        return [_others(each) for each in content]
    is_table = isinstance(content, Mapping)
    return {name: _others(each) for name, each in content.items()} if is_table else content


def token_headers_of_any(subject: Subject) -> None:
    """API requests have the current token, and no header that a response injects."""
    provider, token = subject.effective_provider, subject.token()
    settings = subject.settings()
    for each in (token, *(attrs.evolve(token, access_token=other) for other in _OTHERS)):
        carried = subject.call(
            "authorization", functools.partial(provider.authorization, settings, each)
        )
        is_made = provider.authorization_value or _is_computed(subject)
        if each.access_token not in str(carried) and not is_made:
            does = "changes the" if each.access_token == _LONG else "returns an earlier"
            raise CheckFailed(
                f"authorization {does} token.",
                "let authorization use its argument `token` alone, as it is.",
            )
    line = "made-up\r\nX-Made-Up: 1"
    names = own_strings(subject.provider)
    of_response = [token_with(token, line, depth) for depth in (1, 2)]
    cls = type(provider)
    if any(getattr(cls, each) is not getattr(Provider, each) for each in _MADE_HEADERS):
        of_response.append(fields_of(token, {line: "made-up", **dict.fromkeys(names, line)}))
    of_claims = [jwt_with(token, line, names, depth) for depth in (1, 2)]
    # The scope has no line breaks, whatever its source.
    of_token = (attrs.evolve(token, token_type=line),)
    for own in other_settings(subject):
        _judge_names(subject, own, token_with(token, "made-up", 1))
        for hostile in (*of_response, *of_claims, *of_token):
            _judge_lines(subject, own, hostile)


def _judge_names(subject: Subject, settings: Settings, token: Token) -> None:
    """Check that no field of a response leads to a header that the HTTP client sets."""
    headers = dict[str, str]()
    with contextlib.suppress(Exception):  # other checks report its exceptions
        headers = dict(subject.provider_for(settings).api_request_headers(settings, token))
    is_ascii = all(str(each).isascii() for each in vars(settings).values())
    for name, value in headers.items() if is_ascii else ():
        if not str(value).isascii():
            raise CheckFailed(
                f"api_request_headers returns {name} with {str(value)!r}, which few HTTP clients "
                "can send.",
                "let api_request_headers return ASCII values; encode others as the API documents.",
            )
    if len(headers) > _MOST_HEADERS:
        raise CheckFailed(
            f"api_request_headers returns {len(headers)} headers, which servers refuse.",
            "let api_request_headers return the documented headers alone.",
        )
    for name in filter(header_name, map(str, headers)):
        raise CheckFailed(
            f"api_request_headers returns {name}, which {header_name(name)}.",
            f"let api_request_headers leave out {name}.",
        )


def _judge_lines(subject: Subject, settings: Settings, hostile: Token) -> None:
    """Check that no line break of a response is in a header."""
    provider = subject.provider_for(settings)
    for method in ("authorization", "api_request_headers"):
        found: list[tuple[str, str]] = []
        # Other checks report its exceptions for unusual fields.
        with contextlib.suppress(Exception):
            made: Any = getattr(provider, method)(settings, hostile)
            found = [made] if isinstance(made, tuple) else [*made.items()]
        if any("\n" in f"{name}{value}" for name, value in found):
            raise CheckFailed(
                f"{method} puts a field of the token's response, or a claim of the token, into a "
                "header, with its line breaks.",
                f"let {method} check values from the token.",
            )
