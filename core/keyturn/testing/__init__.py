"""What tests of code that uses keyturn need: an emulator of the four providers."""

from __future__ import annotations

from keyturn.testing._emulator import Emulator
from keyturn.testing._messages import ReceivedRequest

__all__ = ["Emulator", "ReceivedRequest"]
