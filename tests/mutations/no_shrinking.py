"""A pytest plugin for `scripts/mutants.py`: a failing example need not be made small."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile(
    "no-shrinking",
    deadline=None,
    max_examples=60,
    phases=(Phase.explicit, Phase.generate),
    database=None,
)
