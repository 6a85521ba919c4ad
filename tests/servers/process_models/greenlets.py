"""Requests tokens in greenlets, with a patched standard library; prints the results."""

from __future__ import annotations

import sys
from typing import Any

kind, held, ready, folder = sys.argv[1:]
if kind == "gevent":
    import gevent.monkey

    gevent.monkey.patch_all()
    sleep: Any = gevent.sleep
    spawn: Any = gevent.spawn

    def result(greenlet: Any) -> Any:
        """Return the result of a greenlet."""
        return greenlet.get()
else:
    import eventlet

    eventlet.monkey_patch()
    sleep, spawn = eventlet.sleep, eventlet.spawn

    def result(greenlet: Any) -> Any:
        """Return the result of a greenlet."""
        return greenlet.wait()


import keyturn


def connect(url: str, store: Any, client: str, **options: Any) -> keyturn.Connection:
    """Return a connection."""
    return keyturn.connect(
        "orocommerce", url=url, client_id=client, client_secret="x", store=store, **options
    )


def fail(connection: keyturn.Connection) -> str:
    """Return the token, or the message of the error."""
    try:
        return connection.token().access_token
    except keyturn.errors.EndpointUnavailable as error:
        return error.message


ticks = 0


def tick() -> None:
    """Count while no greenlet blocks the others."""
    global ticks  # noqa: PLW0603 - the script's own counter
    while True:
        ticks += 1
        sleep(0.01)


spawn(tick)
for url in ("memory://", f"disk://{folder}/store"):
    store = keyturn.stores.from_url(url)
    first, second = (connect(ready, store, "cid", timeout=20 + number) for number in range(2))
    asking = [spawn(each.token) for each in [first] * 50 + [second]]
    print(len({result(each).access_token for each in asking}))
late = [spawn(fail, connect(held, "memory://", f"c{n}", timeout=0.3)) for n in range(12)]
print({"within 0.3 s" in result(each) for each in late})
print(ticks > 20)
