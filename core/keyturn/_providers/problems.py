"""What is wrong with a provider: its data, how they go together, and misspelt names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn._names import nearest
from keyturn._providers import checks, templates
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.kinds import WrongValueError, convert, kind_of
from keyturn._providers.provider import Provider
from keyturn._providers.settings import OPTION_NAMES, Settings, fields_of
from keyturn.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from keyturn._providers.data import Datum

_NEEDED_SETTINGS = {"private_key_jwt": "private_key", "tls_client_auth": "certificate"}
# `titel` is as similar to `title`; `client_auth` to `client_authentication` is less so.
_MISSPELT = 0.8


def problems(provider: Provider[Any]) -> list[Problem]:
    """Return what is wrong with a provider's data, settings class and names."""
    settings: object = getattr(provider, "settings", None)
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        return [Problem("settings", "must be a class derived from keyturn.plugins.Settings")]
    found = dict(_single_problems(provider))
    for names, check in _CHECKS_TOGETHER.items():
        if not found.keys() & set(names):
            found |= dict(check(provider))
    found |= dict(_misspelt_names(provider))
    for name in ("provider", *OPTION_NAMES):
        if name in fields_of(settings):
            found[f"settings.{name}"] = "can't be the name of a setting: keyturn.connect takes it"
    return [Problem(name, problem) for name, problem in found.items()]


def _single_problems(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with each datum by itself."""
    for name, datum in DATA.items():
        value: Any = getattr(provider, name, None)
        problem = _value_problem(value, datum_types()[name], datum)
        if problem is None and datum.template:
            texts: Iterable[str] = (value,) if isinstance(value, str) else value.values()
            wrong = (_template_problem(name, text, provider.settings) for text in texts)
            problem = next(filter(None, wrong), None)
        if problem:
            yield name, problem


def _value_problem(value: Any, annotation: Any, datum: Datum) -> str | None:
    try:
        converted = convert(value, annotation)
    except WrongValueError as wrong:
        return "is required" if value is None and datum.is_required else str(wrong)
    if (
        converted is not value and converted != value
    ):  # such as a list, which is for descriptions in TOML
        return f"must be a {kind_of(annotation)[0].__name__}"
    return datum.check(value) if datum.check else None


def _template_problem(name: str, text: str, settings: type[Settings]) -> str | None:
    if name == "api_headers" and text == templates.RANDOM_ID:
        return f"{text!r} would be the same for all requests with one token"
    problem = templates.problem(text, settings)
    if problem is None and DATA[name].template == "address":
        problem = templates.address_problem(text, settings)
    return f"{text!r} {problem}" if problem else None


def _body_problems(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    if provider.method == "GET" and provider.body_format != "query":
        yield "body_format", "must be query with method GET, which has no body"


def _authentication_problems(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    needed = _NEEDED_SETTINGS.get(provider.client_authentication)
    if needed and needed not in {*dir(provider.settings), *fields_of(provider.settings)}:
        yield "client_authentication", f"needs the setting {needed}"
    if provider.client_authentication == "client_secret_headers":
        for name in ("client_id_name", "client_secret_name"):
            header = getattr(provider, name)
            problem = checks.header_name(header) if header else None
            if problem:
                yield name, problem


def _parameter_problems(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    """Yield parameters that would be sent twice, which RFC 6749 section 3.2 forbids."""
    sent = {"grant_type"} if provider.grant_type else set[str]()
    if provider.client_authentication == "client_secret_post":
        sent |= {provider.client_id_name, provider.client_secret_name}
    elif provider.client_authentication == "private_key_jwt":
        sent |= {provider.client_id_name, provider.assertion_name, "client_assertion_type"}
    for name in provider.parameters:
        if name in sent:
            yield "parameters", f"{name} is sent already"


def _api_header_problems(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    for name in provider.api_headers:
        if name.lower() == provider.authorization_header.lower():
            yield "api_headers", f"{name} carries the token: see authorization_header"


def _field_problems(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    if provider.token_field in {provider.error_field, provider.error_description_field}:
        yield "token_field", "can't be the field of an error as well"


_CHECKS_TOGETHER: dict[tuple[str, ...], Callable[[Provider[Any]], Iterator[tuple[str, str]]]] = {
    ("method", "body_format"): _body_problems,
    ("client_authentication", "client_id_name", "client_secret_name"): _authentication_problems,
    (
        "grant_type",
        "parameters",
        "client_authentication",
        "client_id_name",
        "client_secret_name",
        "assertion_name",
    ): _parameter_problems,
    ("api_headers", "authorization_header"): _api_header_problems,
    ("token_field", "error_field", "error_description_field"): _field_problems,
}
"""What is checked only when the data that it reads are right one by one."""


def _misspelt_names(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    """Yield public names that are nearly the name of a datum or a method."""
    known = [name for name in {*dir(Provider), *DATA, "settings"} if not name.startswith("_")]
    own = [cls for cls in type(provider).__mro__ if cls not in Provider.__mro__]
    names = {name for each in (provider, *own) for name in vars(each)}
    for name in sorted(name for name in names - set(known) if not name.startswith("_")):
        near = nearest(name, known, similarity=_MISSPELT)
        if near:
            yield name, f"is not known. Did you mean {near}? A name of your own begins with _."
