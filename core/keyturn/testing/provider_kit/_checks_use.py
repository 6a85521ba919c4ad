"""Checks of a provider in use: its rate limit, API requests, and async callers."""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._clock import Clock
from keyturn._http.urls import url_problem
from keyturn._providers.checks import header_name
from keyturn._providers.provider import Provider
from keyturn.stores._memory import MemoryStore
from keyturn.testing.provider_kit._checks_foreign import (
    fields_of,
    jwt_with,
    other_settings,
    token_with,
)
from keyturn.testing.provider_kit._checks_hosts import judge_environments
from keyturn.testing.provider_kit._checks_request import HEADER_NAME_REGEX
from keyturn.testing.provider_kit._examples import CheckFailed, check_keys
from keyturn.testing.provider_kit._source import own_strings

if TYPE_CHECKING:
    from keyturn._providers.settings import Settings
    from keyturn._rate_limit import RateLimit
    from keyturn._token import Token
    from keyturn.testing.provider_kit._subject import Subject

_DOUBLE_REGEX = re.compile(r"(?i)([a-z]+) +\1 ")
_MOST_SENT = 60
# The last shows truncation, encoding or omission in a token (RFC 6750 section 2.1).
_LONG = f"made-up.{'aB3' * 200}-._~+/_=="
_OTHERS = ("made-up-token-of-later", _LONG)
_MADE_HEADERS = ("authorization", "api_request_headers")
_GRANTED = "made-up-granted"
_MOVED = "https://moved.example/made-up"


def rate_limit(subject: Subject) -> None:
    """The declared rate limit is kept before a request is sent, for all clients of a host."""
    declared = subject.effective_provider.rate_limit
    if declared is None:
        subject.note("rate_limit: none is declared.")
        return
    if not (declared.per_minute > 0 and isinstance(declared.burst, int) and declared.burst >= 1):
        raise CheckFailed(
            f"rate_limit: {declared} allows no request, or not an integer number of them.",
            "set rate_limit to the documented keyturn.plugins.RateLimit(per_minute=…, burst=…), or "
            "to None.",
        )
    if declared.burst > _MOST_SENT:
        subject.note(f"rate_limit: the kit does not test a burst of {declared.burst} requests.")
    elif not _is_kept(subject, declared):
        raise CheckFailed(
            f"rate_limit: of {declared.burst + 1} simultaneous clients of one host, exactly one "
            "must be rejected, but more are, or none.",
            "set the same rate_limit for all settings with the same host.",
        )


def sync_and_async(subject: Subject) -> None:
    """Sync and async callers get the same token and headers, for one token request."""
    import asyncio  # slow to import, and needed here only

    subject.token()  # reports the cause if there is none
    store = MemoryStore()
    connection, other = (subject.connect(store=store, is_lean=False) for _ in range(2))
    before = len(subject.endpoint.received)

    async def request() -> tuple[str, dict[str, str]]:
        return (await other.atoken()).access_token, await other.aheaders()

    first = (connection.token().access_token, connection.headers())
    # Another thread: the caller's may run an event loop already.
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(lambda: asyncio.run(request())).result()
    if first != second:
        raise CheckFailed(
            "a sync and an async caller get different tokens or headers.",
            "let authorization and api_request_headers depend on their arguments alone.",
        )
    if len(subject.endpoint.received) - before != 1:
        raise CheckFailed(
            "a sync and an async caller make two token requests.",
            "let token_request give the same request each time.",
        )


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
    carried = headers.get(provider.authorization_header, "")
    is_made = provider.authorization_value or provider.authorization_query
    if token.access_token not in carried and not is_made:
        raise CheckFailed(
            f"the header {provider.authorization_header} of an API request has no token.",
            "correct authorization_header and authorization_scheme, or authorization(settings, "
            "token).",
        )
    settings = subject.settings()
    _judge_authorization(subject, token)
    others = subject.call(
        "api_request_headers", lambda: dict(provider.api_request_headers(settings, token))
    )
    if carried.count(token.access_token) > 1 or _DOUBLE_REGEX.match(carried):
        raise CheckFailed(
            f"the header {provider.authorization_header} has the token or its scheme twice.",
            "let authorization return the scheme and the token once.",
        )
    _judge_scope(subject, token)
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
        if str(name).lower() == provider.authorization_header.lower():
            raise CheckFailed(
                f"api_request_headers returns {name}, the header that carries the token.",
                "leave it to authorization_header and authorization_scheme, or authorization.",
            )
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
        if each.access_token not in str(carried) and not provider.authorization_value:
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
        for hostile in (*of_response, *of_claims, *of_token):
            _judge_lines(subject, own, hostile)


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


def api_address(subject: Subject) -> None:
    """The API's URL is https, and a user can move it with the setting `api_url`."""
    token = subject.token()
    # A made-up API URL is on the endpoint's host.
    here = {"token_url": subject.endpoint.url} if subject.sample.is_made_up else {}
    settings = subject.settings(**here)
    moved = subject.call(
        "api_url_for",
        lambda: subject.provider.for_settings(subject.settings(api_url=_MOVED)).api_url_for(
            subject.settings(api_url=_MOVED), token
        ),
    )
    own = subject.settings(api_url=_MOVED)
    for hostile in (token_with(token, "shop", 1), jwt_with(token, "shop", _names(subject))):
        with contextlib.suppress(Exception):  # other checks report it
            moved = subject.provider_for(own).api_url_for(own, hostile) if moved == _MOVED else ""
    if moved != _MOVED:
        raise CheckFailed(
            "api_url_for ignores the setting api_url.",
            "start api_url_for with `if settings.api_url: return settings.api_url`.",
        )
    address = subject.call(
        "api_url_for", lambda: subject.effective_provider.api_url_for(settings, token)
    )
    wanted = (subject.examples.api or {}).get("url", address)
    if address is None:
        subject.note("api_url: the provider declares no API URL; users must set api_url.")
    elif url_problem(address):
        raise CheckFailed(
            f"the API's URL {address!r} {url_problem(address)}.",
            "correct api_url or api_url_for.",
        )
    if address != wanted:
        raise CheckFailed(
            f"the API's URL is {address}, but `api` says {wanted}.",
            "correct api_url, api_url_field or api_url_for, or `api`.",
        )
    judge_environments(subject)


def _names(subject: Subject) -> list[str]:
    return own_strings(subject.provider)


def _is_kept(subject: Subject, declared: RateLimit) -> bool:
    """Return whether exactly as many requests are sent as the burst allows."""
    subject.token()  # reports the cause if there is none
    now, store = time.time(), MemoryStore()
    clock = Clock(time=lambda: now, monotonic=lambda: now, sleep=lambda _: None)
    has_clients = "client_id" in subject.values
    for number in range(declared.burst + 1):
        client: dict[str, Any] = {"client_id": f"made-up-{number}"} if has_clients else {}
        connection = subject.connect(store=store, clock=clock, wait=0.0, **client)
        connection.forget()
        before = len(subject.endpoint.received)
        try:
            connection.token()
        except errors.RateLimited as limited:
            is_unsent = len(subject.endpoint.received) == before
            return number == declared.burst and is_unsent and limited.retry_after > 0
    return False
