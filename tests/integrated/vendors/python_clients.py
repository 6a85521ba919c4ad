"""Requests a token of each account with a Python client, and calls the API with it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session

if TYPE_CHECKING:
    from collections.abc import Callable

Account = dict[str, Any]


def authlib(account: Account) -> tuple[str, int]:
    """Return a token, and the status of an API request."""
    method = "none" if account["public"] else "client_secret_post"
    client = AuthlibSession(
        account["client_id"],
        account["client_secret"],
        scope=account["scope"],
        token_endpoint_auth_method=method,
    )
    token = client.fetch_token(account["token_url"], grant_type="client_credentials")
    response = client.get(account["api"], headers=account["headers"])
    return token["access_token"], response.status_code


def requests_oauthlib(account: Account) -> tuple[str, int]:
    """Return a token, and the status of an API request."""
    client = BackendApplicationClient(account["client_id"], scope=account["scope"])
    session = OAuth2Session(client=client)
    secret = {} if account["public"] else {"client_secret": account["client_secret"]}
    token = session.fetch_token(account["token_url"], include_client_id=True, **secret)
    response = session.get(account["api"], headers=account["headers"])
    return token["access_token"], response.status_code


CLIENTS: dict[str, Callable[[Account], tuple[str, int]]] = {
    "authlib": authlib,
    "requests-oauthlib": requests_oauthlib,
}


def main() -> None:
    """Print the results of a client for each account."""
    use = CLIENTS[sys.argv[1]]
    shown: list[dict[str, Any]] = []
    for account in json.load(sys.stdin):
        token, status = use(account)
        wrong = "client_id" if account["public"] else "client_secret"
        error = None
        try:
            use({**account, wrong: "wrong"})
        except (AuthlibBaseError, OAuth2Error) as caught:
            error = f"{type(caught).__name__}: {caught}"
        shown.append({"name": account["name"], "token": token, "status": status, "error": error})
    sys.stdout.write(json.dumps(shown))


if __name__ == "__main__":
    main()
