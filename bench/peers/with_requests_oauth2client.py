"""requests_oauth2client: an authentication class for requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from requests_oauth2client import OAuth2Client, OAuth2ClientCredentialsAuth

from bench.peers._clients import requests_requests
from bench.peers._credentials import CLIENT_ID, CLIENT_SECRET, SCOPE
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from bench.peers._apis import Api
    from bench.peers._peer import Call, Endpoint, Requests


def credentials(endpoint: Endpoint) -> Any:
    """Return the authentication of one account; `testing` allows plain http."""
    client = OAuth2Client(
        token_endpoint=endpoint.token_url, auth=(CLIENT_ID, CLIENT_SECRET), testing=True
    )
    return OAuth2ClientCredentialsAuth(client, scope=SCOPE)


class RequestsOauth2client(Peer):
    """requests_oauth2client."""

    def sync(self, endpoint: Endpoint) -> Call:
        """Return what `OAuth2ClientCredentialsAuth.__call__` does for its token."""
        auth = credentials(endpoint)

        def token() -> Any:
            if auth.token is None or auth.token.is_expired(auth.leeway):
                auth.renew_token()
            return auth.token

        return token

    def session(self, endpoint: Endpoint, api: Api) -> Requests:
        """Return requests with `OAuth2ClientCredentialsAuth`, and with a static header."""
        session = requests.Session()
        session.auth = credentials(endpoint)
        return requests_requests(api, session)

    def access_token(self, result: Any) -> str:
        """Return the access token."""
        return str(result.access_token)


PEER = RequestsOauth2client()
