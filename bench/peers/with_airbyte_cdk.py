"""airbyte-cdk: the authenticator of its HTTP streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from airbyte_cdk.sources.streams.http.requests_native_auth import Oauth2Authenticator

from bench.peers._clients import requests_requests
from bench.peers._credentials import CLIENT_ID, CLIENT_SECRET, SCOPE
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from bench.peers._apis import Api
    from bench.peers._peer import Call, Endpoint, Requests


def credentials(endpoint: Endpoint) -> Any:
    """Return the authenticator of one account."""
    return Oauth2Authenticator(
        token_refresh_endpoint=endpoint.token_url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        refresh_token="",
        scopes=[SCOPE],
        grant_type="client_credentials",
    )


class AirbyteCdk(Peer):
    """airbyte-cdk."""

    def sync(self, endpoint: Endpoint) -> Call:
        """Return `get_access_token`."""
        return credentials(endpoint).get_access_token  # type: ignore[no-any-return]

    def session(self, endpoint: Endpoint, api: Api) -> Requests:
        """Return requests with the authenticator, and with a static header."""
        session = requests.Session()
        session.auth = credentials(endpoint)
        return requests_requests(api, session)


PEER = AirbyteCdk()
