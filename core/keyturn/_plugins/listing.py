"""The installed providers, without an import of any."""

from __future__ import annotations

import attrs

from keyturn._common.names import shown
from keyturn._plugins.discovery import installed_providers


@attrs.frozen(repr=False)
class ProviderInfo:
    """The metadata of an installed provider, without importing it.

    Args:
        name: The name to choose it by.
        distribution: The distribution that registers it.
        version: That distribution's version.
    """

    name: str
    distribution: str
    version: str

    __repr__ = shown


def providers() -> list[ProviderInfo]:
    """Return the installed providers, sorted by name, without importing them.

    The list includes providers that can't be used. A name that two distributions register is listed
    twice.

    Example:
        >>> [info.name for info in providers() if info.distribution == "keyturn"]
        ['commercelayer', 'generic', 'norce-commerce', 'norce-storm', 'orocommerce']
    """
    return [ProviderInfo(p.name, p.distribution, p.release) for p in installed_providers()]
