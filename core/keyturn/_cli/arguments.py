"""Conversion of command-line arguments, with error messages."""

from __future__ import annotations

import argparse
import re

# RFC 9110 section 5.6.2: a token.
_HEADER_NAME_PATTERN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


def port(value: str) -> int:
    """Return a port, which leaves room for three more."""
    number = int(value)
    if not 0 <= number <= 65535 - 3:
        raise ValueError
    return number


def lifetime(value: str) -> int:
    """Return a number of seconds."""
    seconds = int(value)
    if not 1 <= seconds < 1 << 31:
        raise argparse.ArgumentTypeError("must be a number of seconds from 1 to 2147483647")
    return seconds


def header(value: str) -> tuple[str, str]:
    """Return a header's name and value."""
    name, colon, content = value.partition(":")
    if not colon or not re.fullmatch(_HEADER_NAME_PATTERN, name) or not content.isprintable():
        # A ValueError's message would show the value, which may be secret.
        raise argparse.ArgumentTypeError("must be 'NAME: VALUE', without control characters")
    return name, content.strip()
