"""A WSGI application that responds with its process ID and a token."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import keyturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

connection = keyturn.connect(
    "orocommerce",
    url=os.environ["ENDPOINT"],
    client_id="cid",
    client_secret="s3cret-for-tests",
    store=os.environ["STORE"],
    timeout=10,
)
if reached := os.environ.get("IN_FLIGHT"):
    # The master forks its workers while this request is in progress.
    threading.Thread(target=connection.token, daemon=True).start()
    while not Path(reached).exists():
        time.sleep(0.01)


def application(
    environ: dict[str, object], start_response: Callable[..., object]
) -> Iterable[bytes]:
    """Respond with the process and its token."""
    del environ
    try:
        token = connection.token().access_token
    except keyturn.errors.KeyturnError as error:
        token = str(error)
    start_response("200 OK", [("Content-Type", "text/plain")])
    time.sleep(0.02)  # so that another worker handles the next request
    return [f"{os.getpid()} {token}".encode()]
