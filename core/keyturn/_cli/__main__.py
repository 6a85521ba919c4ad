"""`python -m keyturn._cli`, the same as the command `keyturn`."""

from __future__ import annotations

import sys

from keyturn._cli import main

if __name__ == "__main__":  # pragma: no branch - doctest imports it, nobody else
    sys.exit(main())
