"""A server on loopback that behaves as the four providers document, and misbehaves on request."""

from __future__ import annotations

from keyturn.testing.emulator._emulator import Emulator
from keyturn.testing.emulator._messages import ReceivedRequest

__all__ = ["Emulator", "ReceivedRequest"]
