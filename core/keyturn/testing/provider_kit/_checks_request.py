"""Checks of the token request."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keyturn._http.steps import known_address
from keyturn._http.values import DynamicValue
from keyturn._providers.checks import header_name
from keyturn._providers.provider import Provider
from keyturn._secret import Secret
from keyturn.testing.provider_kit._elsewhere import elsewhere
from keyturn.testing.provider_kit._examples import CheckFailed, check_keys
from keyturn.testing.provider_kit._source import is_data_alone
from keyturn.testing.provider_kit._watch import tomorrow

if TYPE_CHECKING:
    from keyturn._http.request import TokenRequest
    from keyturn.testing.provider_kit._outcomes import Outcome
    from keyturn.testing.provider_kit._subject import Subject

HEADER_NAME_REGEX = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# Placeholders for values that differ from request to request.
_CHANGING = {
    "{uuid}": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "{assertion}": r"[\w-]+\.[\w-]+\.[\w-]+",
    "{changing}": r".+?",
}
_STEP_VALUE_REGEX = re.compile(r"(?:\{|%7B)(?:discovery|previous)\.[\w.-]+(?:\}|%7D)")
_CODINGS = {"identity", "gzip", "deflate", "*"}
_KINDS = {"form": "application/x-www-form-urlencoded", "json": "application/json"}


def golden_request(subject: Subject) -> None:
    """The token request is the documented one, byte for byte."""
    golden, request = subject.examples.request, subject.request()
    if golden is None:
        if subject.examples.context is None:
            return  # `keyturn verify` shows the request instead
        raise CheckFailed(
            "`request`, the documented token request, is not given.",
            "compare this with the platform's documentation, then give "
            f"request = {_literal(request)}",
        )
    check_keys("`request`", golden, needed="method url", others="query headers body")
    for part, sent in _parts(request).items():
        wanted = golden.get(part, "" if part in {"query", "body"} else sent)
        wanted = wanted.decode() if isinstance(wanted, bytes) else _as_json(wanted, sent)
        if not _matches(wanted, sent):
            _differs(part, wanted, sent, request)
    given = {name.lower(): str(value) for name, value in golden.get("headers", {}).items()}
    headers = {name.lower(): value for name, value in request.headers.items()}
    wanted_headers = _usual_headers(request) | given
    for name in sorted(wanted_headers.keys() | headers.keys()):
        wanted = wanted_headers.get(name, "(no such header)")
        value = headers.get(name, "(no such header)")
        if not _matches(wanted, value):
            _differs(f"header {name}", wanted, value, request)


def well_formed_request(subject: Subject) -> None:
    """The token request goes to an https URL, and its headers are valid."""
    request = subject.request()
    for kind, pairs in (("parameter", request.parameters), ("header", request.extra_headers)):
        for name, value in pairs:
            if not (isinstance(name, str) and isinstance(value, (str, Secret, DynamicValue))):
                raise CheckFailed(
                    f"token_request has the {kind} {name!r} as {type(value).__name__}.",
                    "let token_request give strings, Secrets and keyturn.plugins.DynamicValues.",
                )
    given = [value for value in subject.values.values() if isinstance(value, str)]
    local = any(value.startswith("http://") for value in given)
    address = known_address(request)
    if not (local or address.startswith("https://")):
        raise CheckFailed(
            f"the token endpoint is {address}, but keyturn sends secrets by https only.",
            "correct token_url, or token_request.",
        )
    for name, value in request.headers.items():
        if not (HEADER_NAME_REGEX.fullmatch(name) and value.isprintable()):
            raise CheckFailed(
                f"the token request's header {name!r} or its value is not valid.",
                "correct token_headers, or the header made in token_request.",
            )
    _judge_content_type(request)
    _judge_accept(subject, request)
    if not (local or is_data_alone(subject.provider)):
        _judge_https(elsewhere(subject).here)


def _judge_content_type(request: TokenRequest) -> None:
    headers = {name.lower(): value for name, value in request.headers.items()}
    found, is_json = headers.get("content-type", ""), request.body.startswith((b"{", b"["))
    other = _KINDS["form" if is_json else "json"]
    if request.body_format in _KINDS and found.startswith(other):
        raise CheckFailed(
            f"the token request's body is {'' if is_json else 'not '}JSON, but its header "
            f"Content-Type says {found}.",
            "correct body_format, or leave Content-Type out of token_headers and token_request.",
        )


def _judge_accept(subject: Subject, request: TokenRequest) -> None:
    """Check that the response asked for is one that the provider reads."""
    provider = subject.effective_provider
    headers = {name.lower(): value for name, value in request.headers.items()}
    is_usual = "accept" not in {name.lower() for name, _ in request.extra_headers}
    codings = {each.partition(";")[0].strip() for each in headers["accept-encoding"].split(",")}
    if not codings <= _CODINGS:
        raise CheckFailed(
            f"the token request's header Accept-Encoding says {headers['accept-encoding']}, which "
            "keyturn does not decode.",
            "leave Accept-Encoding out of token_headers and token_request.",
        )
    is_own = type(provider).read_token is not Provider.read_token
    if is_usual or is_own or subject.examples.request or not provider.token_field:
        return  # it may read anything, or the platform's documentation says so
    accepted = headers["accept"].lower()
    if "*/*" not in accepted and provider.response_format not in accepted:
        raise CheckFailed(
            f"the token request's header Accept says {headers['accept']}, but the response is read "
            f"as {provider.response_format}.",
            "correct response_format, or leave Accept out of token_headers and token_request.",
        )


def _judge_https(here: Mapping[str, Outcome]) -> None:
    """Check that no settings lead to an address that is not https."""
    for case, outcome in here.items():
        for method in ("token_request", "api_url_for", "revocation_request"):
            parts = outcome.get(method, {})
            address = parts.get("url") or parts.get("", "").strip("'")
            if address.startswith("http:"):
                raise CheckFailed(
                    f"{method} returns an address that is not https for {case}: {address}.",
                    f"let {method} return https addresses only.",
                )


def unambiguous_request(subject: Subject) -> None:
    """No header, parameter or scope is sent twice, and none that the HTTP client sets."""
    request = subject.request()
    if request.provider != subject.provider.name:
        raise CheckFailed(
            f"token_request is of the provider {request.provider!r}.",
            "let token_request, or the provider that for_settings returns, keep the name.",
        )
    names = [name.lower() for name, _ in request.extra_headers]
    for name in names:
        if names.count(name) > 1 or header_name(name) or name == "content-length":
            raise CheckFailed(
                f"token_request sends the header {name} twice, or one that the HTTP client sets.",
                "let token_request have each header once.",
            )
    sent = [name for name, _ in request.parameters]
    sent += [request.scope_name] if request.scope and request.scope_name else []
    for name in sent:
        if sent.count(name) > 1:
            raise CheckFailed(
                f"token_request sends the parameter {name} twice.",
                "let token_request have each parameter once (RFC 6749 section 3.2).",
            )


def repeatable_request(subject: Subject) -> None:
    """The same settings give the same request a day later; what changes is a `DynamicValue`."""
    first = subject.request()
    with tomorrow():
        second = subject.request()
    if first.fingerprint == second.fingerprint:
        return
    fix = (
        "let what changes be a keyturn.plugins.DynamicValue, or the template {uuid}: it is "
        "computed when "
        "the request is sent, and is not part of the fingerprint."
    )
    pairs = zip(_pairs(first), _pairs(second), strict=False)
    changing = [f"{one[0]} {one[1]!r}" for one, other in pairs if one != other]
    raise CheckFailed(f"the token request differs each time: {', '.join(changing)}.", fix)


def token_url_setting(subject: Subject) -> None:
    """A user can move the token endpoint with the setting `token_url`."""
    url = "https://moved.example/made-up/token"
    if subject.request(token_url=url).url != url:
        raise CheckFailed(
            "token_request ignores the setting token_url.",
            "start from super().token_request(settings), or use "
            "`settings.token_url or self.expand(self.token_url, settings)`.",
        )


def _parts(request: TokenRequest) -> dict[str, str]:
    return {
        "method": request.method,
        "url": request.url,
        "query": request.query,
        "body": request.body.decode(),
    }


def _as_json(wanted: object, sent: str) -> str:
    """Return a documented value as a string; a table is JSON, in the order that is sent."""
    if not isinstance(wanted, Mapping):
        return str(wanted)
    with contextlib.suppress(ValueError):
        if json.loads(sent) == wanted:
            return sent
    return json.dumps(wanted, ensure_ascii=False, separators=(",", ":"))


def _usual_headers(request: TokenRequest) -> dict[str, str]:
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    if request.body_format in _KINDS:
        headers["content-type"] = _KINDS[request.body_format]
    return headers


def _literal(request: TokenRequest) -> str:
    """Return a request in the format of a conformance class, redacted."""
    shown = request.redacted()
    given = {name: value for name, value in _parts(shown).items() if value}
    headers = {
        name: value
        for name, value in shown.headers.items()
        if name.lower() not in _usual_headers(shown)
    }
    return repr(given | ({"headers": headers} if headers else {}))


def _matches(golden: str, sent: str) -> bool:
    # Values of a step's response may be any in the documentation.
    of_steps = map(re.escape, _STEP_VALUE_REGEX.split(sent))
    if re.fullmatch(".+?".join(of_steps), golden, re.DOTALL):
        return True
    pattern = re.escape(golden)
    for placeholder, fit in _CHANGING.items():
        pattern = pattern.replace(re.escape(placeholder), fit)
    return re.fullmatch(pattern, sent, re.DOTALL) is not None


def _differs(part: str, wanted: str, sent: str, request: TokenRequest) -> None:
    for secret in request.secrets():
        wanted, sent = (each.replace(secret.reveal(), str(secret)) for each in (wanted, sent))
    raise CheckFailed(
        f"the token request's {part} is not the documented one.\n"
        f"documented: {wanted}\nsent:       {sent}",
        "correct the provider's data or token_request, or `request` if that is wrong.",
    )


def _pairs(request: TokenRequest) -> list[tuple[str, str, Any]]:
    """Return the parts of a request, and of the steps before it: kind, name and value."""
    return [
        *(each for _, step in request.steps for each in _pairs(step)),
        ("part", "url", request.url),
        ("part", "method", request.method),
        ("part", "partition", request.partition),
        ("part", "scope", request.scope),
        *(("parameter", name, _stable(value)) for name, value in request.parameters),
        *(("header", name, _stable(value)) for name, value in request.extra_headers),
    ]


def _stable(value: Any) -> Any:
    return list(value.inputs()) if isinstance(value, DynamicValue) else value
