"""httpx-auth: an authentication class for httpx, with one token cache for the whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx_auth

from bench.peers._clients import async_httpx_requests, httpx_requests, instant_transport
from bench.peers._credentials import CLIENT_ID, CLIENT_SECRET, SCOPE
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers._apis import Api
    from bench.peers._peer import AsyncCall, AsyncRequests, Call, Endpoint, Requests


def credentials(endpoint: Endpoint) -> httpx_auth.OAuth2ClientCredentials:
    """Return the authentication of one account."""
    return httpx_auth.OAuth2ClientCredentials(
        endpoint.token_url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, scope=SCOPE
    )


class HttpxAuth(Peer):
    """httpx-auth."""

    def sync(self, endpoint: Endpoint) -> Call:
        """Return what `OAuth2ClientCredentials.auth_flow` does for its token."""
        auth = credentials(endpoint)

        def token() -> str:
            return httpx_auth.OAuth2.token_cache.get_token(  # type: ignore[no-any-return]
                auth.state,
                early_expiry=auth.early_expiry,
                on_missing_token=auth.request_new_token,
                on_expired_token=auth.refresh_token,
            )

        return token

    def asynchronous(self, endpoint: Endpoint) -> AsyncCall:
        """Return the same: within `httpx.AsyncClient` it blocks the event loop."""
        token = self.sync(endpoint)

        async def atoken() -> str:
            return token()  # type: ignore[no-any-return]

        return atoken

    def on_disk(self, endpoint: Endpoint, directory: Path) -> Call:
        """Return the same with its cache in a file."""
        httpx_auth.OAuth2.token_cache = httpx_auth.JsonTokenFileCache(directory / "tokens.json")
        return self.sync(endpoint)

    def session(self, endpoint: Endpoint, api: Api) -> Requests:
        """Return requests with `OAuth2ClientCredentials`."""
        import httpx

        return httpx_requests(api, httpx.Client(**_options(endpoint, api)))

    def async_session(self, endpoint: Endpoint, api: Api) -> AsyncRequests:
        """Return the same as `session`, for `httpx.AsyncClient`."""
        import httpx

        return async_httpx_requests(api, httpx.AsyncClient(**_options(endpoint, api)))


def _options(endpoint: Endpoint, api: Api) -> dict[str, Any]:
    return {
        "transport": instant_transport(),
        "auth": credentials(endpoint),
        "headers": api.headers,
    }


PEER = HttpxAuth()
