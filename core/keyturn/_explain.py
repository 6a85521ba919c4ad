"""The redacted transcript of how a connection gets a token: what is sent where, why, what came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.response import printable
from keyturn._secret import Secret
from keyturn._tokens.acquisition import Acquisition, Credentials, TokenQuery

if TYPE_CHECKING:
    from collections.abc import Collection

    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
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
    provider, settings, _ = own.account.latest()
    fields = [(each.name, getattr(settings, each.name)) for each in attrs.fields(type(settings))]
    shown = [(name, value) for name, value in fields if value is not None]
    lines = [
        f"connection {own.connection}, provider {provider.name}",
        "settings:",
        *(f"  {name} = {' '.join(v) if isinstance(v, tuple) else v}" for name, v in shown),
        f"token request, fingerprint {request.fingerprint}:",
        *_request_lines(request),
        *_outcome_lines(own, manager, request),
        "",
    ]
    return "\n".join(lines)


def _outcome_lines(own: Acquisition, manager: TokenManager, request: TokenRequest) -> list[str]:
    store = type(own.store.store).__name__
    stored = own.stored(request)
    if stored is not None:
        first = f"nothing is sent: the {store} has a token for this fingerprint."
        return [first, *_token_lines(own, manager, stored)]
    lines = [f"the {store} has no usable token for this fingerprint: keyturn requests one."]
    query, token = TokenQuery(), None
    try:
        acquired = own.acquire(query)
        token, outcome = acquired.token, _token_lines(own, manager, acquired)
    except errors.KeyturnError as error:
        outcome = [f"outcome: {type(error).__name__}: {error}"]
        if not query.responses:
            sent = isinstance(error, errors.EndpointUnavailable)
            lines.append("no response was received." if sent else "nothing was sent.")
    if query.responses:  # else another process was faster, or there was none
        lines += _response_lines(own.account.latest(), query.responses[-1], token)
    return lines + outcome


def _request_lines(request: TokenRequest) -> list[str]:
    shown = request.redacted()
    return [
        f"  > {shown.method} {shown.url}{'?' if shown.query else ''}{shown.query}",
        *(f"  > {header}: {value}" for header, value in shown.headers.items()),
        "  >",
        f"  > {shown.body.decode()}",
    ]


def _response_lines(credentials: Credentials, response: Response, token: Token | None) -> list[str]:
    secrets, headers = credentials.request.secrets(), response.headers
    shown = [header for header in _SHOWN_HEADERS if header in headers]
    body = _body(response, credentials)
    if token is not None:  # whichever member has it
        body = body.replace(token.access_token, _MASK)
    return [
        "response:",
        f"  < {response.status}",
        *(f"  < {header}: {printable(headers[header], secrets)}" for header in shown),
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
    token, now = snapshot.token, manager.now()
    settings = own.account.latest().settings
    (name, _), *others = manager.headers(token)
    when = "in the background by the next call"
    if now < snapshot.fresh_until:
        when = f"ahead of its expiry in {snapshot.fresh_until - now:.0f} s"
    return [
        f"outcome: a {token.token_type} token, scope {token.scope or '(none)'}.",
        f"  it expires in {token.expires_at - own.clock.time():.0f} s",
        f"  it is renewed {when}",
        "an API request has these headers:",
        f"  > {name}: {_HIDDEN}",  # from any form of it, the token could be decoded
        *(f"  > {header}: {_masked(value, settings, token)}" for header, value in others),
    ]


def _masked(value: str, settings: Settings, token: Token) -> str:
    """Return a header's value without the token, and without what the settings keep secret."""
    held = [getattr(settings, field.name) for field in attrs.fields(type(settings))]
    for secret in (Secret(token.access_token), *held):
        if isinstance(secret, Secret):
            value = value.replace(secret.reveal(), _HIDDEN)
    return value
