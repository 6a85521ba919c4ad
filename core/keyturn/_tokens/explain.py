"""The redacted transcript of a token request: the request, its reason and the response."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._common.names import escaped
from keyturn._common.redaction import Redaction
from keyturn._http.request import is_authorization
from keyturn._providers.response_formats import content_of
from keyturn._providers.token_response import is_success
from keyturn._secret import Secret
from keyturn._tokens.fingerprint import fingerprint_key
from keyturn._tokens.prepared import prepared
from keyturn._tokens.previous import step_acquisitions
from keyturn._tokens.single_flight import run_within
from keyturn._tokens.token_query import TokenQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._providers.provider import Provider
    from keyturn._tokens.acquisition import Acquisition
    from keyturn._tokens.manager import TokenManager
    from keyturn._tokens.snapshot import TokenSnapshot

_MASK = "REDACTED"
_HIDDEN = "********"
_MAX_LEVELS = 32
_LONG = 12
_SHOWN_HEADERS = ("content-type", "retry-after", "location", "www-authenticate")
# Members of a response that are not secret; for all others, only the name is shown.
_SHOWN_MEMBERS = frozenset(
    {
        "token_type",
        "expires_in",
        "scope",
        "created_at",
        "error",
        "error_description",
        "hint",
        "message",
        "errors",
        "title",
        "detail",
        "code",
        "status",
    }
)


def explain(own: Acquisition, manager: TokenManager) -> str:
    """Return the transcript; this acquires a token if none is usable, and shows a failure.

    Args:
        own: The acquisition of the connection's tokens.
        manager: The token manager, for the headers of an API request.
    """
    request = own.request()
    provider, settings, _ = own.latest()
    redaction = Redaction(own.secrets())
    values = attrs.asdict(settings, recurse=False).items()
    sent: list[str] = [
        *(
            f"  {name} = {' '.join(value) if isinstance(value, tuple) else value}"
            for name, value in values
            if value is not None
        ),
        *_step_requests(own, request, set()),
        f"token request, fingerprint {request.fingerprint}:",
        *_request_lines(provider, request.redacted()),
    ]
    return "\n".join(
        [
            f"connection {escaped(own.connection)}, provider {provider.name}",
            "settings:",
            *(escaped(redaction.text(line)) for line in sent),
            *map(escaped, _outcome_lines(own, manager, request)),
            "",
        ]
    )


def _step_requests(own: Acquisition, request: TokenRequest, shown: set[str]) -> Iterator[str]:
    """Yield the requests of the steps before a token request, each once, in their order."""
    key = fingerprint_key(own.store, own.clock)
    for name, step in step_acquisitions(own, own.latest()) if request.steps else ():
        step_request = step.latest().request.with_fingerprint(key)
        if step_request.fingerprint in shown:
            continue
        shown.add(step_request.fingerprint)
        yield from _step_requests(step, step_request, shown)
        yield f"step {name}, fingerprint {step_request.fingerprint}:"
        yield from _request_lines(step.latest().provider, step_request.redacted())


def _step_outcomes(query: TokenQuery, shown: set[str]) -> Iterator[str]:
    """Yield the outcomes of the steps before a token request, each once."""
    for name, step, step_query in query.steps:
        fingerprint = step.latest_request().fingerprint
        if fingerprint in shown and not step_query.exchanges:
            continue
        shown.add(fingerprint)
        yield from _step_outcomes(step_query, shown)
        if step_query.exchanges:
            yield f"step {name}: keyturn requests a token."
            yield from _response_lines(step, *step_query.exchanges[-1])
        else:
            yield f"step {name}: keyturn sends no request."


def _request_lines(provider: Provider[Any], shown: TokenRequest) -> Iterator[str]:
    yield f"  > {shown.method} {shown.url}{'?' if shown.query else ''}{shown.query}"
    for name, value in shown.headers.items():
        is_own = name.lower() == provider.authorization_header.lower()
        yield f"  > {name}: {_MASK if is_own else value}"
    yield "  >"
    yield f"  > {shown.body.decode()}"


def _outcome_lines(own: Acquisition, manager: TokenManager, request: TokenRequest) -> list[str]:
    store = type(own.store.store).__name__
    stored = own.stored(request)
    if stored is not None:
        return [
            f"keyturn sends no request: the {store} has a token for this fingerprint.",
            *_token_lines(own, manager, stored),
        ]
    query = TokenQuery()
    received: list[str] = []  # none if another process was faster
    try:
        seconds = own.options.timeout + own.options.wait
        acquired = run_within(partial(own.acquire, query), own.host, seconds)
        outcome = _token_lines(own, manager, acquired)
    except errors.KeyturnError as error:
        sent = isinstance(error, errors.EndpointUnavailable)
        received = ["no response was received." if sent else "no request was sent."]
        outcome = [f"outcome: {type(error).__name__}: {error}"]
    if query.exchanges:
        received = _response_lines(own, *query.exchanges[-1])
    return [
        f"the {store} has no usable token for this fingerprint: keyturn requests one.",
        *_step_outcomes(query, set()),
        *received,
        *outcome,
    ]


def _response_lines(own: Acquisition, request: TokenRequest, response: Response) -> list[str]:
    provider, headers = own.latest().provider, response.headers
    secrets = own.secrets(request, response)
    if is_success(response, provider.token_status):
        # A hidden value may be a token in an unknown member, which another member may repeat.
        secrets += map(Secret, _unshown(content_of(response, provider)))
    redaction = Redaction(secrets)
    return [
        "response:",
        f"  < {response.status}",
        *(f"  < {h}: {redaction.printable(headers[h])}" for h in _SHOWN_HEADERS if h in headers),
        "  <",
        f"  < {_body(response, provider, redaction)}",
    ]


def _body(response: Response, provider: Provider[Any], redaction: Redaction) -> str:
    content, succeeded = content_of(response, provider), is_success(response, provider.token_status)
    if succeeded and not (provider.token_field or provider.token_header):
        return _MASK
    if content is not None:
        return json.dumps(_shown(content, redaction))
    body = response.body.decode("utf-8", "replace")
    if succeeded:
        # Not JSON, but it may contain a token, so long words are hidden.
        body = re.sub(rf"[\w.~+/=-]{{{_LONG},}}", _MASK, body)
    return redaction.printable(body) or "(nothing)"


def _unshown(value: Any, member: str = "", levels: int = _MAX_LEVELS) -> Iterator[str]:
    """Yield the strings that a transcript doesn't show, except short ones."""
    if levels and isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else ((member, each) for each in value)
        for name, each in pairs:
            yield from _unshown(each, name, levels - 1)
    elif isinstance(value, str) and member not in _SHOWN_MEMBERS and len(value) >= _LONG:
        yield value


def _shown(value: Any, redaction: Redaction, member: str = "", levels: int = _MAX_LEVELS) -> Any:
    if not levels:
        return _MASK
    if isinstance(value, dict):
        return {
            redaction.printable(name): _shown(each, redaction, name, levels - 1)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_shown(each, redaction, member, levels - 1) for each in value]
    if member not in _SHOWN_MEMBERS:
        return _MASK
    return redaction.printable(value) if isinstance(value, str) else redaction.value(value)


def _token_lines(own: Acquisition, manager: TokenManager, snapshot: TokenSnapshot) -> list[str]:
    token = snapshot.token
    redaction, provider = Redaction(own.secrets(token)), own.latest().provider
    # Values of the response are not shown here either.
    values = Redaction([*own.secrets(token), *map(Secret, _unshown(dict(token.extra)))])
    headers = dict(prepared(own, token)[0])
    query = provider.authorization_query
    name = query or next(iter(headers))
    hidden = {name.lower(), provider.authorization_header.lower()}
    left = snapshot.fresh_until - manager.now()
    when = (
        f"before its expiry, in {left:.0f} s" if left > 0 else "in the background by the next call"
    )
    return [
        redaction.text(f"outcome: a {token.token_type} token, scope {token.scope or '(none)'}."),
        f"  it expires in {token.expires_at - own.clock.time():.0f} s",
        f"  it is renewed {when}",
        "an API request has these headers:",
        *([f"  > ?{redaction.text(query)}={_HIDDEN}"] if query else []),
        *(
            f"  > {redaction.text(header)}: "
            # The token could be decoded from any form of it.
            f"{_HIDDEN if header.lower() in hidden or is_authorization(header) else shown}"
            for header, shown in ((each, values.text(value)) for each, value in headers.items())
        ),
    ]
