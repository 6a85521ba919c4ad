"""The tasks of Celery and Dramatiq: eight processes or threads call the API at once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 8
SECONDS = 40
API = os.environ["SHOP_API"]


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


def call(part: str, number: int, auth: httpx.Auth) -> None:
    """Call the API once eight tasks are ready; write the status to a file."""
    Path(f"ready-{part}-{number}").touch()
    wait_until(lambda: len(list(Path().glob(f"ready-{part}-*"))) == CALLS)
    status = httpx.get(f"{API}/users", auth=auth, timeout=SECONDS).status_code
    Path(f"writing-{part}-{number}").write_text(str(status), encoding="utf-8")
    Path(f"writing-{part}-{number}").rename(f"status-{part}-{number}")


def main(enqueue: Callable[[str, int], object]) -> None:
    """Let tasks call the API, twice, and revoke all tokens between."""
    for part in ("before", "after"):
        for number in range(CALLS):
            enqueue(part, number)
        wait_until(lambda part=part: len(list(Path().glob(f"status-{part}-*"))) == CALLS)
        httpx.post(os.environ["SHOP_REVOKE"])
