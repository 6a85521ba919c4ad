"""An application of Celery whose broker is a directory."""

from __future__ import annotations

from celery import Celery
from tests.integrated.workers_calls import call, main

# What the user writes:
from keyturn.integrations.httpx import KeyturnAuth

AUTH = KeyturnAuth("shop")
# End of what the user writes.

app = Celery("shop", broker="filesystem://", backend="file://results")
app.conf.broker_transport_options = {
    "data_folder_in": "queue",
    "data_folder_out": "queue",
    "processed_folder": "processed",
    "store_processed": True,
    "control_folder": "control",
}
app.conf.worker_prefetch_multiplier = 1


@app.task
def users(part: str, number: int) -> None:
    """Call the API."""
    call(part, number, AUTH)


def enqueue() -> None:
    """Let the workers call the API."""
    main(users.delay)
