"""A user's flow for Prefect, whose tasks call an API, four of them at the same time."""

from __future__ import annotations

import os
import threading

import httpx
from prefect import flow, get_run_logger, task, unmapped
from prefect.task_runners import ThreadPoolTaskRunner

from keyturn.integrations.prefect import KeyturnConnection

WORKERS = 4
together = threading.Barrier(WORKERS, timeout=120)


@task(persist_result=True)
def before(shop: KeyturnConnection) -> KeyturnConnection:
    """Call the API, which then revokes all tokens. Log the block, and store its result."""
    with shop.client() as client:
        client.get("users").raise_for_status()
    get_run_logger().info("The block is %r, its client ID %s", shop, shop.settings["client_id"])
    httpx.post(os.environ["REVOKE"], trust_env=False).raise_for_status()
    return shop


@task(persist_result=True)
def worker(shop: KeyturnConnection, _: int) -> int:
    """Call the API at the same time as the others."""
    together.wait()
    with shop.client() as client:
        return client.get("users").status_code


@flow(task_runner=ThreadPoolTaskRunner(max_workers=WORKERS), persist_result=True)
def run(given: KeyturnConnection) -> list[int]:
    """Call the API with a block that is loaded, and with one that is a parameter."""
    before(given)
    # What the user writes:
    shop = KeyturnConnection.load("shop")
    # End of what the user writes.
    return [each.result() for each in worker.map(unmapped(shop), range(WORKERS))]
