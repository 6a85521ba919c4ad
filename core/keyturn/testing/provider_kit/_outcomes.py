"""The results of a provider for settings, as plain values that two processes can compare."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import traceback
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._http.request import TokenRequest
from keyturn._http.response import OAuthError, Response
from keyturn._providers.settings import read
from keyturn._providers.steps import steps_of
from keyturn._token import Token
from keyturn.testing.provider_kit._computed import digest, shown, shown_value
from keyturn.testing.provider_kit._interleaved import interleaved, result
from keyturn.testing.provider_kit._pinned import values_of_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from keyturn._providers.provider import Provider

_MOST = 1000
# The value of further fields of a response, which each case replaces.
ANY_FIELD = "made-up-field"
# How many settings are created until one has the identity of another; usually the first.
_MOST_PLACES = 20_000
_MOST_TIMES = 5

Outcome = dict[str, dict[str, str]]
"""Each part of a method's result as a string, by the method's name; secrets are digests."""


@attrs.frozen
class Case:
    """Settings, and the responses of a token endpoint and an API.

    Args:
        name: What distinguishes them, such as "another tenant".
        values: The plain settings.
        token: The access token.
        field: The value of further fields of the response; empty for none.
    """

    name: str
    values: Mapping[str, Any]
    token: str
    field: str = ""


def collect(
    provider: Provider[Any], cases: Sequence[Case], reply: Response, error: Response
) -> dict[str, Outcome]:
    """Return the outcomes of each case, all methods for one after the other."""
    used: list[Any] = []  # while it exists, no other object gets its identity

    def outcome(case: Case) -> Outcome:
        usual = read(provider.settings, case.values)[0]

        def make() -> Any:
            used.append(copy.copy(usual))
            return used[-1]

        works = _works(provider, case, reply, error, make)
        return {name: parts_of(each) for name, each in works}

    return {case.name: outcome(case) for case in cases}


def collect_across(
    provider: Provider[Any], cases: Sequence[Case], reply: Response, error: Response
) -> dict[str, Outcome]:
    """Return the same, in the reverse order, and each method for all cases before the next."""
    works = {case.name: _works(provider, case, reply, error) for case in reversed(cases)}
    found: dict[str, Outcome] = {name: {} for name in works}
    for number in range(len(next(iter(works.values())))):
        for name, each in works.items():
            method, work = each[number]
            found[name][method] = parts_of(work)
    return found


def collect_reused(
    provider: Provider[Any], cases: Sequence[Case], reply: Response, error: Response
) -> dict[str, Outcome]:
    """Return the outcomes of the first and the last case, for settings with the same identity.

    A cache by the identity of settings then returns the values of others. The last one is missing
    if its settings do not get the identity.
    """
    first, last = cases[0], cases[-1]
    values = vars(read(provider.settings, last.values)[0])
    found: dict[str, Outcome] = {}
    for _ in range(_MOST_TIMES):  # an object of another thread may get the identity
        place, found[first.name] = _place(provider, first, reply, error)
        if settings := _at(place, provider.settings):
            vars(settings).update(values)
            found[last.name] = _outcome(provider, last, reply, error, settings)
            break
    return found


def collect_together(
    provider: Provider[Any],
    cases: Sequence[Case],
    reply: Response,
    error: Response,
    places: tuple[str, ...],
) -> Iterator[dict[str, Outcome]]:
    """Yield the outcomes of each method for the first and the last case, called at the same time.

    Args:
        provider: The provider.
        cases: The settings.
        reply: The response with a token.
        error: The response with an error.
        places: The files and directories of the provider's own code.
    """
    first, last = cases[0], cases[-1]
    others = dict(_works(provider, last, reply, error))
    works = _works(provider, first, reply, error)
    pairs = [(name, one, others[name]) for name, one in works if name in others]
    for name, one, other in interleaved(pairs, places):
        yield {first.name: {name: parts_of(one)}, last.name: {name: parts_of(other)}}


def _place(
    provider: Provider[Any], case: Case, reply: Response, error: Response
) -> tuple[int, Outcome]:
    """Use settings; return their identity, which others may get afterwards, and the outcome."""
    settings: Any = read(provider.settings, case.values)[0]
    return id(settings), _outcome(provider, case, reply, error, settings)


def _at(place: int, cls: type[object]) -> object | None:
    """Return an empty instance of a class with a certain identity, if possible."""
    others: list[object] = []
    for _ in range(_MOST_PLACES):
        others.append(object.__new__(cls))
        if id(others[-1]) == place:
            return others[-1]
    return None


def _outcome(
    provider: Provider[Any], case: Case, reply: Response, error: Response, settings: Any
) -> Outcome:
    works = _works(provider, case, reply, error, lambda: settings)
    return {name: parts_of(each) for name, each in works}


def _works(
    given: Provider[Any],
    case: Case,
    reply: Response,
    error: Response,
    make: Callable[[], Any] | None = None,
) -> list[tuple[str, Callable[[], object]]]:
    """Return each method by its name, ready to be called; by default for new settings each time."""
    usual = None if make else read(given.settings, case.values)[0]
    settings = make or (lambda: copy.copy(usual))
    provider, reply = given, _reply_to(case, reply)
    with contextlib.suppress(Exception, SystemExit):
        provider = given.for_settings(settings())
    token = _token(provider, settings(), reply, case.token)

    def read_token() -> object:
        own = settings()
        return provider.read_token(own, reply, provider.token_request(own))

    own: Any = settings()
    return [
        *(_step_work(*each) for each in steps_of(provider, own)),
        ("scope", lambda: provider.scope(settings())),
        ("assumed_lifetime", lambda: provider.assumed_lifetime(settings())),
        ("token_request", lambda: provider.token_request(settings())),
        ("read_token", read_token),
        ("read_error", lambda: provider.read_error(settings(), error)),
        ("authorization", lambda: provider.authorization(settings(), token)),
        ("api_request_headers", lambda: provider.api_request_headers(settings(), token)),
        ("api_url_for", lambda: provider.api_url_for(settings(), token)),
        ("revocation_request", lambda: provider.revocation_request(settings(), token)),
        ("token_rejected", lambda: provider.token_rejected(settings(), error)),
        ("warnings", lambda: list(itertools.islice(provider.warnings(settings()), _MOST))),
    ]


def _reply_to(case: Case, reply: Response) -> Response:
    """Return the response for a case: its further fields have the case's value, or are missing."""
    content = reply.json() if ANY_FIELD.encode() in reply.body else None
    if not isinstance(content, dict):
        return reply
    fields = {name: case.field if each == ANY_FIELD else each for name, each in content.items()}
    kept = {name: each for name, each in fields.items() if each != ""}
    return attrs.evolve(reply, body=json.dumps(kept).encode())


def _step_work(name: str, step: Provider[Any], settings: Any) -> tuple[str, Callable[[], object]]:
    return f"token_request of {name}", lambda: step.token_request(copy.copy(settings))


def _token(provider: Provider[Any], settings: Any, reply: Response, access_token: str) -> Token:
    sent = reply.sent_at
    content = reply.json()
    extra = content if isinstance(content, dict) else {}
    token = Token(access_token, "Bearer", sent + 3600, None, extra, sent)
    with contextlib.suppress(Exception, SystemExit):
        token = provider.read_token(settings, reply, provider.token_request(settings))
    extra = {**token.extra, **values_of_steps(provider, settings)}
    return attrs.evolve(token, access_token=access_token, extra=extra)


def first_request(provider: Provider[Any], case: Case) -> Callable[[], object]:
    """Return what returns or raises what the first call of all for a token request did."""
    settings: Any = read(provider.settings, case.values)[0]
    return result(lambda: provider.for_settings(settings).token_request(settings))


def parts_of(work: Callable[[], object]) -> dict[str, str]:
    """Return the result of `work`, or the kind of its exception, part by part."""
    try:
        return dict(_named(work()))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other checks report it
        return {"": f"raises {type(error).__name__}{_own(error)}"}


def _own(error: BaseException) -> str:
    """Return a suffix if a provider's own code rejects settings that its class accepts.

    An error that was caught before is of what a setting names, such as a file.
    """
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    is_own = error.__context__ is None and not frame.f_globals.get("__name__", "").startswith(
        "keyturn."
    )
    return " of its own" if is_own and isinstance(error, errors.ConfigurationError) else ""


def _named(found: object) -> list[tuple[str, str]]:
    if isinstance(found, TokenRequest):
        names = ("provider", "method", "url", "body_format", "partition", "scope_separator")
        parts = [(name, str(getattr(found, name))) for name in (*names, "scope_name", "scope")]
        parts.append(("certificate", shown(found.certificate and attrs.astuple(found.certificate))))
        parts.append(("response_mapping", found.response_mapping))
        for kind, pairs in (("parameter", found.parameters), ("header", found.extra_headers)):
            parts += [(f"{kind} {name}", shown_value(value)) for name, value in pairs]
            parts.append((f"order of {kind}s", " ".join(name for name, _ in pairs)))
        return parts
    if isinstance(found, Token):
        extra = json.dumps(dict(found.extra), sort_keys=True, default=shown)
        return [
            ("lifetime", str(round(found.expires_at - found.issued_at))),
            ("scope", str(found.scope)),
            ("token_type", found.token_type),
            ("access_token", digest(found.access_token)),
            ("extra", extra),
        ]
    if isinstance(found, OAuthError):
        plain = attrs.asdict(found)
        plain["description"] = digest(str(found.description))  # it may have secrets
        return [(name, str(each)) for name, each in plain.items()]
    if hasattr(found, "items"):
        headers: Any = found
        return sorted((f"header {name}", shown(value)) for name, value in headers.items())
    return [("", shown(found))]
