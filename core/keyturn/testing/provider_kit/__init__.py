"""The checks that every provider must pass."""

from __future__ import annotations

from keyturn.testing.provider_kit._conformance import ProviderConformance

__all__ = ["ProviderConformance"]

ProviderConformance.__module__ = "keyturn.testing"
