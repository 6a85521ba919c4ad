"""A server on loopback that behaves as the four providers document, and misbehaves on request."""

from __future__ import annotations

from keyturn.testing._messages import ReceivedRequest
from keyturn.testing.emulator._emulator import Emulator

__all__ = ["Emulator", "ReceivedRequest"]

for _public in (Emulator, ReceivedRequest):
    _public.__module__ = "keyturn.testing"
