"""The steps before a token request, in a description."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._providers.checks import address, required
from keyturn._providers.data import DATA, ApiData
from keyturn._providers.description_mistakes import reviewed
from keyturn._providers.discovery import Discovery
from keyturn._providers.fields import setting
from keyturn._providers.settings import Record, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._providers.provider import Provider
    from keyturn._providers.settings import Settings

# Keys that a step takes from the description itself, or does not use.
_NOT_OF_STEPS = ("name", "settings", "credentials", "scope", "extends")
# Keys that only requests with the last token use.
_OF_API = frozenset(DATA) & frozenset(vars(ApiData)) - {"max_margin"}


class _DiscoveryTable(Record):
    """The table `discovery` of a description."""

    url: str = setting("URL", check=lambda url: required(url) or address(url))
    lifetime: float = setting(
        "Lifetime",
        default=86_400.0,
        check=lambda seconds: None if 60 <= seconds <= 2_592_000 else "must be 60 to 2592000",
    )
    domains: tuple[str, ...] = setting("Domains", default=(), check=lambda _: None)


def described_steps(
    description: Mapping[str, Any],
    settings: type[Settings],
    mistakes: list[errors.Problem],
    describe: Callable[[Mapping[str, Any], str], Provider[Any]],
) -> dict[str, Any]:
    """Return the steps of a description, and add the mistakes in them to `mistakes`.

    Args:
        description: The description.
        settings: The class of its settings.
        mistakes: The mistakes that are known.
        describe: Returns the provider of a description, and the step's name.
    """
    found: dict[str, Any] = {}
    if isinstance(given := description.get("domains"), (list, tuple)):
        found["domains"] = tuple(given)
    makers: dict[str, Callable[..., Any]] = {
        "previous": partial(_previous, describe),
        "discovery": _discovery,
    }
    for name, make in makers.items():
        table = description.get(name)
        if table is None:
            continue
        if isinstance(table, Mapping):
            try:
                found[name] = make(table, settings, str(description.get("name")))
            except errors.ConfigurationError as error:
                mistakes += [
                    errors.Problem(f"{name}.{each.path}", each.message) for each in error.problems
                ]
        else:
            mistakes.append(errors.Problem(name, "must be a table"))
    return found


def _previous(
    describe: Callable[[Mapping[str, Any], str], Provider[Any]],
    table: Mapping[str, Any],
    settings: type[Settings],
    name: str,
) -> Any:
    wrong = [
        errors.Problem(each, "must be outside this table")
        for each in table
        if each in _NOT_OF_STEPS
    ]
    wrong += [
        errors.Problem(each, "is for API requests: write it above the line [previous]")
        for each in table
        if each in _OF_API
    ]
    if wrong:
        raise errors.ConfigurationError("the step previous has mistakes.", problems=wrong)
    try:
        step: Any = describe({**table, "settings": settings}, name)
    except errors.ConfigurationError as error:
        step, wrong = None, list(error.problems)
    if wrong := reviewed(table, wrong, settings):
        raise errors.ConfigurationError("the step previous has mistakes.", problems=wrong)
    return step


def _discovery(table: Mapping[str, Any], _: type[Settings], __: str) -> Discovery:
    read_table, wrong = read(_DiscoveryTable, table)
    if read_table is None:
        raise errors.ConfigurationError("the table discovery has mistakes.", problems=wrong)
    given = read_table
    return Discovery(given.url, lifetime=given.lifetime, domains=given.domains)
