"""msal: an application object with a token cache.

It requires https; the HTTP client, which it accepts as an argument, sends the request by http.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msal
import requests

from bench.peers._credentials import CLIENT_ID, CLIENT_SECRET, SCOPE
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from pathlib import Path

    from bench.peers._peer import Call, Endpoint


class PlainHttp(requests.Session):
    """A session that sends https requests by http."""

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> Any:
        """Send a request."""
        return super().request(method, str(url).replace("https://", "http://"), *args, **kwargs)


def application(
    endpoint: Endpoint, cache: msal.TokenCache | None = None
) -> msal.ConfidentialClientApplication:
    """Return the application of one account."""
    return msal.ConfidentialClientApplication(
        CLIENT_ID,
        client_credential=CLIENT_SECRET,
        authority=f"https://{endpoint.address}/{endpoint.path}",
        instance_discovery=False,
        http_client=PlainHttp(),
        token_cache=cache,
    )


class Msal(Peer):
    """msal."""

    def sync(self, endpoint: Endpoint) -> Call:
        """Return `acquire_token_for_client`."""
        client = application(endpoint)
        return lambda: client.acquire_token_for_client([SCOPE])

    def on_disk(self, endpoint: Endpoint, directory: Path) -> Call:
        """Return the same with a serialized cache, as its documentation shows it."""
        path, cache = directory / "msal.json", msal.SerializableTokenCache()
        if path.exists():
            cache.deserialize(path.read_text())
        client = application(endpoint, cache)

        def token() -> Any:
            result = client.acquire_token_for_client([SCOPE])
            if cache.has_state_changed:
                path.write_text(cache.serialize())
            return result

        return token

    def access_token(self, result: dict[str, Any]) -> str:
        """Return the access token."""
        return str(result["access_token"])


PEER = Msal()
