"""Checks of the token request: what it is, and what making it may do."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import attrs

from keyturn._http.values import DynamicValue
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._subject import CheckFailed, check_keys
from keyturn.testing.provider_kit._watch import doors, tomorrow

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._http.request import TokenRequest
    from keyturn._providers.settings import Settings
    from keyturn._token import Token
    from keyturn.testing.provider_kit._subject import Subject

HEADER_NAME_REGEX = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# What a documented text has where each request has something else.
_CHANGING = {
    "{uuid}": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "{assertion}": r"[\w-]+\.[\w-]+\.[\w-]+",
    "{changing}": r".+?",
}
_KINDS = {"form": "application/x-www-form-urlencoded", "json": "application/json"}


def golden_request(subject: Subject) -> None:
    """The token request is the documented one, byte for byte."""
    golden, request = subject.examples.request, subject.request()
    if golden is None:
        if subject.examples.context is None:
            return  # who has nothing to compare it with looks at it
        raise CheckFailed(
            "`request`, the documented token request, is not given.",
            "hold this against the platform's documentation, then give "
            f"request = {_literal(request)}",
        )
    check_keys("`request`", golden, needed="method url", others="query headers body")
    for part, text in _parts(request).items():
        wanted = golden.get(part, "" if part in {"query", "body"} else text)
        wanted = wanted.decode() if isinstance(wanted, bytes) else str(wanted)
        if not _matches(wanted, text):
            _differs(part, wanted, text, request)
    given = {name.lower(): str(value) for name, value in golden.get("headers", {}).items()}
    sent = {name.lower(): value for name, value in request.headers.items()}
    wanted_headers = _usual_headers(request) | given
    for name in sorted(wanted_headers.keys() | sent.keys()):
        wanted = wanted_headers.get(name, "(no such header)")
        if not _matches(wanted, sent.get(name, "(no such header)")):
            _differs(f"header {name}", wanted, sent.get(name, "(no such header)"), request)


def well_formed_request(subject: Subject) -> None:
    """The token request goes to an https address, and its headers are headers."""
    request = subject.request()
    given = [value for value in subject.values.values() if isinstance(value, str)]
    local = any(value.startswith("http://") for value in given)
    if not (local or request.url.startswith("https://")):
        raise CheckFailed(
            f"the token endpoint is {request.url}, and secrets go over https only.",
            "correct token_url, or token_request.",
        )
    for name, value in request.headers.items():
        if not (HEADER_NAME_REGEX.fullmatch(name) and value.isprintable()):
            raise CheckFailed(
                f"the token request's header {name!r} or its value is no header.",
                "correct token_headers, or the header made in token_request.",
            )


def repeatable_request(subject: Subject) -> None:
    """The same settings give the same request, tomorrow as well; what changes is `DynamicValue`."""
    first = subject.request()
    with tomorrow():
        second = subject.request()
    if first.fingerprint == second.fingerprint:
        return
    mend = (
        "make what changes a keyturn.plugins.DynamicValue, or the template {uuid}: it is made when the request "
        "is sent, and is no part of the key under which the token is kept."
    )
    pairs = zip(_pairs(first), _pairs(second), strict=False)
    changing = [f"{one[0]} {one[1]!r}" for one, other in pairs if one != other]
    raise CheckFailed(f"the token request differs each time: {', '.join(changing)}.", mend)


def token_url_setting(subject: Subject) -> None:
    """A user can move the token endpoint with the setting `token_url`."""
    url = "https://moved.example/made-up/token"
    if subject.request(token_url=url).url != url:
        raise CheckFailed(
            "token_request ignores the setting token_url.",
            "start from super().token_request(settings), or use "
            "`settings.token_url or self.expand(self.token_url, settings)`.",
        )


def no_input_or_output(subject: Subject) -> None:
    """The provider's methods decide; they open no file, connection or process."""
    token = subject.token()
    for method, work in _methods(subject, token):
        # What else is wrong with the method is for other checks to say.
        with doors() as seen, contextlib.suppress(Exception):
            work()
        if seen:
            raise CheckFailed(
                f"{method} {seen[0]}.",
                f"let {method} decide by settings and response alone; what it reads must be a "
                "setting, and whatever is made anew each time a keyturn.plugins.DynamicValue.",
            )


def nothing_changed(subject: Subject) -> None:
    """The provider's methods leave the settings, and the provider itself, as they were."""
    token, settings = subject.token(), subject.settings()
    provider = subject.bound_provider
    for method, work in _methods(subject, token, settings):
        before = (attrs.asdict(settings), _state(provider))
        subject.ask(method, work)
        if before[0] != attrs.asdict(settings):
            raise CheckFailed(
                f"{method} changes the settings.",
                f"let {method} use attrs.evolve for a changed copy.",
            )
        if before[1] != _state(provider):
            raise CheckFailed(
                f"{method} changes the provider, which all threads and connections share.",
                f"keep no state between calls in {method}.",
            )


def _parts(request: TokenRequest) -> dict[str, str]:
    return {
        "method": request.method,
        "url": request.url,
        "query": request.query,
        "body": request.body.decode(),
    }


def _usual_headers(request: TokenRequest) -> dict[str, str]:
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    if request.body_format in _KINDS:
        headers["content-type"] = _KINDS[request.body_format]
    return headers


def _literal(request: TokenRequest) -> str:
    """Return a request as the conformance class has it, redacted."""
    shown = request.redacted()
    given = {name: value for name, value in _parts(shown).items() if value}
    headers = {
        name: value
        for name, value in shown.headers.items()
        if name.lower() not in _usual_headers(shown)
    }
    return repr(given | ({"headers": headers} if headers else {}))


def _matches(golden: str, text: str) -> bool:
    pattern = re.escape(golden)
    for placeholder, fit in _CHANGING.items():
        pattern = pattern.replace(re.escape(placeholder), fit)
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def _differs(part: str, wanted: str, text: str, request: TokenRequest) -> None:
    for secret in request.secrets():
        wanted, text = (each.replace(secret.reveal(), str(secret)) for each in (wanted, text))
    raise CheckFailed(
        f"the token request's {part} is not the documented one.\n"
        f"documented: {wanted}\nsent:       {text}",
        "correct the provider's data or token_request, or `request` if that is mistaken.",
    )


def _pairs(request: TokenRequest) -> list[tuple[str, str, Any]]:
    """Return what a request is made of: what kind of part, its name, and its value."""
    return [
        ("part", "url", request.url),
        ("part", "method", request.method),
        ("part", "partition", request.partition),
        ("part", "scope", request.scope),
        *(("parameter", name, _stable(value)) for name, value in request.parameters),
        *(("header", name, _stable(value)) for name, value in request.extra_headers),
    ]


def _stable(value: Any) -> Any:
    return list(value.inputs()) if isinstance(value, DynamicValue) else value


def _state(provider: object) -> dict[str, Any]:
    own = {**vars(type(provider)), **vars(provider)}
    return {name: repr(value) for name, value in own.items() if not name.startswith("__")}


def _methods(
    subject: Subject, token: Token, settings: Settings | None = None
) -> list[tuple[str, Callable[[], object]]]:
    """Return each of the provider's methods by its name, ready to be called."""
    given = settings or subject.settings()
    provider, response = subject.bound_provider, samples.to_response(subject.sample.response)
    request = subject.request()
    refused = samples.to_response(samples.refusal(provider, "invalid_client", 401))
    return [
        ("for_settings", lambda: subject.provider.for_settings(given)),
        ("token_request", lambda: provider.token_request(given)),
        ("read_token", lambda: provider.read_token(given, response, request)),
        ("read_error", lambda: provider.read_error(given, refused)),
        ("authorization", lambda: provider.authorization(given, token)),
        ("api_request_headers", lambda: dict(provider.api_request_headers(given, token))),
        ("api_url_for", lambda: provider.api_url_for(given, token)),
        ("token_rejected", lambda: provider.token_rejected(given, refused)),
        ("revocation_request", lambda: provider.revocation_request(given, token)),
        ("warnings", lambda: list(provider.warnings(given))),
    ]
