"""Stores with one defect each, by kind, and the messages of the store tests about them."""

from __future__ import annotations

from broken_stores import details, entries, files, kept, leases, locks, processes, shown

KINDS = (details, entries, files, kept, leases, locks, processes, shown)
BROKEN = [each for kind in KINDS for each in kind.BROKEN]
