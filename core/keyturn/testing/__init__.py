"""What tests of code that uses keyturn need: an emulator of the four providers.

For authors of providers: the tests that every provider must pass.
"""

from __future__ import annotations

from keyturn.testing._conformance import ProviderConformance
from keyturn.testing._emulator import Emulator
from keyturn.testing._messages import ReceivedRequest
from keyturn.testing._store_conformance import StoreConformance

__all__ = ["Emulator", "ProviderConformance", "ReceivedRequest", "StoreConformance"]
