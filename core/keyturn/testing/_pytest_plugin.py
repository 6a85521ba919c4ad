"""The plugin of pytest: a fixture for applications; it imports the emulator when a test uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn.testing import Emulator


@pytest.fixture
def keyturn_emulator() -> Iterator[Emulator]:
    """Give a running `keyturn.testing.Emulator`, which this test alone uses.

    It starts in milliseconds, on free ports, with random credentials and no tokens.
    """
    from keyturn.testing import Emulator

    with Emulator() as emulator:
        yield emulator
