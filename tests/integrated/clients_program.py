"""Calls an API with each client library, eight calls at a time, and revokes tokens between.

For each, it prints a JSON object. The generated client `shop_client` is found by PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import inspect
import json
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import aiohttp
import fastapi
import gql
import httpx
import httpx2
import mcp
import openai
import requests
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.httpx import HTTPXTransport
from gql.transport.requests import RequestsHTTPTransport
from mcp.client.streamable_http import streamable_http_client
from shop_client import Client
from shop_client.api.default import get_users
from tests.integrated.clients_server import serving, serving_api

from keyturn.integrations.aiohttp import KeyturnAuth as AiohttpAuth
from keyturn.integrations.httpx import KeyturnAuth as HttpxAuth
from keyturn.integrations.httpx2 import KeyturnAuth as Httpx2Auth
from keyturn.integrations.requests import KeyturnAuth as RequestsAuth
from keyturn.integrations.urllib3 import KeyturnPoolManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Report = Callable[[list[str]], None]

CALLS = 8
# Seconds; long enough for a busy machine.
TIMEOUT = 60
CONTROL = httpx.Client(timeout=TIMEOUT, trust_env=False)
QUERY = gql.gql("{ users }")
# Marks a line of the user's code that only keyturn needs.
MARK = "# for keyturn"


def in_threads(call: Callable[[], Any], report: Report) -> None:
    """Call in eight threads, twice."""
    with ThreadPoolExecutor(CALLS) as pool:
        for _ in range(2):
            report([str(each) for each in pool.map(lambda _: call(), range(CALLS))])


def in_tasks(session: Callable[[], Any], report: Report) -> None:
    """Call in eight tasks, twice.

    Args:
        session: Returns an async context manager of a coroutine function that calls the API.
        report: Is called with the results of the calls.
    """

    async def talk() -> None:
        async with session() as call:
            for _ in range(2):
                responses = await asyncio.gather(*(call() for _ in range(CALLS)))
                report([str(each) for each in responses])

    asyncio.run(talk())


def by_requests(api: str, report: Report) -> None:
    """`session.auth` of requests."""
    session = requests.Session()
    session.auth = RequestsAuth("shop")  # for keyturn
    in_threads(lambda: session.get(f"{api}/users", timeout=TIMEOUT).status_code, report)


def by_httpx(api: str, report: Report) -> None:
    """`auth` of httpx."""
    client = httpx.Client(auth=HttpxAuth("shop"), timeout=TIMEOUT)  # for keyturn
    in_threads(lambda: client.get(f"{api}/users").status_code, report)


def by_httpx2(api: str, report: Report) -> None:
    """`auth` of httpx2."""

    @asynccontextmanager
    async def session() -> AsyncIterator[Any]:
        auth = Httpx2Auth("shop")  # for keyturn
        async with httpx2.AsyncClient(auth=auth, timeout=TIMEOUT) as client:

            async def call() -> int:
                return (await client.get(f"{api}/users")).status_code

            yield call

    in_tasks(session, report)


def by_aiohttp(api: str, report: Report) -> None:
    """`middlewares` of aiohttp."""

    @asynccontextmanager
    async def session() -> AsyncIterator[Any]:
        auth = AiohttpAuth("shop")  # for keyturn
        async with aiohttp.ClientSession(middlewares=[auth]) as client:

            async def call() -> int:
                async with client.get(f"{api}/users") as response:
                    return response.status

            yield call

    in_tasks(session, report)


def by_urllib3(api: str, report: Report) -> None:
    """`PoolManager` of urllib3."""
    http = KeyturnPoolManager("shop", maxsize=CALLS)  # for keyturn
    in_threads(lambda: http.request("GET", f"{api}/users").status, report)


def by_openai(api: str, report: Report) -> None:
    """`http_client` of openai."""
    client = openai.OpenAI(
        base_url=api,
        api_key="unused",
        http_client=httpx2.Client(auth=Httpx2Auth("shop"), timeout=TIMEOUT),  # for keyturn
        max_retries=0,
    )
    in_threads(lambda: client.get("/users", cast_to=httpx2.Response).status_code, report)


def by_openapi_python_client(api: str, report: Report) -> None:
    """`httpx_args` of openapi-python-client."""
    client = Client(
        api,
        timeout=httpx.Timeout(TIMEOUT),
        httpx_args={"auth": HttpxAuth("shop")},  # for keyturn
    )
    client.get_httpx_client()
    in_threads(lambda: int(get_users.sync_detailed(client=client).status_code), report)


def by_gql_requests(api: str, report: Report) -> None:
    """`auth` of `RequestsHTTPTransport` of gql."""

    def call() -> str:
        transport = RequestsHTTPTransport(
            f"{api}/graphql",
            auth=RequestsAuth("shop"),  # for keyturn
        )
        with gql.Client(transport=transport) as session:
            return str(session.execute(QUERY)["users"])

    in_threads(call, report)


def by_gql_httpx(api: str, report: Report) -> None:
    """`auth` of `HTTPXTransport` of gql."""

    def call() -> str:
        transport = HTTPXTransport(
            f"{api}/graphql",
            auth=Httpx2Auth("shop"),  # for keyturn
            timeout=TIMEOUT,
        )
        with gql.Client(transport=transport) as session:
            return str(session.execute(QUERY)["users"])

    in_threads(call, report)


def by_gql_aiohttp(api: str, report: Report) -> None:
    """`client_session_args` of `AIOHTTPTransport` of gql."""

    @asynccontextmanager
    async def session() -> AsyncIterator[Any]:
        transport = AIOHTTPTransport(
            f"{api}/graphql",
            client_session_args={"middlewares": [AiohttpAuth("shop")]},  # for keyturn
        )
        async with gql.Client(transport=transport) as client:

            async def call() -> str:
                return str((await client.execute(QUERY))["users"])

            yield call

    in_tasks(session, report)


def by_mcp(api: str, report: Report) -> None:
    """`http_client` of `streamable_http_client` of mcp."""

    @asynccontextmanager
    async def session() -> AsyncIterator[Any]:
        auth = Httpx2Auth("shop")  # for keyturn
        http_client = httpx2.AsyncClient(auth=auth, timeout=TIMEOUT)
        async with (
            streamable_http_client(f"{api}/mcp", http_client=http_client) as streams,
            mcp.ClientSession(*streams[:2]) as client,
        ):
            await client.initialize()

            async def call() -> str:
                return str((await client.call_tool("users")).content[0].text)

            yield call

    in_tasks(session, report)


def shop_of(request: fastapi.Request) -> Any:
    """Return the client that the application opened."""
    return request.app.state.shop


def by_fastapi(api: str, report: Report) -> None:
    """`lifespan` and `Depends` of FastAPI."""

    @asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        auth = HttpxAuth("shop")  # for keyturn
        async with httpx.AsyncClient(auth=auth, timeout=TIMEOUT) as app.state.shop:
            yield

    app = fastapi.FastAPI(lifespan=lifespan)

    @app.get("/users")
    async def users(client: Annotated[httpx.AsyncClient, fastapi.Depends(shop_of)]) -> int:
        return (await client.get(f"{api}/users")).status_code

    with serving(app) as url:
        in_threads(lambda: CONTROL.get(f"{url}/users").json(), report)
        for path in ("openapi.json", "docs"):
            sys.stderr.write(CONTROL.get(f"{url}/{path}").text)


WAYS = {
    by_requests: ("requests", "requests", "`session.auth`"),
    by_httpx: ("httpx", "httpx", "`Client(auth=…)`"),
    by_httpx2: ("httpx2", "httpx2", "`AsyncClient(auth=…)`"),
    by_aiohttp: ("aiohttp", "aiohttp", "`ClientSession(middlewares=…)`"),
    by_urllib3: ("urllib3", "urllib3", "`PoolManager`"),
    by_openai: ("openai", "openai", "`OpenAI(http_client=…)`"),
    by_openapi_python_client: (
        *("openapi-python-client", "openapi-python-client"),
        "`Client(httpx_args=…)`",
    ),
    by_gql_requests: ("gql with requests", "gql", "`RequestsHTTPTransport(auth=…)`"),
    by_gql_httpx: ("gql with httpx2", "gql", "`HTTPXTransport(auth=…)`"),
    by_gql_aiohttp: ("gql with aiohttp", "gql", "`AIOHTTPTransport(client_session_args=…)`"),
    by_mcp: ("MCP", "mcp", "`streamable_http_client(http_client=…)`"),
    by_fastapi: ("FastAPI", "fastapi", "`FastAPI(lifespan=…)`"),
}


def token_requests() -> int:
    """Return the number of token requests that the emulator has received."""
    counts = CONTROL.get(os.environ["SHOP_REVOKE"].replace("revoke-tokens", "counts")).json()
    return int(counts["token_requests"])


def end_round(rounds: list[dict[str, Any]], before: int, statuses: list[str]) -> None:
    """Record a library's responses and its number of token requests; revoke all tokens."""
    rounds.append({"statuses": statuses, "token_requests": token_requests() - before})
    CONTROL.post(os.environ["SHOP_REVOKE"])


def main() -> None:
    """Call the API with each library."""
    # mcp has configured logging, so it is configured again.
    logging.basicConfig(level=logging.DEBUG, force=True)
    with serving_api(f"{os.environ['SHOP_API']}/users") as url:
        # The connection's API is this server, which accepts the emulator's tokens.
        os.environ["KEYTURN_CONNECTIONS__SHOP__API_URL"] = url
        for way, (platform, distribution, extension_point) in WAYS.items():
            # A store of its own, because the store limits how often 401 responses renew a token.
            os.environ["KEYTURN_STORE"] = f"disk://{sys.argv[1]}/{way.__name__}"
            rounds: list[dict[str, Any]] = []
            way(url, functools.partial(end_round, rounds, token_requests()))
            result = {
                "platform": platform,
                "version": importlib.metadata.version(distribution),
                "extension_point": extension_point,
                "lines": inspect.getsource(way).count(MARK),
                "rounds": rounds,
            }
            sys.stdout.write(f"{json.dumps(result)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
