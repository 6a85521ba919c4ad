"""Calls the emulator's API with niquests, eight calls at once, twice; revokes tokens between."""

from __future__ import annotations

import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import niquests

from keyturn.integrations.niquests import KeyturnAuth

logging.basicConfig(level=logging.DEBUG)
session = niquests.Session()
# What the user writes:
session.auth = KeyturnAuth("shop")
# End of what the user writes.


def status(_: int) -> int | None:
    """Call the API."""
    return session.get(f"{os.environ['SHOP_API']}/users", timeout=60).status_code


with ThreadPoolExecutor(8) as pool:
    for _ in range(2):
        sys.stdout.write(" ".join(map(str, pool.map(status, range(8)))) + "\n")
        niquests.post(os.environ["SHOP_REVOKE"])
