"""Cached results for the last few providers: several checks need them, and they are slow."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from keyturn._providers.provider import Provider
    from keyturn.testing.provider_kit._subject import Subject

T = TypeVar("T")

_MOST = 128


class Kept(Generic[T]):
    """Values by the provider and its settings."""

    def __init__(self) -> None:
        # With the provider, so that no other object gets its identity.
        self._found: OrderedDict[tuple[int, str], tuple[Provider[Any], T]] = OrderedDict()

    def get(self, subject: Subject) -> T | None:
        """Return the cached value for a subject, or None."""
        found = self._found.get(_key(subject))
        return None if found is None else found[1]

    def put(self, subject: Subject, value: T) -> T:
        """Cache a value in place of the oldest one, and return it."""
        self._found[_key(subject)] = (subject.provider, value)
        if len(self._found) > _MOST:
            self._found.popitem(last=False)
        return value


def _key(subject: Subject) -> tuple[int, str]:
    # A generated certificate has a new path each time.
    values = {name: str(value) for name, value in subject.values.items() if name != "certificate"}
    others = dict(subject.examples.others)
    return id(subject.provider), json.dumps([values, others], sort_keys=True, default=str)
