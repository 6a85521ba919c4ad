"""The redacted transcript of how a connection gets a token: what is sent where, why, what came."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.response import Response, printable
from keyturn._secret import Secret
from keyturn._tokens.acquisition import Acquisition, Credentials, TokenQuery
from keyturn._tokens.single_flight import run_within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from keyturn._http.request import TokenRequest
    from keyturn._tokens.manager import TokenManager
    from keyturn._tokens.snapshot import TokenSnapshot

_MASK = "REDACTED"
_HIDDEN = "********"
_SHOWN_HEADERS = ("content-type", "retry-after", "location", "www-authenticate")
# Members of a response that are no secret and show what happened; of all others the name is shown.
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
    """Return the transcript; a token is acquired if there is none, and a failure is shown.

    Args:
        own: Acquires the connection's tokens.
        manager: Knows the headers of an API request.
    """
    request = own.request()
    shown = request.redacted()
    provider, settings, _ = own.latest()
    values = attrs.asdict(settings, recurse=False).items()
    return "\n".join(
        [
            f"connection {own.connection}, provider {provider.name}",
            "settings:",
            *(
                f"  {n} = {' '.join(v) if isinstance(v, tuple) else v}"
                for n, v in values
                if v is not None
            ),
            f"token request, fingerprint {request.fingerprint}:",
            f"  > {shown.method} {shown.url}{'?' if shown.query else ''}{shown.query}",
            *(f"  > {header}: {value}" for header, value in shown.headers.items()),
            "  >",
            f"  > {shown.body.decode()}",
            *_outcome_lines(own, manager, request),
            "",
        ]
    )


def _outcome_lines(own: Acquisition, manager: TokenManager, request: TokenRequest) -> list[str]:
    store = type(own.store.store).__name__
    stored = own.stored(request)
    if stored is not None:
        return [
            f"nothing is sent: the {store} has a token for this fingerprint.",
            *_token_lines(own, manager, stored),
        ]
    query, token = TokenQuery(), ""
    received: list[str] = []  # nothing if another process was faster
    try:
        seconds = own.options.timeout + own.options.wait
        acquired = run_within(partial(own.acquire, query), own.host, seconds)
        token, outcome = acquired.token.access_token, _token_lines(own, manager, acquired)
    except errors.KeyturnError as error:
        sent = isinstance(error, errors.EndpointUnavailable)
        received = ["no response was received." if sent else "nothing was sent."]
        outcome = [f"outcome: {type(error).__name__}: {error}"]
    if query.responses:
        received = _response_lines(own.latest(), query.responses[-1], token)
    return [
        f"the {store} has no usable token for this fingerprint: keyturn requests one.",
        *received,
        *outcome,
    ]


def _response_lines(credentials: Credentials, response: Response, token: str) -> list[str]:
    secrets, headers = credentials.request.secrets(), response.headers
    body = _body(response, credentials)
    if token:  # whichever member has it
        body = body.replace(token, _MASK)
    return [
        "response:",
        f"  < {response.status}",
        *(f"  < {h}: {printable(headers[h], secrets)}" for h in _SHOWN_HEADERS if h in headers),
        "  <",
        f"  < {body}",
    ]


def _body(response: Response, credentials: Credentials) -> str:
    provider, secrets = credentials.provider, credentials.request.secrets()
    content = response.json()
    if not provider.token_field and response.status == provider.token_status:
        return _MASK
    if content is None:
        return printable(response.body.decode("utf-8", "replace"), secrets) or "(nothing)"
    return json.dumps(_shown(content, secrets))


def _shown(value: Any, secrets: Collection[Secret], member: str | None = None) -> Any:
    if isinstance(value, dict):
        return {name: _shown(each, secrets, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_shown(each, secrets, member) for each in value]
    if member not in _SHOWN_MEMBERS:
        return _MASK
    return printable(value, secrets) if isinstance(value, str) else value


def _token_lines(own: Acquisition, manager: TokenManager, snapshot: TokenSnapshot) -> list[str]:
    token, settings = snapshot.token, own.latest().settings
    secrets = [each for each in attrs.astuple(settings, recurse=False) if isinstance(each, Secret)]
    (name, _), *others = manager.headers(token)
    left = snapshot.fresh_until - manager.now()
    when = (
        f"ahead of its expiry in {left:.0f} s" if left > 0 else "in the background by the next call"
    )
    return [
        f"outcome: a {token.token_type} token, scope {token.scope or '(none)'}.",
        f"  it expires in {token.expires_at - own.clock.time():.0f} s",
        f"  it is renewed {when}",
        "an API request has these headers:",
        f"  > {name}: {_HIDDEN}",  # from any form of it, the token could be decoded
        *(
            f"  > {header}: {_masked(value, [Secret(token.access_token), *secrets])}"
            for header, value in others
        ),
    ]


def _masked(value: str, secrets: Iterable[Secret]) -> str:
    """Return a header's value without the token, and without what the settings keep secret."""
    for secret in secrets:
        value = value.replace(secret.reveal(), _HIDDEN)
    return value
