"""The emulator, whose API revokes tokens during a run."""

from __future__ import annotations

import time
from typing import Any

from keyturn.testing import Emulator

PROVIDER = "orocommerce"


class RevokingEmulator(Emulator):
    """An emulator of OroCommerce that revokes all tokens when certain API requests arrive.

    Args:
        after: The numbers of these requests. The next request gets the API's own 401.
    """

    def __init__(self, *after: int) -> None:
        self.after = set[int]()
        super().__init__(now=self._now)
        self.after.update(after)

    def shop(self) -> dict[str, Any]:
        """Return the settings of a connection."""
        return self.settings(PROVIDER)

    def _now(self) -> float:
        # The emulator reads the clock when it checks a token.
        due = self.api_requests(PROVIDER) if self.after else 0
        if due in self.after:
            self.after.remove(due)
            self.revoke_tokens(PROVIDER)
        return time.time()
