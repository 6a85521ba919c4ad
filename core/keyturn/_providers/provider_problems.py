"""What is wrong with a provider: its data one by one and together, and its names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._common.names import did_you_mean
from keyturn._providers import (
    api_authorization,
    client_authentication,
    named_values,
    steps,
    templates,
)
from keyturn._providers.data import DATA, Datum, datum_types
from keyturn._providers.data_rules import DATA_RULES
from keyturn._providers.kinds import (
    REQUIRED,
    WrongValueError,
    convert,
    fields_of,
    kind_of,
)
from keyturn._providers.named_values import template_problem
from keyturn._providers.provider import Provider
from keyturn._providers.rules import broken
from keyturn._providers.settings import OPTION_NAMES, Settings

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

# `titel` is as similar to `title`; `client_auth` to `client_authentication` is less so.
_MISSPELT = 0.8


def problems(provider: Provider[Any]) -> list[errors.Problem]:
    """Return what is wrong with a provider's data, settings class and names."""
    settings: object = getattr(provider, "settings", None)
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        return [errors.Problem("settings", "must be a class derived from keyturn.plugins.Settings")]
    wrong = dict(_single_problems(provider))
    # A datum that is wrong by itself is left out of the checks of several data.
    names = named_values.Either(api_authorization.ApiNames(), steps.StepNames(provider))
    empty = dict.fromkeys(wrong, "")
    right = {name: getattr(provider, name) for name in DATA if name not in empty}
    # Settings that are a description have been checked by them.
    rules = [rule for rule in DATA_RULES if rule not in settings.rules]
    together = _problems_together(SimpleNamespace(**right, **empty, names=names), settings)
    found = {
        **dict(together),
        **dict(reversed([*broken(rules, right)])),  # the first rule of a datum counts
        **wrong,
        **dict(_misspelt_names(provider)),
        **dict(steps.problems(provider)),
        **{
            f"settings.{name}": "can't be the name of a setting: keyturn.connect takes it"
            for name in ("provider", *OPTION_NAMES)
            if name in fields_of(settings)
        },
    }
    own = [errors.Problem(name, problem) for name, problem in found.items()]
    if provider.previous is None or "previous" in found:
        return own
    # A step has the settings of the provider.
    found_there = problems(provider.previous)
    return own + [
        errors.Problem(f"previous.{each.path}", each.message)
        for each in found_there
        if not each.path.startswith("settings")
    ]


def _single_problems(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with each datum by itself."""
    for name, datum in DATA.items():
        value: Any = getattr(provider, name, None)
        if value is datum.default:
            continue
        problem = _value_problem(value, datum_types()[name], datum)
        if problem is None and datum.template:
            check = partial(
                template_problem,
                settings=provider.settings,
                use=datum.template,
                values=_mapping(provider.values),
                is_header=name in {"token_headers", "api_headers"},
                names=_names_for(provider, name, datum),
            )
            found = ((each, check(each)) for each in templates.strings_in(value))
            problem = next((f"{each!r} {wrong}" for each, wrong in found if wrong), None)
        if problem:
            yield name, problem


def _names_for(provider: Provider[Any], name: str, datum: Datum) -> Container[str]:
    """Return what the templates of a datum may name besides settings and values."""
    if datum.template == "api_request":
        return named_values.Either(api_authorization.ApiNames(), steps.StepNames(provider))
    has_steps = datum.template in {"token_request", "json"} or name in steps.ADDRESSES
    names = steps.StepNames(provider) if has_steps else ()
    is_signed = provider.client_authentication in [*client_authentication.SIGNED]
    if is_signed and name in client_authentication.PLACES:
        return named_values.Either(names, {"assertion"})
    return names


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _value_problem(value: Any, annotation: Any, datum: Datum) -> str | None:
    try:
        converted = convert(value, annotation)
    except WrongValueError as wrong:
        return "is required" if value is None and datum.default is REQUIRED else str(wrong)
    if converted is not value and converted != value:  # such as a list, which TOML has
        return f"must be a {kind_of(annotation)[0].__name__}"
    return None if value is None or datum.check is None else datum.check(value)


def _problems_together(data: Any, settings: type[Settings]) -> Iterator[tuple[str, str]]:
    """Yield the data that contradict each other."""
    way = data.client_authentication
    known = {*dir(settings), *fields_of(settings)}
    needed = client_authentication.NEEDED_SETTINGS.get(way)
    if needed and needed not in known:
        yield "client_authentication", f"needs the setting {needed}"
    sent = {*_sent_names(data, known)}
    # RFC 6749 section 3.2 forbids a parameter that is sent twice.
    for name in data.parameters:
        if name in sent:
            yield "parameters", f"{name} is sent already"
    yield from named_values.problems(_mapping(data.values), settings, data.names)
    is_in_query = data.body_format == "query" or data.method == "GET"
    for name in data.query if is_in_query else ():
        if name in data.parameters:
            yield "query", f"{name} is sent already, in parameters"
        elif name in sent:
            yield "query", f"{name} is sent already"
    if data.token_field and data.token_field in {data.error_field, data.error_description_field}:
        yield "token_field", "can't be the field of an error too"
    if data.error_field in {"token_type" if data.token_type else "", data.lifetime_field} - {""}:
        yield "error_field", "is a field of a token"
    yield from _api_problems(data)


def _sent_names(data: Any, known: Container[str]) -> Iterator[str]:
    """Yield the names of the parameters that keyturn sends besides those of `parameters`."""
    if data.grant_type:
        yield "grant_type"
    way = data.client_authentication
    is_sent = way in {"client_secret_post", *client_authentication.NEEDED_SETTINGS}
    if is_sent and "client_id" in known:
        yield data.client_id_name
    if way == "client_secret_post" and "client_secret" in known:
        yield data.client_secret_name
    if way in client_authentication.SIGNED and not client_authentication.names_assertion(data):
        yield from (data.assertion_name, "client_assertion_type")


def _api_problems(data: Any) -> Iterator[tuple[str, str]]:
    """Yield the data of API requests that contradict each other."""
    for name in data.api_query:
        if name == data.authorization_query:
            yield "api_query", f"{name} carries the token: see authorization_query"
    for name in data.api_headers:
        if name.lower() == data.authorization_header.lower() and not data.authorization_query:
            yield "api_headers", f"{name} carries the token: see authorization_header"


def _misspelt_names(provider: Provider[Any]) -> Iterator[tuple[str, str]]:
    """Yield public names that are similar to the name of a datum or a method."""
    known = [name for name in {*dir(Provider), *DATA, "settings"} if not name.startswith("_")]
    own = [cls for cls in type(provider).__mro__ if cls not in Provider.__mro__]
    names = {name for each in (provider, *own) for name in vars(each)}
    for name in sorted(name for name in names - set(known) if not name.startswith("_")):
        question = did_you_mean(name, known, similarity=_MISSPELT)
        if question:
            yield name, f"is not known.{question} Begin a name of your own with _."
