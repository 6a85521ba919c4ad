"""authlib: its httpx clients, which fetch a first token and renew it by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client

from bench.peers._clients import async_httpx_requests, httpx_requests, instant_transport
from bench.peers._credentials import CLIENT_ID, CLIENT_SECRET, SCOPE
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from bench.peers._apis import Api
    from bench.peers._peer import AsyncCall, AsyncRequests, Call, Endpoint, Requests

GRANT = "client_credentials"
LONG_LIVED = {"access_token": "made-up", "token_type": "Bearer", "expires_in": 3600}


def settings(endpoint: Endpoint) -> dict[str, Any]:
    """Return the common arguments of both clients."""
    return {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "scope": SCOPE,
        "token_endpoint": endpoint.token_url,
        "grant_type": GRANT,
    }


class Authlib(Peer):
    """authlib."""

    def sync(self, endpoint: Endpoint) -> Call:
        """Return what `OAuth2Client.request` does before it sends."""
        client = OAuth2Client(**settings(endpoint))

        def token() -> dict[str, Any]:
            if not client.token:
                client.fetch_token(endpoint.token_url, grant_type=GRANT)
            client.ensure_active_token(client.token)
            return client.token  # type: ignore[no-any-return]

        return token

    def asynchronous(self, endpoint: Endpoint) -> AsyncCall:
        """Return what `AsyncOAuth2Client.request` does before it sends."""
        client = AsyncOAuth2Client(**settings(endpoint))

        async def token() -> dict[str, Any]:
            if not client.token:
                await client.fetch_token(endpoint.token_url, grant_type=GRANT)
            await client.ensure_active_token(client.token)
            return client.token  # type: ignore[no-any-return]

        return token

    def session(self, endpoint: Endpoint, api: Api) -> Requests:
        """Return requests of `OAuth2Client`."""
        return httpx_requests(api, OAuth2Client(**_options(endpoint, api)))

    def async_session(self, endpoint: Endpoint, api: Api) -> AsyncRequests:
        """Return requests of `AsyncOAuth2Client`."""
        return async_httpx_requests(api, AsyncOAuth2Client(**_options(endpoint, api)))

    def access_token(self, result: dict[str, Any]) -> str:
        """Return the access token."""
        return str(result["access_token"])


def _options(endpoint: Endpoint, api: Api) -> dict[str, Any]:
    """Return the arguments of a client that has a token and the API's headers."""
    return {
        **settings(endpoint),
        "token": LONG_LIVED,
        "transport": instant_transport(),
        "headers": api.headers,
    }


PEER = Authlib()
