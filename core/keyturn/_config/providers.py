"""The provider of a connection: an installed provider, or a description in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn import errors
from keyturn._common.names import in_one_line
from keyturn._config import sources
from keyturn._plugins import loading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from keyturn._config.references import RawSetting
    from keyturn._providers.provider import Provider

_SUFFIX = ".toml"


def chosen_provider(name: str, configuration: Path | None) -> Provider[Any]:
    """Return the provider that a connection names.

    Args:
        name: Its name; or the path of a description that ends in `.toml`, `~` allowed.
        configuration: The configuration file, to which a path is relative; None without one.

    Raises:
        keyturn.errors.ConfigurationError: The provider does not exist, or can't be used.
    """
    if not name.endswith(_SUFFIX):
        return loading.provider(name)
    from keyturn._plugins.descriptions import provider_from_file

    absolute = sources.absolute(name)
    if absolute is None and configuration is None:
        raise errors.ConfigurationError(
            f"{name} is relative to the configuration file, but no file is configured.",
            hint="Set provider to an absolute path.",
        )
    return provider_from_file(absolute or configuration.parent / name)  # type: ignore[union-attr]


def provider_problems(
    provider: RawSetting, error: errors.ConfigurationError
) -> Iterator[errors.Problem]:
    """Yield the problems of a provider; each mistake in a description separately."""
    is_file = str(provider.value).endswith(_SUFFIX)
    if not (is_file and error.problems):
        yield errors.Problem(provider.location, in_one_line(error))
        return
    for mistake in error.problems:
        yield errors.Problem(provider.location, f"{provider.value}: {mistake}")
