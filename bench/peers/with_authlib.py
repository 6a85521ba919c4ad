"""authlib: its httpx clients, which fetch a first token and renew it by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client

from bench.peers._clients import STATIC, instant_transport
from bench.peers._peer import CLIENT_ID, CLIENT_SECRET, SCOPE, Peer, main

if TYPE_CHECKING:
    from bench.peers._peer import AsyncCall, Call, Endpoint

GRANT = "client_credentials"
LONG_LIVED = {"access_token": "made-up", "token_type": "Bearer", "expires_in": 3600}


def settings(endpoint: Endpoint) -> dict[str, Any]:
    """Return what both clients take."""
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

    def session(self, endpoint: Endpoint) -> tuple[Call, Call]:
        """Return requests of `OAuth2Client`, and of `httpx.Client`."""
        import httpx

        transport, url = instant_transport(), endpoint.api_url
        client = OAuth2Client(**settings(endpoint), token=LONG_LIVED, transport=transport)
        static = httpx.Client(transport=transport, headers=STATIC)
        return lambda: client.get(url), lambda: static.get(url)

    def async_session(self, endpoint: Endpoint) -> tuple[AsyncCall, AsyncCall]:
        """Return requests of `AsyncOAuth2Client`, and of `httpx.AsyncClient`."""
        import httpx

        transport, url = instant_transport(), endpoint.api_url
        client = AsyncOAuth2Client(**settings(endpoint), token=LONG_LIVED, transport=transport)
        static = httpx.AsyncClient(transport=transport, headers=STATIC)
        return lambda: client.get(url), lambda: static.get(url)

    def access_token(self, result: dict[str, Any]) -> str:
        """Return the access token."""
        return str(result["access_token"])


if __name__ == "__main__":
    main(Authlib())
