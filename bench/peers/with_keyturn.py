"""keyturn: a connection."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import keyturn
from bench.peers._apis import APIS
from bench.peers._clients import async_httpx_requests, httpx_requests, instant_transport
from bench.peers._credentials import CLIENT_ID, CLIENT_SECRET
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.peers._apis import Api
    from bench.peers._peer import AsyncCall, AsyncRequests, Call, Endpoint, Requests


_TENANTS = keyturn.stores.from_url("memory://")


def connection(
    endpoint: Endpoint,
    store: str | keyturn.stores.TokenStore = "memory://",
    client_id: str = CLIENT_ID,
    api: Api | None = None,
    **options: Any,
) -> keyturn.Connection:
    """Return a connection; by default to a provider that declares the endpoint's rate limit."""
    chosen = api or APIS["norce-storm" if endpoint.rate_limited else "orocommerce"]
    settings: dict[str, Any] = {
        "token_url": endpoint.token_url,
        "client_id": client_id,
        "client_secret": CLIENT_SECRET,
        **chosen.settings,
        **options,
    }
    return keyturn.connect(chosen.provider, store=store, **settings)


class Keyturn(Peer):
    """keyturn."""

    def sync(self, endpoint: Endpoint) -> Call:
        """Return `Connection.token`."""
        return connection(endpoint).token

    def asynchronous(self, endpoint: Endpoint) -> AsyncCall:
        """Return `Connection.atoken`."""
        return connection(endpoint).atoken

    def on_disk(self, endpoint: Endpoint, directory: Path) -> Call:
        """Return `Connection.token` of a connection with a disk store."""
        return connection(endpoint, f"disk://{directory / 'keyturn'}").token

    def session(self, endpoint: Endpoint, api: Api) -> Requests:
        """Return requests with `KeyturnAuth`, which adds the provider's headers too."""
        import httpx

        auth = self._auth(endpoint, api)
        return httpx_requests(api, httpx.Client(transport=instant_transport(), auth=auth))

    def async_session(self, endpoint: Endpoint, api: Api) -> AsyncRequests:
        """Return the same as `session`, for `httpx.AsyncClient`."""
        import httpx

        auth = self._auth(endpoint, api)
        client = httpx.AsyncClient(transport=instant_transport(), auth=auth)
        return async_httpx_requests(api, client)

    def many(self, endpoint: Endpoint, count: int) -> Sequence[keyturn.Connection]:
        """Return connections that have found the one token of a store."""
        store = keyturn.stores.from_url("memory://")
        connections = [connection(endpoint, store) for _ in range(count)]
        for each in connections:
            each.token()
        return connections

    def cold(self, endpoint: Endpoint, api: Api, count: int) -> Sequence[Call]:
        """Return `Connection.token` of connections whose store has been used by another."""
        store = keyturn.stores.from_url("memory://")
        # Events go to a function and to plugins, where `connect` has both.
        listen = {"on_event": id} if "on_event" in signature(keyturn.connect).parameters else {}
        connection(endpoint, store, "another", api, **listen).token()
        names = (f"client-{number}" for number in range(count))
        return [connection(endpoint, store, name, api, **listen).token for name in names]

    def tenant(self, url: str, number: int, authority: str) -> keyturn.Connection:
        """Return a connection; all share one store."""
        return keyturn.connect(
            "orocommerce",
            {"url": url, "client_id": f"client-{number}", "client_secret": CLIENT_SECRET},
            store=_TENANTS,
            tls=authority,
        )

    def open_tenants(self, number: int) -> keyturn.Connections:
        """Return connections of so many ids, each with its own host."""
        connections = keyturn.Connections(store=_TENANTS)
        for each in range(number):
            form = {"url": f"https://shop-{each}.example", "client_id": f"c-{each}"}
            connections.open(f"tenant-{each}", "orocommerce", form | {"client_secret": "x" * 24})
        return connections

    def access_token(self, result: keyturn.Token) -> str:
        """Return the access token."""
        return result.access_token

    def _auth(self, endpoint: Endpoint, api: Api) -> keyturn.integrations.httpx.KeyturnAuth:
        """Return an adapter; it must send exactly what the static requests send.

        Raises:
            ValueError: It sends other headers.
        """
        found = connection(endpoint, api=api)
        names = found.headers().keys()
        if names != {"Authorization", *api.headers}:
            raise ValueError(f"{api.provider} sends {sorted(names)}")
        return keyturn.integrations.httpx.KeyturnAuth(found)


PEER = Keyturn()
