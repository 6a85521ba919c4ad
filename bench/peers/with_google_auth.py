"""google-auth: a service account, its closest equivalent of client credentials.

It signs a JWT for each token request (RFC 7523) instead of sending a secret; the server takes both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.crypt import RSASigner
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.service_account import Credentials

from bench.peers._clients import requests_requests
from bench.peers._credentials import CLIENT_ID, SCOPE
from bench.peers._peer import Peer

if TYPE_CHECKING:
    from bench.peers._apis import Api
    from bench.peers._peer import Call, Endpoint, Requests


def credentials(endpoint: Endpoint) -> Any:
    """Return the credentials of one account."""
    signer = RSASigner(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return Credentials(signer, CLIENT_ID, endpoint.token_url, scopes=[SCOPE])


class GoogleAuth(Peer):
    """google-auth."""

    def sync(self, endpoint: Endpoint) -> Call:
        """Return `before_request`, which every client of the library calls."""
        account, request = credentials(endpoint), Request()

        def token() -> str:
            account.before_request(request, "GET", endpoint.api_url, {})
            return account.token  # type: ignore[no-any-return]

        return token

    def session(self, endpoint: Endpoint, api: Api) -> Requests:
        """Return requests of `AuthorizedSession`, and of `requests.Session`."""
        return requests_requests(api, AuthorizedSession(credentials(endpoint)))


PEER = GoogleAuth()
