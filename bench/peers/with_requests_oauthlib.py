"""requests-oauthlib: a session that reports an expired token; its user renews it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oauthlib.oauth2 import BackendApplicationClient, TokenExpiredError
from requests_oauthlib import OAuth2Session

from bench.peers._clients import requests_requests
from bench.peers._credentials import CLIENT_ID, CLIENT_SECRET, SCOPE
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from bench.peers._apis import Api
    from bench.peers._peer import Call, Endpoint, Requests

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the server speaks plain http


def fetch(session: OAuth2Session, endpoint: Endpoint) -> None:
    """Fetch a token for a session."""
    session.fetch_token(endpoint.token_url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)


class RequestsOauthlib(Peer):
    """requests-oauthlib."""

    def sync(self, endpoint: Endpoint) -> Call:
        """Return what `OAuth2Session.request` does before it sends, and the usual renewal."""
        client = BackendApplicationClient(CLIENT_ID, scope=SCOPE)
        session = OAuth2Session(client=client)

        def token() -> str:
            if not session.authorized:
                fetch(session, endpoint)
            try:
                _, headers, _ = client.add_token(endpoint.api_url, http_method="GET", headers={})
            except TokenExpiredError:
                fetch(session, endpoint)
                _, headers, _ = client.add_token(endpoint.api_url, http_method="GET", headers={})
            return headers["Authorization"]  # type: ignore[no-any-return]

        return token

    def session(self, endpoint: Endpoint, api: Api) -> Requests:
        """Return requests of `OAuth2Session`, and of `requests.Session`."""
        session = OAuth2Session(client=BackendApplicationClient(CLIENT_ID, scope=SCOPE))
        fetch(session, endpoint)
        return requests_requests(api, session)

    def access_token(self, result: str) -> str:
        """Return the access token of the header."""
        return result.removeprefix("Bearer ")


PEER = RequestsOauthlib()
