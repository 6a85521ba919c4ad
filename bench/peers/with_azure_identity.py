"""azure-identity: a credential object with a transport to the server.

It requires https; the transport, which it accepts as an argument, sends the request by http.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.core.pipeline.transport import AsyncioRequestsTransport, RequestsTransport
from azure.identity import ClientSecretCredential, TokenCachePersistenceOptions
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential

from bench.peers._credentials import CLIENT_ID, CLIENT_SECRET, SCOPE
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers._peer import AsyncCall, Call, Endpoint


class PlainHttp(RequestsTransport):  # type: ignore[misc]
    """A transport that sends https requests by http."""

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a request."""
        request.url = request.url.replace("https://", "http://")
        return super().send(request, **kwargs)


class AsyncPlainHttp(AsyncioRequestsTransport):  # type: ignore[misc]
    """The same without blocking."""

    async def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a request."""
        request.url = request.url.replace("https://", "http://")
        return await super().send(request, **kwargs)


def settings(endpoint: Endpoint) -> dict[str, Any]:
    """Return the common arguments of all credentials."""
    return {
        "tenant_id": endpoint.path,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "authority": f"https://{endpoint.address}",
        "disable_instance_discovery": True,
    }


class AzureIdentity(Peer):
    """azure-identity."""

    def sync(self, endpoint: Endpoint) -> Call:
        """Return `ClientSecretCredential.get_token`."""
        credential = ClientSecretCredential(**settings(endpoint), transport=PlainHttp())
        return lambda: credential.get_token(SCOPE)

    def asynchronous(self, endpoint: Endpoint) -> AsyncCall:
        """Return `get_token` of the asynchronous credential."""
        credential = AsyncClientSecretCredential(**settings(endpoint), transport=AsyncPlainHttp())
        return lambda: credential.get_token(SCOPE)

    def on_disk(self, endpoint: Endpoint, directory: Path) -> Call:
        """Return the same with its persistent cache, which lives in the home directory."""
        credential = ClientSecretCredential(
            **settings(endpoint),
            transport=PlainHttp(),
            cache_persistence_options=TokenCachePersistenceOptions(
                name=directory.name, allow_unencrypted_storage=True
            ),
        )
        return lambda: credential.get_token(SCOPE)

    def access_token(self, result: Any) -> str:
        """Return the access token."""
        return str(result.token)


PEER = AzureIdentity()
