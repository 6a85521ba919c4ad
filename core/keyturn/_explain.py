"""The redacted transcript of how a connection gets a token: what is sent where, why, what came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.redaction import printable
from keyturn._providers.calls import translate_errors
from keyturn._secret import Secret
from keyturn._token import Token
from keyturn._tokens.lifetime import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from keyturn._http.request import TokenRequest
    from keyturn._http.response import Response
    from keyturn._providers.settings import Settings
    from keyturn._tokens.acquisition import Renewal

_MASK = "REDACTED"
_SHOWN_HEADERS = ("content-type", "retry-after", "location", "www-authenticate")
# Members of a response that are no secret and tell what happened; of all others the name is told.
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


def explain(renewal: Renewal, name: str, headers_for: Callable[[Token], Mapping[str, str]]) -> str:
    """Return the transcript; a token is obtained if there is none, and a failure is told.

    Args:
        renewal: Obtains the connection's tokens.
        name: The connection's name.
        headers_for: Returns what an API request with a token needs.
    """
    return "\n".join(_lines(renewal, name, headers_for)) + "\n"


def _lines(
    renewal: Renewal, name: str, headers_for: Callable[[Token], Mapping[str, str]]
) -> Iterator[str]:
    yield f"connection {name}, provider {renewal.provider.name}"
    yield "settings:"
    for field in attrs.fields(type(renewal.settings)):
        value = getattr(renewal.settings, field.name)
        if value is not None:
            yield f"  {field.name} = {' '.join(value) if isinstance(value, tuple) else value}"
    yield f"token request, fingerprint {renewal.request.fingerprint}:"
    yield from _request_lines(renewal.request)
    held = renewal.stored()
    store = type(renewal.store.store).__name__
    if held is not None:
        yield f"nothing is sent: the {store} holds a token for this fingerprint."
        yield from _token_lines(renewal, held, headers_for)
        return
    yield f"the {store} holds no token for this fingerprint that may be used: one is requested."
    try:
        outcome = translate_errors(renewal.provider.name, renewal.obtain)
    except errors.KeyturnError as error:
        yield from _response_lines(renewal)
        yield f"outcome: {type(error).__name__}: {error}"
    else:
        yield from _response_lines(renewal)
        yield from _token_lines(renewal, outcome.token, headers_for)


def _request_lines(request: TokenRequest) -> Iterator[str]:
    shown = request.redacted()
    yield f"  > {shown.method} {shown.url}{'?' if shown.query else ''}{shown.query}"
    for header, value in shown.headers.items():
        yield f"  > {header}: {value}"
    yield "  >"
    yield f"  > {shown.body.decode()}"


def _response_lines(renewal: Renewal) -> Iterator[str]:
    exchange = renewal.last_exchange
    if exchange is None:
        yield "nothing was sent."
        return
    response = exchange.response
    if response is None:
        yield "no response came."
        return
    yield "response:"
    yield f"  < {response.status}"
    for header in _SHOWN_HEADERS:
        if header in response.headers:
            yield f"  < {header}: {printable(response.headers[header], renewal.request.secrets())}"
    yield "  <"
    body = _body(response, renewal)
    if isinstance(exchange.result, Token):  # whichever member has it
        body = body.replace(exchange.result.access_token, _MASK)
    yield f"  < {body}"


def _body(response: Response, renewal: Renewal) -> str:
    content = response.json()
    if not renewal.provider.token_field and response.status == renewal.provider.token_status:
        return _MASK
    if content is None:
        text = response.body.decode("utf-8", "replace")
        return printable(text, renewal.request.secrets()) or "(nothing)"
    return json.dumps(_shown(content, renewal))


def _shown(value: Any, renewal: Renewal, member: str | None = None) -> Any:
    if isinstance(value, dict):
        return {name: _shown(each, renewal, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_shown(each, renewal, member) for each in value]
    if member not in _SHOWN_MEMBERS:
        return _MASK
    return printable(value, renewal.request.secrets()) if isinstance(value, str) else value


def _token_lines(
    renewal: Renewal, token: Token, headers_for: Callable[[Token], Mapping[str, str]]
) -> Iterator[str]:
    now = renewal.clock.time()
    plan = renewal.plan(token)
    yield f"outcome: a {token.token_type} token, scope {token.scope or '(none)'}."
    yield f"  it ends in {token.expires_at - now:.0f} s"
    if plan.state(now) is State.FRESH:
        yield f"  it is renewed ahead of time in {plan.renew_at - now:.0f} s"
    else:
        yield "  it is renewed in the background by the next call"
    yield "an API request has these headers:"
    for header, value in headers_for(token).items():
        yield f"  > {header}: {_masked(value, renewal.settings, token)}"


def _masked(value: str, settings: Settings, token: Token) -> str:
    """Return a header's value without the token, and without what the settings keep secret."""
    held = [getattr(settings, field.name) for field in attrs.fields(type(settings))]
    for secret in (Secret(token.access_token), *held):
        if isinstance(secret, Secret):
            value = value.replace(secret.reveal(), str(secret))
    return value
