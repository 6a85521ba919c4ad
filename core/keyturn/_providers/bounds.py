"""Limits on the size of a setting: an end user fills in the form, and each check costs time."""

from __future__ import annotations

from collections.abc import Mapping

from keyturn._secret import Secret

# Long enough for a certificate with its chain; see `keyturn._providers.checks.path_or_pem`.
_MAX_CHARACTERS = 1_000_000
_MAX_VALUES = 10_000
_MAX_LEVELS = 32
# Python refuses to write out an integer of more than 4300 digits.
_MAX_BITS = 1000
# How many unknown settings are reported, and how many characters of each name.
MAX_UNKNOWN = 100
MAX_NAME = 100


def size_problem(value: object) -> str | None:
    """Return what is wrong with the size of a setting; this is the first check of it."""
    left = [(value, 0)]
    characters = values = 0
    while left:
        each, level = left.pop()
        if isinstance(each, Secret):
            each = each.reveal()
        if isinstance(each, (str, bytes, bytearray)):
            characters += len(each)
        elif isinstance(each, int) and each.bit_length() > _MAX_BITS:
            return "must be a smaller number"
        elif isinstance(each, (list, tuple, set, frozenset, Mapping)):
            values += len(each)
            if level == _MAX_LEVELS:
                return f"must not be nested in more than {_MAX_LEVELS} levels"
            if values > _MAX_VALUES:
                return f"must not have more than {_MAX_VALUES} values"
            members = [*each, *each.values()] if isinstance(each, Mapping) else each
            left += [(member, level + 1) for member in members]
        if characters > _MAX_CHARACTERS:
            return f"must not have more than {_MAX_CHARACTERS} characters"
    return None
