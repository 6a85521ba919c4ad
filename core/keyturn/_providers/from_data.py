"""Providers described by data alone: a table in TOML, or the settings of a connection."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._providers.data import DATA, datum_types
from keyturn._providers.described_steps import described_steps
from keyturn._providers.description_mistakes import reviewed, unknown_keys
from keyturn._providers.kinds import WrongValueError, convert
from keyturn._providers.provider import Provider
from keyturn._providers.provider_problems import problems
from keyturn._providers.setting_tables import scope_problem, settings_class

if TYPE_CHECKING:
    from collections.abc import Mapping


def described_provider(
    description: Mapping[str, Any],
    name: str | None,
    origin: str = "",
    own: Mapping[str, Any] | None = None,
) -> Provider[Any]:
    """Return the provider that a description describes; see `keyturn.plugins.provider_from_data`.

    Args:
        description: The description, with what it extends.
        name: The provider's name, if the description does not have it.
        origin: The file that it was read from, as messages show it.
        own: The description without what it extends; by default all of it.

    Raises:
        keyturn.errors.ConfigurationError: There are mistakes in it; all of them are named.
    """
    mistakes = list(unknown_keys(description))
    name = description.get("name") if name is None else name
    if description.get("name", name) != name:
        mistakes.append(
            errors.Problem("name", f"must be {name}, which the provider is registered as")
        )
    if problem := scope_problem(description):
        mistakes.append(errors.Problem("scope", problem))
    if "domains" in description and not isinstance(description.get("settings"), type):
        where = "below [previous] or [discovery]; those of API requests are api_domains"
        mistakes.append(
            errors.Problem("domains", f"is for addresses in a response: write it {where}")
        )
    values = {**description, "name": name}
    data: dict[str, Any] = {"settings": settings_class(description, mistakes)}
    for key in DATA.keys() & values.keys():
        data[key] = values[key]
        with contextlib.suppress(WrongValueError):  # a wrong one is kept, to be reported
            data[key] = convert(values[key], datum_types()[key])
    data |= described_steps(values, data["settings"], mistakes, described_provider)
    provider: Provider[Any] = type("DescribedProvider", (Provider,), data)()
    mistakes += problems(provider)
    if not isinstance(description.get("settings"), type):
        mistakes = reviewed(description, mistakes, provider.settings, own)
    if mistakes:
        raise errors.ConfigurationError(
            f"the description of provider {name}{origin} has {len(mistakes)} mistake(s):",
            problems=mistakes,
        )
    return provider
