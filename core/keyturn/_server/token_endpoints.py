"""Endpoints that return a token, for gateways, libraries and tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from keyturn import errors
from keyturn._server import token_shapes
from keyturn._server.connections import headers_alone, usable_token
from keyturn._server.responses import PRIVATE, body_of, failure_status, not_found, problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from keyturn._connection import Connection
    from keyturn._server.connections import ServedConnections
    from keyturn._token import Token

_REFUSED_HEADER = "x-keyturn-refused"
_FLAVOR = {"metadata-flavor": "Google"}
_ACCOUNT = "computeMetadata/v1/instance/service-accounts/default"


class TokenEndpoints:
    """The endpoints below `/-/` that return a token of one connection.

    Args:
        connections: The connections.
    """

    def __init__(self, connections: ServedConnections) -> None:
        self._connections = connections

    async def token(self, request: Request) -> Response:
        """Return the token as plain JSON."""
        _, token = await self._token(request, request.headers.get(_REFUSED_HEADER))
        return _json(token_shapes.plain(token))

    async def refused(self, request: Request) -> Response:
        """Renew a token that the API refused, if it is still the current one."""
        named = request.headers.get(_REFUSED_HEADER) or (await body_of(request)).decode("latin-1")
        if not named.strip():
            reason = f"the refused token must be in the body, or in the header {_REFUSED_HEADER}."
            return problem(400, reason)
        _, token = await self._token(request, named)
        return _json(token_shapes.plain(token))

    async def exec_credential(self, request: Request) -> Response:
        """Return the token in kubectl's format."""
        _, token = await self._token(request)
        return _json(token_shapes.exec_credential(token))

    async def credential_helper(self, request: Request) -> Response:
        """Return the headers of an API request in Bazel's format."""
        _, connection, auth = await self._connections.open(request.path_params["name"])
        try:
            uri = json.loads(await body_of(request))["uri"]
        except (ValueError, LookupError, TypeError, RecursionError):
            uri = None
        if not isinstance(uri, str):
            reason = 'the body must be a JSON object such as {"uri": "https://api.example/"}.'
            return problem(400, reason)
        try:
            sent = await auth.aauthorize("GET", uri, {})
        except errors.ForeignOrigin as error:
            return problem(403, str(error), {"x-keyturn-error": "ForeignOrigin"})
        return _json(token_shapes.credential_helper(sent.token, await headers_alone(connection)))

    async def azure(self, request: Request) -> Response:
        """Return the token in the format of Azure App Service's identity endpoint.

        The path, else the parameter `client_id`, else `resource` names the connection.
        """
        query = request.query_params
        resource = query.get("resource", "")
        name = request.path_params.get("name") or query.get("client_id") or resource
        refused = query.get("token_sha256_to_refresh")
        try:
            _, connection, _ = await self._connections.open(name)
            token = await usable_token(connection, refused)
        except errors.KeyturnError as error:
            status = failure_status(error)
            return _json({"statusCode": status, "message": str(error)}, status)
        return _json(token_shapes.azure(token, resource, name))

    async def google(self, request: Request) -> Response:
        """Return the token and other data like Google's metadata server."""
        name, path = request.path_params["name"], request.path_params.get("path", "").rstrip("/")
        if request.headers.get("metadata-flavor") != "Google":
            return problem(403, "the header Metadata-Flavor must be Google.")
        self._connections.find(name)
        if path == f"{_ACCOUNT}/token":
            _, token = await self._token(request)
            return _json(token_shapes.google(token), headers=_FLAVOR)
        if path == _ACCOUNT:
            account = {"aliases": ["default"], "email": "default", "scopes": []}
            return _json(account, headers=_FLAVOR)
        if not path:  # a library detects a metadata server by this header
            return Response(headers=_FLAVOR)
        return not_found()

    async def _token(
        self, request: Request, refused: str | None = None
    ) -> tuple[Connection, Token]:
        _, connection, _ = await self._connections.open(request.path_params["name"])
        return connection, await usable_token(connection, refused)


class ForwardAuth:
    """The endpoint that gateways call before they forward a request, with any method.

    nginx (`auth_request`), Traefik (`forwardAuth`) and Envoy (`ext_authz`) copy the headers of its
    response, which has the status 200, to the request for the API.

    Args:
        connections: The connections.
    """

    def __init__(self, connections: ServedConnections) -> None:
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with the headers that an API request needs."""
        _, connection, _ = await self._connections.open(scope["path_params"]["name"])
        given: Mapping[bytes, bytes] = dict(scope["headers"])
        refused = given.get(_REFUSED_HEADER.encode())
        await usable_token(connection, refused.decode("latin-1") if refused else None)
        headers = await headers_alone(connection)
        await Response(headers={**PRIVATE, **headers})(scope, receive, send)


def _json(
    content: token_shapes.Shape, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    return JSONResponse(content, status, {**PRIVATE, **(headers or {})})
