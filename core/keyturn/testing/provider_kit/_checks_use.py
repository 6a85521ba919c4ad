"""Checks of a provider in use: its rate limit, API requests, and async callers."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._clock import Clock
from keyturn._http.urls import url_problem
from keyturn.stores._memory import MemoryStore
from keyturn.testing.provider_kit._checks_foreign import jwt_with, token_with
from keyturn.testing.provider_kit._checks_hosts import judge_environments
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._source import own_strings

if TYPE_CHECKING:
    from keyturn._rate_limit import RateLimit
    from keyturn.testing.provider_kit._subject import Subject

_MOST_SENT = 60
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
