"""An API of several kinds that accepts the same tokens as the emulator's own API."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from mcp.server import MCPServer
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

shop = MCPServer("shop")


@shop.tool()
def users() -> str:
    """Return the users of the shop."""
    return "200"


async def graphql(_: object) -> Response:
    """Respond to a query."""
    return JSONResponse({"data": {"users": "200"}})


async def rest(_: object) -> Response:
    """Respond to a request."""
    return JSONResponse({"data": []})


class Guarded:
    """Forwards a request if the emulator's API accepts its token.

    Args:
        app: The application.
        api: The URL of a resource with which the token is checked.
    """

    def __init__(self, app: Any, api: str) -> None:
        self._app, self._api = app, api
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond; with the emulator's own 401 if it rejects the token."""
        if scope["type"] == "http":
            given = {name.decode(): value.decode() for name, value in scope["headers"]}
            sent = {name: given[name] for name in ("authorization",) if name in given}
            sent["accept"] = "application/vnd.api+json"
            tried = await self._client.get(self._api, headers=sent)
            if tried.status_code != 200:
                kind = tried.headers.get("content-type")
                response = Response(tried.content, tried.status_code, media_type=kind)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application in a thread; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def serving_api(api: str) -> Iterator[str]:
    """Serve REST, GraphQL and MCP; yield the address.

    Args:
        api: The URL of a resource of the emulator.
    """
    app = shop.streamable_http_app()
    app.routes.extend([Route("/graphql", graphql, methods=["POST"]), Route("/users", rest)])
    with serving(Guarded(app, api)) as url:
        yield url
