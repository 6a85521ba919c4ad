"""The results of a provider for settings, as plain values that two processes can compare."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import itertools
import json
import os
import random
from typing import TYPE_CHECKING, Any

import attrs

from keyturn._http.request import TokenRequest
from keyturn._http.response import OAuthError, Response
from keyturn._http.values import DynamicValue, fingerprint_parts
from keyturn._providers.settings import read
from keyturn._providers.steps import steps_of
from keyturn._secret import Secret
from keyturn._token import Token
from keyturn.testing.provider_kit._interleaved import interleaved, result
from keyturn.testing.provider_kit._pinned import values_of_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from keyturn._providers.provider import Provider

# The time for values of a request, in epoch seconds.
_NOW = 1_900_000_000.0
_MOST = 1000
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
    """

    name: str
    values: Mapping[str, Any]
    token: str


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
    provider = given
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
        return {"": f"raises {type(error).__name__}"}


def _named(found: object) -> list[tuple[str, str]]:
    if isinstance(found, TokenRequest):
        names = ("provider", "method", "url", "body_format", "partition", "scope_separator")
        parts = [(name, str(getattr(found, name))) for name in (*names, "scope_name", "scope")]
        parts.append(
            ("certificate", _shown(found.certificate and attrs.astuple(found.certificate)))
        )
        parts.append(("response_mapping", found.response_mapping))
        for kind, pairs in (("parameter", found.parameters), ("header", found.extra_headers)):
            parts += [(f"{kind} {name}", shown_value(value)) for name, value in pairs]
            parts.append((f"order of {kind}s", " ".join(name for name, _ in pairs)))
        return parts
    if isinstance(found, Token):
        extra = json.dumps(dict(found.extra), sort_keys=True, default=_shown)
        return [
            ("lifetime", str(round(found.expires_at - found.issued_at))),
            ("scope", str(found.scope)),
            ("token_type", found.token_type),
            ("access_token", _digest(found.access_token)),
            ("extra", extra),
        ]
    if isinstance(found, OAuthError):
        return [("code", found.code), ("server_fault", str(found.server_fault))]
    if hasattr(found, "items"):
        headers: Any = found
        return sorted((f"header {name}", _shown(value)) for name, value in headers.items())
    return [("", _shown(found))]


def shown_value(value: Any) -> str:
    """Return a value of a request as a string: a secret as a digest, a dynamic value computed."""
    if isinstance(value, DynamicValue):
        parts = [_shown(each) for each in fingerprint_parts(value)]
        if not type(value).__module__.startswith("keyturn."):
            one, other = made(value), made(value)
            parts.append(_digest(one) if one == other else "another each time")
        return " ".join(parts)
    return _shown(value)


def varying(provider: Provider[Any], values: Mapping[str, Any], count: int) -> list[str]:
    """Return the digests of a provider's own values that differ each time."""
    settings: Any = read(provider.settings, values)[0]
    try:
        request = provider.for_settings(settings).token_request(settings)
        pairs = (*request.parameters, *request.extra_headers)
        found: list[str] = []
        for name, value in pairs:
            if not isinstance(value, DynamicValue) or type(value).__module__.startswith("keyturn."):
                continue
            several = [value.value(_NOW) for _ in range(count)]
            if len(set(several)) > 1:
                found += [_digest(f"{name}: {each}") for each in several]
    except (Exception, SystemExit):  # noqa: BLE001 - other checks report it
        return []
    return found


def made(value: DynamicValue, now: float = _NOW) -> str:
    """Return a dynamic value, computed without random numbers."""
    with no_randomness():
        return value.value(now)


@contextlib.contextmanager
def no_randomness() -> Generator[None]:
    """Make random numbers the same each time, on every thread."""
    state, source = random.getstate(), os.urandom
    module: Any = random
    other = module._urandom  # noqa: SLF001 - the source of SystemRandom, and so of `secrets`

    def same(size: int) -> bytes:
        return b"\1" * size

    random.seed(1)
    os.urandom = same
    module._urandom = same  # noqa: SLF001 - as above
    try:
        yield
    finally:
        os.urandom = source
        module._urandom = other  # noqa: SLF001 - as above
        random.setstate(state)


def _shown(value: Any) -> str:
    if isinstance(value, Secret):
        return f"secret {_digest(value.reveal())}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_shown, value))}]"
    return repr(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
