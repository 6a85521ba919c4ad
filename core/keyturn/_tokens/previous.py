"""Chains of token requests: a request that needs values of another request's response.

keyturn acquires each step like a connection's token, with its own entry, lock, rate limit, negative
cache and events. To use a token in the store, keyturn does not need the earlier steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._common.redaction import MASK
from keyturn._http.steps import StepValue, bind, known_address, step_value
from keyturn._http.urls import host_of, is_below, url_problem
from keyturn._providers.steps import api_names, domains_of, step_of, steps_of
from keyturn._providers.token_response import field_of
from keyturn._secret import Secret
from keyturn._tokens.token_request import request_token
from keyturn.stores._resilient import ResilientStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyturn._http.request import TokenRequest
    from keyturn._token import Token
    from keyturn._tokens.acquisition import Acquisition
    from keyturn._tokens.snapshot import TokenSnapshot
    from keyturn._tokens.token_query import Credentials, TokenQuery

# Codes of a refused token that was exchanged (RFC 6750 section 3.1, RFC 6749 section 5.2, RFC 8693
# section 2.2.2).
_CODES = frozenset({"invalid_token", "invalid_grant", "invalid_request"})


def request_after_steps(
    own: Acquisition, credentials: Credentials, query: TokenQuery
) -> TokenSnapshot:
    """Acquire the tokens of the earlier steps, and send a token request; see `request_token`.

    If the endpoint refuses the token of the previous step, this renews it once and repeats the
    request.
    """
    options, clock, request = own.options, own.clock, credentials.request
    end = clock.monotonic() + options.timeout + options.wait
    query = attrs.evolve(query, deadline=end if query.deadline is None else query.deadline)
    tokens = acquire_steps(own, credentials, query)
    while True:
        _check_time(own, query)
        bound = credentials._replace(request=bound_request(credentials, tokens))
        query = attrs.evolve(query, step_values=values_for_api(credentials, tokens))
        try:
            return request_token(own, bound, query)
        except errors.TokenRequestRefused as error:
            used = tokens.get("previous")
            if used is None or query.is_repeated or not _means_token(error, request):
                raise
            query = attrs.evolve(query, is_repeated=True)
            tokens = acquire_steps(own, credentials, query, refused=used)
            if tokens["previous"].access_token == used.access_token:
                raise
            own.store.delete(f"refused-{request.fingerprint}")


def acquire_steps(
    own: Acquisition,
    credentials: Credentials,
    query: TokenQuery,
    refused: Token | None = None,
) -> dict[str, Token]:
    """Return the tokens of the steps before a token request, by their names.

    Args:
        own: The acquisition of the connection.
        credentials: The credentials of the request.
        query: The token query; its `steps` record the steps.
        refused: A refused token of the previous step.
    """
    tokens: dict[str, Token] = {}
    for name, acquisition in step_acquisitions(own, credentials):
        stale = refused if name == "previous" else None
        step_query = attrs.evolve(
            query,
            other_than=stale,
            refused=stale is not None,
            fresh=False,
            reason="refused" if stale else "cold",
            is_repeated=False,
            exchanges=[],
            steps=[],
            step_values={},
        )
        query.steps.append((name, acquisition, step_query))
        try:
            tokens[name] = acquisition.acquire(step_query).token
        except errors.KeyturnError as error:
            failure = error
        else:
            own.keep_tokens(*acquisition.tokens)
            continue
        url = acquisition.latest().request.url
        failure.message = f"the step {name}, {url}: {failure.message}"
        raise failure
    return tokens


def step_acquisitions(own: Acquisition, credentials: Credentials) -> list[tuple[str, Acquisition]]:
    """Return the acquisition of each earlier step of a token request, by the step's name."""
    provider, settings, _ = credentials
    return [(name, _step(own, name, *step)) for name, *step in steps_of(provider, settings)]


def _step(own: Acquisition, name: str, provider: Any, settings: Any) -> Acquisition:
    is_public = name == "discovery"  # a document belongs to no tenant
    step = type(own)(
        provider=provider,
        settings=settings,
        store=ResilientStore(own.store.store),
        transport=own.transport,
        options=own.options,
        clock=own.clock,
        connection=own.connection,
        on_event=own.on_event,
        index=None if is_public else own.index,
        is_isolated=own.is_isolated and not is_public,
    )
    step.events = own.events
    return step


def with_steps(own: Acquisition, credentials: Credentials) -> tuple[TokenRequest, str]:
    """Return a token request with the requests of its earlier steps, and its known address."""
    steps = [
        (name, acquisition.latest().request)
        for name, acquisition in step_acquisitions(own, credentials)
    ]
    request = attrs.evolve(credentials.request, steps=tuple(steps))
    return request, known_address(request)


def bound_request(credentials: Credentials, tokens: Mapping[str, Token]) -> TokenRequest:
    """Return a token request with the values of other steps inserted.

    Raises:
        keyturn.errors.InvalidTokenResponse: A value is missing.
        keyturn.errors.ConfigurationError: An address must not be used.
    """
    request, found = credentials.request, _finding(credentials, tokens)
    changed = {
        field.name: bind(getattr(request, field.name), found)
        for field in attrs.fields(type(request))
        if field.init and field.name not in {"steps", "certificate", "url"}
    }
    url = request.url
    if place := step_value(url):
        given = found(place)
        url = given if isinstance(given, str) else given.reveal()
        source = dict(request.steps)[place.step].url
        domains = domains_of(*step_of(*credentials[:2], place.step))
        _check_address(url, source, domains, f"{place.step}.{place.path}")
    return attrs.evolve(request, url=url, **changed)


def values_for_api(credentials: Credentials, tokens: Mapping[str, Token]) -> dict[str, str]:
    """Return the values of other steps that API requests need, by their names in templates.

    Raises:
        keyturn.errors.InvalidTokenResponse: A value is missing.
    """
    found, made = _finding(credentials, tokens), dict[str, str]()
    for name in api_names(credentials.provider):
        step, _, path = name.partition(".")
        value = found(StepValue(step, path))
        made[name] = value if isinstance(value, str) else value.reveal()
    return made


def _finding(
    credentials: Credentials, tokens: Mapping[str, Token]
) -> Callable[[StepValue], str | Secret]:
    """Return a function that finds a value in the response of a step."""
    steps = {name: step for name, step, _ in steps_of(*credentials[:2])}
    requests = dict(credentials.request.steps)

    def found(value: StepValue) -> str | Secret:
        token, step = tokens[value.step], steps[value.step]
        if value.path in {"access_token", step.token_field} and value.step == "previous":
            return Secret(token.access_token + value.rest)
        content = field_of(dict(token.extra), value.path)
        if isinstance(content, bool) or not isinstance(content, (str, int)):
            raise errors.InvalidTokenResponse(
                f"the response of {requests[value.step].url} has no {value.path}.",
                hint=f"Check {value.step}, and the data that contain "
                f"{{{value.step}.{value.path}}}.",
            )
        if MASK in str(content):
            raise errors.InvalidTokenResponse(
                f"{value.path} in the response of {requests[value.step].url} contains a secret "
                "that was sent, or the token, which keyturn does not store as a value.",
                hint=f"Use the setting instead of {{{value.step}.{value.path}}}, or "
                f"{{{value.step}.access_token}} for the token.",
            )
        made = value.after(content)
        return made if value.step == "discovery" else Secret(made)

    return found


def _check_address(url: str, source: str, domains: tuple[str, ...], what: str) -> None:
    """Check an address from a response like one from settings, and its domain.

    Raises:
        keyturn.errors.ConfigurationError: A secret must not be sent there.
    """
    problem = url_problem(url)
    if not problem:
        allowed = [is_below(url, each) for each in domains] or [host_of(url) == host_of(source)]
        if any(allowed):
            return
        problem = f"is not below {' or '.join(domains) or host_of(source)}"
    raise errors.ConfigurationError(
        f"the address {what} in the response of {source} {problem}.",
        hint="Check that response, or set `domains` of that step to the domains of its addresses.",
    )


def _check_time(own: Acquisition, query: TokenQuery) -> None:
    if query.deadline is not None and own.clock.monotonic() >= query.deadline:
        raise errors.EndpointUnavailable(
            "no time is left for the token request, because the earlier steps used the whole "
            "timeout.",
            hint="Try again, or raise timeout.",
        )


def _means_token(error: errors.TokenRequestRefused, request: TokenRequest) -> bool:
    """Return whether an error response refuses the token of the previous step."""
    if error.error == "invalid_client":
        return not request.secrets()  # nothing else could be the cause
    return error.error in _CODES or error.status == 401
