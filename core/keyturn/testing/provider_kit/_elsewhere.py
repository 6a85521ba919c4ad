"""The same provider in a second process, with another hash seed, time, and no imports."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from keyturn import errors
from keyturn._plugins import loading as plugins
from keyturn._plugins.discovery import installed_providers
from keyturn.testing.provider_kit import _samples as samples
from keyturn.testing.provider_kit._audit import unwatched
from keyturn.testing.provider_kit._computed import varying
from keyturn.testing.provider_kit._kept import Kept
from keyturn.testing.provider_kit._outcomes import ANY_FIELD, Case, collect
from keyturn.testing.provider_kit._source import is_data_alone, own_places, own_strings
from keyturn.testing.provider_kit._variants import cases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from keyturn._http.response import Response
    from keyturn._providers.provider import Provider
    from keyturn.testing.provider_kit._outcomes import Outcome
    from keyturn.testing.provider_kit._subject import Subject

_SECONDS, _MORE = 60.0, 5.0
# Values of fields of a response: two names, and a date without a time zone.
_FIELDS = ("one", "two", "2031-05-06T07:08:09")
# The options of Python's start in which the two processes must differ.
_OTHER = {
    "PYTHONHASHSEED": "20261127",
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C",
    "USER": "elsewhere",
    "LOGNAME": "elsewhere",
    "HOME": "/elsewhere",
}


@attrs.frozen(slots=False)
class Elsewhere:
    """The findings of a second process.

    Args:
        provider: The provider.
        cases: The settings that both processes use.
        reply: The response with a token that both read.
        error: The response with an error that both read.
        outcomes: The provider's results there, by the case's name.
        effects: The side effects of its import, each with its place.
        touched: The shared state of the process that its methods have changed.
        made: The digests of its values there that differ each time.
        made_here: The first of these values in this process.
        first: What the first token request there was, by part.
        problem: Why there are no outcomes; empty if there are some.
    """

    provider: Provider[Any]
    cases: Sequence[Case]
    reply: Response
    error: Response
    outcomes: Mapping[str, Outcome] = attrs.field(factory=dict)
    effects: Sequence[tuple[str, str]] = ()
    touched: Sequence[str] = ()
    made: Sequence[str] = ()
    made_here: Sequence[str] = ()
    first: Mapping[str, str] = attrs.field(factory=dict)
    problem: str = ""

    @functools.cached_property
    def here(self) -> Mapping[str, Outcome]:
        """The provider's results in this process, by default."""
        return collect(self.provider, self.cases, self.reply, self.error)


_kept: Kept[Elsewhere] = Kept()


def elsewhere(subject: Subject) -> Elsewhere:
    """Return the findings of a second process, which is started once for all checks."""
    return _kept.get(subject) or start([subject])[0]


def start(subjects: Sequence[Subject]) -> list[Elsewhere]:
    """Start one second process for several providers; keep and return its findings."""
    found, specifications = [], []
    installed = {each.name for each in installed_providers()}
    for subject in subjects:
        tried, reply = _tried(subject)
        refused = samples.error_response(subject.effective_provider, "invalid_client", 401)
        error = attrs.evolve(samples.to_response(refused), sent_at=reply.sent_at)
        provider = subject.provider
        problem = _problem(provider)
        made = Elsewhere(
            provider, tried, reply, error, problem=problem, made_here=_made_here(subject)
        )
        found.append(made)
        if not made.problem:
            specifications.append(_specification(made, installed))
    with unwatched():
        answers = iter(run_second(specifications) if specifications else ())
    results = [made if made.problem else attrs.evolve(made, **next(answers)) for made in found]
    return [_kept.put(subject, each) for subject, each in zip(subjects, results, strict=True)]


def _tried(subject: Subject) -> tuple[list[Case], Response]:
    """Return the cases, and the response with fields that the provider's own code may read."""
    provider, sample, tried = subject.provider, subject.sample, cases(subject)
    reply = samples.to_response(sample.response)
    names = [] if is_data_alone(provider) else own_strings(provider)
    names = [each for each in names if each.isidentifier()]
    if not names or not isinstance(sample.content, dict):
        return tried, reply
    content = {**dict.fromkeys(names, ANY_FIELD), **sample.content}
    reply = attrs.evolve(samples.to_response(sample.changed(content)), sent_at=reply.sent_at)
    further = [
        Case(f"a response with {field} in its fields", tried[0].values, tried[0].token, field)
        for field in _FIELDS
    ]
    return [*tried[:-1], *further, tried[-1]], reply


def _made_here(subject: Subject) -> Sequence[str]:
    """Return the values that differ each time; here, those of the given settings come first."""
    if is_data_alone(subject.provider):
        return ()
    first, *_, last = (case.values for case in cases(subject))
    is_any = varying(subject.provider, first, 2)
    return varying(subject.provider, last, 2) if is_any else ()


def _problem(provider: Provider[Any]) -> str:
    """Return why a provider can't be loaded by another process."""
    if is_data_alone(provider):
        return "it has no code of its own"
    cls = type(provider)
    module: Any = sys.modules.get(cls.__module__)
    if cls.__module__ == "__main__" or not getattr(module, "__file__", None):
        return "it is not in a module that another process can import"
    return ""


def _specification(made: Elsewhere, installed: AbstractSet[str]) -> dict[str, Any]:
    provider = made.provider
    cls = type(provider)
    module: Any = sys.modules[cls.__module__]
    return {
        "entry": provider.name if provider.name in installed and _is_found(provider) else "",
        "module": cls.__module__,
        "file": module.__file__,
        "class": cls.__qualname__,
        "name": provider.name,
        "places": own_places(provider),
        "cases": [attrs.asdict(case) for case in made.cases],
        "reply": _as_json(made.reply),
        "error": _as_json(made.error),
    }


def _is_found(provider: Provider[Any]) -> bool:
    """Return whether the provider's name finds this provider."""
    try:
        return plugins.provider(provider.name) is provider
    except errors.KeyturnError:
        return False


def _as_json(response: Response) -> dict[str, Any]:
    headers = dict(response.headers)
    body = response.body.decode("latin-1")
    return {
        "status": response.status,
        "headers": headers,
        "body": body,
        "sent_at": response.sent_at,
    }


def run_second(specifications: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run the second process; its input has secrets, and goes through a pipe."""
    with tempfile.TemporaryDirectory(prefix="keyturn-") as directory:
        out = Path(directory) / "found.json"
        seconds = _SECONDS + _MORE * len(specifications)
        given = json.dumps({"out": str(out), "providers": specifications})
        problem, began = "", time.monotonic()
        try:
            _wait_for_second(given, directory, seconds)
            if out.exists():
                found: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
                return found
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            problem = f" with {type(error).__name__}"
        is_ended = not problem and time.monotonic() - began < seconds
        effects = [("ends, or breaks, the process", "")] if is_ended else []
        problem = f"the second process failed{problem}"
        return [{"problem": problem, "effects": effects}] * len(specifications)


def _wait_for_second(given: str, directory: str, seconds: float) -> None:
    """Run the second process, which ends with this one: its input remains open."""
    with subprocess.Popen(
        [sys.executable, "-m", "keyturn.testing.provider_kit._second"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        cwd=directory,
        text=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            process.stdin.write(f"{given}\n")
            process.stdin.flush()
            process.wait(seconds)
        finally:
            process.kill()


def _environment() -> dict[str, str]:
    path = os.pathsep.join(each for each in sys.path if each)
    return {**os.environ, **_OTHER, "PYTHONPATH": path}
