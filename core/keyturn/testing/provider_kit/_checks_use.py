"""Checks of a provider in use: its rate_limit, API requests, and async callers."""

from __future__ import annotations

import functools
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from keyturn import _rate_limit as buckets
from keyturn import errors
from keyturn._clock import Clock
from keyturn._http.urls import url_problem
from keyturn._options import Options
from keyturn.stores._memory import MemoryStore
from keyturn.testing.emulator._messages import Response, html_response, json_response
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._checks_request import HEADER_NAME_REGEX
from keyturn.testing.provider_kit._subject import CheckFailed, check_keys

if TYPE_CHECKING:
    from keyturn._rate_limit import RateLimit
    from keyturn.testing.provider_kit._subject import Subject

_MOST_SENT = 60
_MOVED = "https://moved.example/made-up"


def rate_limit(subject: Subject) -> None:
    """The declared rate_limit is kept before anything is sent, for all clients of the host together."""
    declared = subject.bound_provider.rate_limit
    if declared is None:
        subject.note("rate_limit: none is declared, so a generous one is kept.")
        return
    if not (declared.per_minute > 0 and isinstance(declared.burst, int) and declared.burst >= 1):
        raise CheckFailed(
            f"rate_limit: {declared} allows no request, or no whole number of them.",
            "let rate_limit be keyturn.plugins.RateLimit(per_minute=…, burst=…) as documented, or None.",
        )
    is_large = declared.burst > _MOST_SENT
    if not (_is_bucket_kept(declared) if is_large else _is_kept(subject, declared)):
        raise CheckFailed(
            f"rate_limit: of {declared.burst + 1} clients of one host at once, not just the last is "
            "turned away.",
            "let rate_limit be the same for all settings with the same host.",
        )


def sync_and_async(subject: Subject) -> None:
    """Sync and async callers get the same token and headers, for one token request."""
    import asyncio  # which takes long to import, and nothing else here needs it

    subject.token()  # tells what is wrong if there is none
    store = MemoryStore()
    connection, other = (subject.connect(store=store, is_lean=False) for _ in range(2))
    before = len(subject.endpoint.received)

    async def ask() -> tuple[str, dict[str, str]]:
        return (await other.atoken()).access_token, await other.aheaders()

    first = (connection.token().access_token, connection.headers())
    # A thread of its own, since the caller's may run an event loop already.
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(lambda: asyncio.run(ask())).result()
    if first != second:
        raise CheckFailed(
            "a sync and an async caller get different tokens or headers.",
            "let authorization and decorate depend on their arguments alone.",
        )
    if len(subject.endpoint.received) - before != 1:
        raise CheckFailed(
            "a sync and an async caller make two token requests.",
            "let token_request give the same request each time.",
        )


def api_headers(subject: Subject) -> None:
    """An API request carries the token in the declared header, and valid headers besides."""
    provider, token = subject.bound_provider, subject.token()
    check_keys("`api`", subject.examples.api or {}, others="url headers")
    connection = subject.connect()
    headers = subject.ask("decorate or authorization", lambda: connection.headers_for(token))
    carried = headers.get(provider.authorization_header, "")
    if token.access_token not in carried:
        raise CheckFailed(
            f"the header {provider.authorization_header} of an API request has no token.",
            "correct authorization_header and authorization_scheme, or authorization(settings, token).",
        )
    for name, value in headers.items():
        is_text = isinstance(name, str) and isinstance(value, str)
        if not (is_text and HEADER_NAME_REGEX.fullmatch(name) and value.isprintable()):
            raise CheckFailed(
                f"the header {name!r} of an API request, or its value, is no header.",
                "correct api_headers, decorate or authorization: names as RFC 9110 has them, and "
                "values of one line.",
            )
    wanted = (subject.examples.api or {}).get("headers", {})
    found = {name.lower(): value for name, value in headers.items()}
    missing = [name for name, value in wanted.items() if found.get(name.lower()) != value]
    if missing or (wanted and len(wanted) != len(found)):
        raise CheckFailed(
            f"an API request's headers are not those of `api`: there are {', '.join(headers)}; "
            f"wrong are {', '.join(missing) or 'those besides'}.",
            "correct api_headers and authorization_scheme, or `api`.",
        )


def api_address(subject: Subject) -> None:
    """The API's address is an https one, and a user can move it with the setting `api_url`."""
    token = subject.token()
    # An address made up for the endpoint is one of the endpoint's host.
    here = {"token_url": subject.endpoint.url} if subject.sample.is_made_up else {}
    settings = subject.settings(**here)
    moved = subject.ask(
        "api_url_for",
        lambda: subject.provider.for_settings(subject.settings(api_url=_MOVED)).api_url_for(
            subject.settings(api_url=_MOVED), token
        ),
    )
    if moved != _MOVED:
        raise CheckFailed(
            "api_url_for ignores the setting api_url.",
            "begin api_url_for with `if settings.api_url: return settings.api_url`.",
        )
    address = subject.ask(
        "api_url_for", lambda: subject.bound_provider.api_url_for(settings, token)
    )
    wanted = (subject.examples.api or {}).get("url", address)
    if address is None:
        subject.note("api_url: where the API is isn't known; users have to set api_url.")
    elif url_problem(address):
        raise CheckFailed(
            f"the API's address {address!r} {url_problem(address)}.",
            "correct api_url or api_url_for.",
        )
    if address != wanted:
        raise CheckFailed(
            f"the API's address is {address}, and `api` says {wanted}.",
            "correct api_url, api_url_field or api_url_for, or `api`.",
        )


def api_refusal(subject: Subject) -> None:
    """`token_rejected` says True or False about a 401 response of any form."""
    provider, settings = subject.bound_provider, subject.settings()
    contents: tuple[Any, ...] = (None, [], {}, 7, "text", {"errors": [7]}, {"error": []})
    odd = [json_response(401, content) for content in contents]
    for each in (*odd, html_response(401, "Unauthorized"), Response(401)):
        response = samples.to_response(each)
        said: Any = subject.ask(
            "token_rejected", functools.partial(provider.token_rejected, settings, response)
        )
        if not isinstance(said, bool):
            raise CheckFailed(
                f"token_rejected returns {type(said).__name__} for {response.body[:60]!r}.",
                "let token_rejected return True when a new token may help, else False.",
            )


def _is_bucket_kept(declared: RateLimit) -> bool:
    level = None
    waits = []
    for _ in range(declared.burst + 1):
        level, wait = buckets.take(declared, level, 0.0)
        waits.append(wait)
    return waits[-1] > 0 and not any(waits[:-1])


def _is_kept(subject: Subject, declared: RateLimit) -> bool:
    """Tell whether the rate_limit is used up by as many requests as it says, and no more are sent."""
    subject.token()  # tells what is wrong if there is none
    now, store = time.time(), MemoryStore()
    clock = Clock(time=lambda: now, monotonic=lambda: now, sleep=lambda _: None)
    has_clients = "client_id" in subject.values
    for number in range(declared.burst + 1):
        client: dict[str, Any] = {"client_id": f"made-up-{number}"} if has_clients else {}
        connection = subject.connect(store=store, clock=clock, options=Options(), **client)
        connection.forget()
        before = len(subject.endpoint.received)
        try:
            connection.token()
        except errors.RateLimited as limited:
            is_unsent = len(subject.endpoint.received) == before
            return number == declared.burst and is_unsent and limited.retry_after > 0
    return False
