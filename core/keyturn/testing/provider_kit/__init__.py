"""The checks that every provider must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn._common.names import lazy_names

if TYPE_CHECKING:
    from keyturn.testing.provider_kit._conformance import ProviderConformance

__all__ = ["ProviderConformance"]

# The second process of the checks needs a part of this package only.
__getattr__, __dir__ = lazy_names(
    __name__, {"ProviderConformance": "keyturn.testing.provider_kit._conformance"}
)
