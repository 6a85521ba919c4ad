"""Stores with one defect each, by kind, and what the tests of a store say about it."""

from __future__ import annotations

from broken_stores import entries, files, locks, processes, shown

BROKEN = [*entries.BROKEN, *locks.BROKEN, *processes.BROKEN, *files.BROKEN, *shown.BROKEN]
