"""The redacted transcript of how a connection gets a token: what is sent where, why, what came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.redaction import printable
from keyturn._secret import Secret
from keyturn._tokens.acquisition import TokenQuery

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn._tokens.account import Credentials
    from keyturn._tokens.acquisition import Acquisition
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


def explain(acquisition: Acquisition, manager: TokenManager) -> str:
    """Return the transcript; a token is acquired if there is none, and a failure is shown.

    Args:
        acquisition: Acquires the connection's tokens.
        manager: Knows the headers of an API request.
    """
    return "\n".join(_lines(acquisition, manager)) + "\n"


def _lines(own: Acquisition, manager: TokenManager) -> Iterator[str]:
    request = own.request()
    credentials = own.account.latest()
    yield f"connection {own.connection}, provider {credentials.provider.name}"
    yield "settings:"
    for field in attrs.fields(type(credentials.settings)):
        value = getattr(credentials.settings, field.name)
        if value is not None:
            yield f"  {field.name} = {' '.join(value) if isinstance(value, tuple) else value}"
    yield f"token request, fingerprint {request.fingerprint}:"
    yield from _request_lines(request)
    stored = own.stored(request)
    store = type(own.store.store).__name__
    if stored is not None:
        yield f"nothing is sent: the {store} has a token for this fingerprint."
        yield from _token_lines(own, manager, stored)
        return
    yield f"the {store} has no usable token for this fingerprint: keyturn requests one."
    query = TokenQuery()
    responses = query.responses
    try:
        acquired = own.acquire(query)
    except errors.KeyturnError as error:
        if responses:
            yield from _response_lines(credentials, responses[-1], None)
        else:
            sent = isinstance(error, errors.EndpointUnavailable)
            yield "no response was received." if sent else "nothing was sent."
        yield f"outcome: {type(error).__name__}: {error}"
    else:
        if responses:  # else another process was faster
            yield from _response_lines(credentials, responses[-1], acquired.token)
        yield from _token_lines(own, manager, acquired)


def _request_lines(request: TokenRequest) -> Iterator[str]:
    shown = request.redacted()
    yield f"  > {shown.method} {shown.url}{'?' if shown.query else ''}{shown.query}"
    for header, value in shown.headers.items():
        yield f"  > {header}: {value}"
    yield "  >"
    yield f"  > {shown.body.decode()}"


def _response_lines(
    credentials: Credentials, response: Response, token: Token | None
) -> Iterator[str]:
    secrets = credentials.request.secrets()
    yield "response:"
    yield f"  < {response.status}"
    for header in _SHOWN_HEADERS:
        if header in response.headers:
            yield f"  < {header}: {printable(response.headers[header], secrets)}"
    yield "  <"
    body = _body(response, credentials)
    if token is not None:  # whichever member has it
        body = body.replace(token.access_token, _MASK)
    yield f"  < {body}"


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


def _token_lines(own: Acquisition, manager: TokenManager, snapshot: TokenSnapshot) -> Iterator[str]:
    token, now = snapshot.token, manager.now()
    settings = own.account.latest().settings
    yield f"outcome: a {token.token_type} token, scope {token.scope or '(none)'}."
    yield f"  it expires in {token.expires_at - own.clock.time():.0f} s"
    if now < snapshot.fresh_until:
        yield f"  it is renewed ahead of its expiry in {snapshot.fresh_until - now:.0f} s"
    else:
        yield "  it is renewed in the background by the next call"
    yield "an API request has these headers:"
    (name, _), *others = manager.headers(token)
    yield f"  > {name}: {_HIDDEN}"  # from any form of it, the token could be decoded
    for header, value in others:
        yield f"  > {header}: {_masked(value, settings, token)}"


def _masked(value: str, settings: Settings, token: Token) -> str:
    """Return a header's value without the token, and without what the settings keep secret."""
    held = [getattr(settings, field.name) for field in attrs.fields(type(settings))]
    for secret in (Secret(token.access_token), *held):
        if isinstance(secret, Secret):
            value = value.replace(secret.reveal(), _HIDDEN)
    return value
