"""`python -m keyturn`, the same as the command `keyturn`."""

from __future__ import annotations

import sys

from keyturn._cli import main

if __name__ == "__main__":  # pragma: no branch - only doctest imports it
    sys.exit(main())
