"""Requests tokens in tasks of uvloop; prints the results."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop

import keyturn

held, ready = sys.argv[1:]


def connect(url: str, client: str, **options: Any) -> keyturn.Connection:
    """Return a connection."""
    return keyturn.connect(
        "orocommerce", url=url, client_id=client, client_secret="x", store="memory://", **options
    )


async def main() -> None:
    """Request tokens in many tasks, of which some are cancelled or time out."""
    connection = connect(ready, "cid")
    tasks = [asyncio.create_task(connection.atoken()) for _ in range(100)]
    await asyncio.sleep(0)
    tasks.pop().cancel()
    print(type(asyncio.get_running_loop()).__module__)
    print(len({each.access_token for each in await asyncio.gather(*tasks)}))
    late = [connect(held, f"c{number}", timeout=0.3).atoken() for number in range(12)]
    failures = await asyncio.gather(*late, return_exceptions=True)
    print({type(each).__name__ for each in failures})


uvloop.run(main())
