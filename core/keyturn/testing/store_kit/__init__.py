"""The checks that every token store must pass."""

from __future__ import annotations

from keyturn.testing.store_kit._conformance import StoreConformance

__all__ = ["StoreConformance"]

StoreConformance.__module__ = "keyturn.testing"
