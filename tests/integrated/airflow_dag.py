"""A user's DAG for Airflow, whose tasks call an API, four of them at the same time."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG, BaseOperator, task

from keyturn.integrations.airflow import KeyturnHook, KeyturnTrigger, http_auth

WORKERS = 4
WAIT = 120  # seconds


def revoke(*_: object) -> None:
    """Make the API revoke all tokens."""
    httpx.post(os.environ["REVOKE"], trust_env=False).raise_for_status()


@task
def before() -> int:
    """Call the API, which then revokes all tokens. Print the secret and the client ID."""
    hook = KeyturnHook("shop")
    stored = hook.get_connection("shop")
    sys.stdout.write(f"secret: {stored.password}, in: {stored.get_uri()}, ID: {stored.login}\n")
    with hook.get_conn() as session:
        status = session.get(f"{hook.connection.api_url}/users", timeout=10).status_code
    revoke()
    return status


@task
def worker(number: int) -> int:
    """Call the API at the same time as the others."""
    place = Path(os.environ["MEETING_PLACE"])
    (place / str(number)).touch()
    end = time.monotonic() + WAIT
    while len(list(place.iterdir())) < WORKERS:
        assert time.monotonic() < end, "the workers do not run at the same time"
        time.sleep(0.05)
    # What the user writes:
    client = KeyturnHook("shop").client()
    # End of what the user writes.
    with client:
        return client.get("users").status_code


class Deferred(BaseOperator):
    """Calls the API from the triggerer, after it has revoked all tokens."""

    def execute(self, context: Any) -> None:
        """Revoke, and defer."""
        revoke()
        self.defer(trigger=KeyturnTrigger("shop", "users"), method_name="finish")

    def finish(self, context: Any, event: dict[str, Any]) -> int:
        """Return the status."""
        assert "data" in event["text"]
        return int(event["status"])


with DAG("shop", schedule=None) as dag:
    http = HttpOperator(
        task_id="http",
        http_conn_id="shop_api",
        endpoint="/users",
        method="GET",
        auth_type=http_auth,
        response_filter=lambda response: response.status_code,
        pre_execute=revoke,
    )
    before() >> worker.expand(number=[*range(WORKERS)]) >> Deferred(task_id="deferred") >> http

if __name__ == "__main__":
    state = dag.test(use_executor=True).state
    sys.exit(state != "success")
