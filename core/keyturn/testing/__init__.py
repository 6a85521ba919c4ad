"""Tests of code that uses keyturn: an emulator, and conformance kits for providers and stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn._common.names import lazy_names

if TYPE_CHECKING:
    from keyturn.testing.emulator import Emulator, ReceivedRequest
    from keyturn.testing.provider_kit import ProviderConformance
    from keyturn.testing.store_kit import StoreConformance

__all__ = ["Emulator", "ProviderConformance", "ReceivedRequest", "StoreConformance"]

# The emulator's authorization server takes long to import; the kits don't need it.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Emulator": "keyturn.testing.emulator",
        "ProviderConformance": "keyturn.testing.provider_kit",
        "ReceivedRequest": "keyturn.testing.emulator",
        "StoreConformance": "keyturn.testing.store_kit",
    },
)
