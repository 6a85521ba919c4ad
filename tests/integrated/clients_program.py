"""Calls the emulator's API by client libraries, eight calls at a time, and revokes the tokens.

It prints the statuses and the number of token requests, for each library before and after. The
generated client `shop_client` is found by PYTHONPATH.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import openai
from shop_client import Client
from shop_client.api.default import get_users

import keyturn
from keyturn.integrations import httpx as for_httpx
from keyturn.integrations import httpx2 as for_httpx2

if TYPE_CHECKING:
    from collections.abc import Callable


def by_openai(connection: keyturn.Connection) -> Callable[[object], int]:
    """Return a function that calls the API by openai."""
    client = openai.OpenAI(
        base_url=connection.api_url,
        api_key="unused",
        http_client=httpx2.Client(auth=for_httpx2.KeyturnAuth(connection)),
        max_retries=0,
    )
    return lambda _: client.get("/users", cast_to=httpx2.Response).status_code


def by_generated_client(connection: keyturn.Connection) -> Callable[[object], int]:
    """Return a function that calls the API by a client of openapi-python-client."""
    client = Client(connection.api_url, httpx_args={"auth": for_httpx.KeyturnAuth(connection)})
    client.get_httpx_client()
    return lambda _: int(get_users.sync_detailed(client=client).status_code)


def main() -> None:
    """Call the API by each library."""
    for way in (by_openai, by_generated_client):
        with (
            keyturn.testing.Emulator() as emulator,
            keyturn.connect(
                "orocommerce",
                store=keyturn.stores.from_url("memory://"),
                **emulator.settings("orocommerce"),
            ) as connection,
            ThreadPoolExecutor(8) as pool,
        ):
            call = way(connection)
            for _ in range(2):
                statuses = sorted(set(pool.map(call, range(8))))
                print(way.__name__, *statuses, emulator.token_requests("orocommerce"))
                emulator.revoke_tokens("orocommerce")


if __name__ == "__main__":
    main()
