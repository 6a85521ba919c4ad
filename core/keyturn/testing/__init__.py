"""What tests of code that uses keyturn need: an emulator, and a kit each for providers and stores."""

from __future__ import annotations

from keyturn.testing.emulator import Emulator, ReceivedRequest
from keyturn.testing.provider_kit import ProviderConformance
from keyturn.testing.store_kit import StoreConformance

__all__ = ["Emulator", "ProviderConformance", "ReceivedRequest", "StoreConformance"]
