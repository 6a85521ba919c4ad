"""Public suffixes: domains below which anyone can register a host (https://publicsuffix.org)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def is_shared(domain: str, own_host: str = "") -> bool:
    """Return whether hosts of many owners lie below a domain.

    Args:
        domain: The domain.
        own_host: A host of the platform: a company's suffix above it is the platform's own.
    """
    if _suffixes(only_icann=True).is_public(domain):
        return True
    is_own = own_host == domain or own_host.endswith(f".{domain}")
    return not is_own and bool(_suffixes(only_icann=False).is_public(domain))


def registered_domain(host: str) -> str:
    """Return the domain that the owner of a host has registered."""
    found: str | None = _suffixes(only_icann=True).privatesuffix(host)
    return found or ".".join(host.split(".")[-2:])


@functools.cache
def _suffixes(*, only_icann: bool) -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # reading its list takes 20 ms

    return PublicSuffixList(accept_unknown=False, only_icann=only_icann)
