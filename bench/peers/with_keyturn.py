"""keyturn: a connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import keyturn
from bench.peers._clients import async_httpx_calls, httpx_calls
from bench.peers._peer import CLIENT_ID, CLIENT_SECRET, SCOPE, Peer, main

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.peers._peer import AsyncCall, Call, Endpoint


def connection(
    endpoint: Endpoint,
    store: str | keyturn.stores.TokenStore = "memory://",
    client_id: str = CLIENT_ID,
) -> keyturn.Connection:
    """Return a connection by the provider that declares the endpoint's rate_limit, or declares none."""
    settings: dict[str, Any] = {
        "token_url": endpoint.token_url,
        "api_url": endpoint.api_url,
        "client_id": client_id,
        "client_secret": CLIENT_SECRET,
        "store": store,
    }
    if endpoint.rationed:
        return keyturn.connect("norce-storm", scope=SCOPE, **settings)
    return keyturn.connect("orocommerce", url=endpoint.url, **settings)


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

    def session(self, endpoint: Endpoint) -> tuple[Call, Call]:
        """Return requests with `KeyturnAuth`, and with a static header.

        The provider is one that needs no header of its own, as with everybody else.
        """
        return httpx_calls(endpoint, self._auth(endpoint))

    def async_session(self, endpoint: Endpoint) -> tuple[AsyncCall, AsyncCall]:
        """Return the same as `session`, for `httpx.AsyncClient`."""
        return async_httpx_calls(endpoint, self._auth(endpoint))

    def many(self, endpoint: Endpoint, count: int) -> Sequence[keyturn.Connection]:
        """Return connections that hold a token each, out of one store that had them already."""
        from keyturn._token import to_entry

        store = keyturn.stores.from_url("memory://")
        now = time.time()
        token = keyturn.Token("made-up-token", "Bearer", now + 86_400, issued_at=now)
        connections = []
        for number in range(count):
            each = connection(endpoint, store, f"client-{number}")
            fingerprint = each.token_request().fingerprint
            store.write(fingerprint, to_entry(token, fingerprint), token.expires_at)
            each.token()
            connections.append(each)
        return connections

    def access_token(self, result: keyturn.Token) -> str:
        """Return the access token."""
        return result.access_token

    def _auth(self, endpoint: Endpoint) -> keyturn.integrations.httpx.KeyturnAuth:
        return keyturn.integrations.httpx.KeyturnAuth(connection(endpoint._replace(rationed=True)))


if __name__ == "__main__":
    main(Keyturn())
