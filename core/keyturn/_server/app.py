"""The ASGI application of `keyturn serve`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.routing import Route, Router

from keyturn import errors
from keyturn._server.api_response import ResponseCut
from keyturn._server.responses import ClientGone, NotServed, TooLarge, failure, not_found, problem
from keyturn._server.token_endpoints import ForwardAuth, TokenEndpoints

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from keyturn._server.connections import ServedConnections
    from keyturn._server.metrics import Metrics
    from keyturn._server.reverse_proxy import ReverseProxy
    from keyturn._server.status_page import StatusPage

_logger = logging.getLogger("keyturn.server")


class App:
    """Dispatches requests.

    `/` is the status page, `/metrics` the metrics, `/-/…` are the agent's own endpoints (no
    connection's name begins with a hyphen), and `/{connection}/…` is the API.

    Args:
        connections: The connections.
        proxy: Responds to requests for an API.
        page: The status page.
        metrics: The metrics.
    """

    def __init__(
        self,
        connections: ServedConnections,
        proxy: ReverseProxy,
        page: StatusPage,
        metrics: Metrics,
    ) -> None:
        self._proxy = proxy
        tokens = TokenEndpoints(connections)
        forward_auth = ForwardAuth(connections)
        get, post = ["GET"], ["POST"]
        self._router = Router(
            [
                Route("/", page.show, methods=get),
                Route("/-/do", page.act, methods=post),
                Route("/metrics", metrics.show, methods=get),
                Route("/-/token/{name}", tokens.token, methods=get),
                Route("/-/refused/{name}", tokens.refused, methods=post),
                Route("/-/auth/{name}", forward_auth),
                Route("/-/auth/{name}/{path:path}", forward_auth),
                Route("/-/azure", tokens.azure, methods=get),
                Route("/-/azure/{name}", tokens.azure, methods=get),
                Route("/-/google/{name}", tokens.google, methods=get),
                Route("/-/google/{name}/{path:path}", tokens.google, methods=get),
                Route("/-/exec-credential/{name}", tokens.exec_credential, methods=get),
                Route("/-/credential-helper/{name}", tokens.credential_helper, methods=post),
            ],
            redirect_slashes=False,
            default=not_found(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request; a failure becomes a response."""
        response: Response
        try:
            await self._respond(scope, receive, send)
        except NotServed:
            response = not_found()
        except TooLarge as error:
            response = problem(413, f"the body must have at most {error.most} bytes.")
        except errors.KeyturnError as error:
            response = failure(error)
        except ClientGone:
            _logger.debug("a client closed its connection")
            response = problem(408, "the body of the request did not arrive in time.")
        except ResponseCut:
            raise  # the server ends the connection
        except Exception as error:
            # The server responds with 500, or ends the connection.
            message = "unexpected %s; this is a bug, please report it"
            _logger.error(message, type(error).__name__)  # noqa: TRY400 - it may have a secret
            raise
        else:
            return
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        segment, slash, rest = scope["raw_path"][1:].partition(b"/")
        if segment and segment != b"-" and slash:
            query = scope["query_string"]
            target = b"/" + rest + (b"?" + query if query else b"")
            await self._proxy(unquote(segment.decode("latin-1")), target, scope, receive, send)
        else:
            await self._router(scope, receive, send)
