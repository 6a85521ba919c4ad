"""A Celery application whose task returns its process ID and a token."""

from __future__ import annotations

import os

import application
import celery

folder = os.environ["FOLDER"]
app = celery.Celery("tasks", broker="filesystem://", backend=f"file://{folder}")
app.conf.broker_transport_options = {
    "data_folder_in": folder,
    "data_folder_out": folder,
    "control_folder": folder,
}


@app.task
def ask() -> str:
    """Return the process and its token."""
    (body,) = application.application({}, lambda *_: None)
    return body.decode()
