"""What is wrong with a provider: its data, how they go together, and misspelt names."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from keyturn._names import did_you_mean
from keyturn._providers import templates
from keyturn._providers.data import DATA, Datum, datum_types
from keyturn._providers.kinds import (
    REQUIRED,
    WrongValueError,
    convert,
    fields_of,
    header_name,
    kind_of,
)
from keyturn._providers.provider import Provider
from keyturn._providers.settings import OPTION_NAMES, Settings
from keyturn.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NEEDED_SETTINGS = {"private_key_jwt": "private_key", "tls_client_auth": "certificate"}
# `titel` is as similar to `title`; `client_auth` to `client_authentication` is less so.
_MISSPELT = 0.8


def problems(provider: Provider[Any]) -> list[Problem]:
    """Return what is wrong with a provider's data, settings class and names."""
    settings: object = getattr(provider, "settings", None)
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        return [Problem("settings", "must be a class derived from keyturn.plugins.Settings")]
    wrong = dict(_single_problems(provider))
    # A datum that is wrong by itself is left out of what is checked together.
    right = {name: "" if name in wrong else getattr(provider, name) for name in DATA}
    together = _problems_together(types.SimpleNamespace(**right), settings)
    taken = [
        f"settings.{name}" for name in ("provider", *OPTION_NAMES) if name in fields_of(settings)
    ]
    found = {
        **dict(together),
        **wrong,
        **dict(_misspelt_names(provider)),
        **dict.fromkeys(taken, "can't be the name of a setting: keyturn.connect takes it"),
    }
    return [Problem(name, problem) for name, problem in found.items()]


def _single_problems(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with each datum by itself."""
    for name, datum in DATA.items():
        value: Any = getattr(provider, name, None)
        problem = _value_problem(value, datum_types()[name], datum)
        if problem is None and datum.template:
            strings: Iterable[str] = (value,) if isinstance(value, str) else value.values()
            found = (
                (each, templates.problem(each, provider.settings, datum.template))
                for each in strings
            )
            problem = next((f"{each!r} {wrong}" for each, wrong in found if wrong), None)
        if problem:
            yield name, problem


def _value_problem(value: Any, annotation: Any, datum: Datum) -> str | None:
    try:
        converted = convert(value, annotation)
    except WrongValueError as wrong:
        return "is required" if value is None and datum.default is REQUIRED else str(wrong)
    if converted is not value and converted != value:  # such as a list, which TOML has
        return f"must be a {kind_of(annotation)[0].__name__}"
    return None if value is None or datum.check is None else datum.check(value)


def _problems_together(data: Any, settings: type[Settings]) -> Iterator[tuple[str, str]]:
    """Yield which data do not go together."""
    yield from _authentication_problems(data, settings)
    if data.method == "GET" and data.body_format not in {"query", ""}:
        yield "body_format", "must be query with method GET, which has no body"
    for name in data.api_headers:
        if name.lower() == data.authorization_header.lower():
            yield "api_headers", f"{name} carries the token: see authorization_header"
    if data.token_field and data.token_field in {data.error_field, data.error_description_field}:
        yield "token_field", "can't be the field of an error as well"


def _authentication_problems(data: Any, settings: type[Settings]) -> Iterator[tuple[str, str]]:
    way = data.client_authentication
    needed = NEEDED_SETTINGS.get(way)
    if needed and needed not in {*dir(settings), *fields_of(settings)}:
        yield "client_authentication", f"needs the setting {needed}"
    sent = {
        "client_secret_post": {data.client_id_name, data.client_secret_name},
        "private_key_jwt": {data.client_id_name, data.assertion_name, "client_assertion_type"},
    }.get(way, set())
    for name in data.parameters:
        # RFC 6749 section 3.2 forbids a parameter that is sent twice.
        if name in sent or (name == "grant_type" and data.grant_type):
            yield "parameters", f"{name} is sent already"
    for name in ("client_id_name", "client_secret_name"):
        header = getattr(data, name) if way == "client_secret_headers" else ""
        problem = header_name(header) if header else None
        if problem:
            yield name, problem


def _misspelt_names(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    """Yield public names that are nearly the name of a datum or a method."""
    known = [name for name in {*dir(Provider), *DATA, "settings"} if not name.startswith("_")]
    own = [cls for cls in type(provider).__mro__ if cls not in Provider.__mro__]
    names = {name for each in (provider, *own) for name in vars(each)}
    for name in sorted(name for name in names - set(known) if not name.startswith("_")):
        question = did_you_mean(name, known, similarity=_MISSPELT)
        if question:
            yield name, f"is not known.{question} A name of your own begins with _."
