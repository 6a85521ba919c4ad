"""An application of Dramatiq whose broker is Redis."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from tests.integrated.workers_calls import call, main

# What the user writes:
from keyturn.integrations.httpx import KeyturnAuth

AUTH = KeyturnAuth("shop")
# End of what the user writes.

dramatiq.set_broker(RedisBroker(url=os.environ["BROKER"]))


@dramatiq.actor(max_retries=0)
def users(part: str, number: int) -> None:
    """Call the API."""
    call(part, number, AUTH)


def enqueue() -> None:
    """Let the workers call the API."""
    main(users.send)
