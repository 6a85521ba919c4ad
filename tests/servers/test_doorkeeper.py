"""The main use with Doorkeeper: JSON bodies, as for Commerce Layer and OroCommerce."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import keyturn
from keyturn.integrations.httpx import KeyturnAuth

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.conftest import Doorkeeper

EUROPE = "market:code:europe"


def integration(server: Doorkeeper, **settings: Any) -> keyturn.Connection:
    """Return a connection of the confidential client, with its own store."""
    defaults: dict[str, Any] = {
        "kind": "integration",
        "client_id": server.client_id,
        "client_secret": server.client_secret,
        "market": "code:europe",
        "token_url": server.token_url,
        "api_url": server.api_url,
        "store": "memory://",
    }
    return keyturn.connect("commercelayer", **defaults | settings)


def markets(connection: keyturn.Connection) -> httpx.Response:
    """Return the API's response to one request with the connection's token."""
    with httpx.Client(auth=KeyturnAuth(connection), trust_env=False) as client:
        return client.get(f"{connection.api_url}/markets")


def revoke_behind_its_back(server: Doorkeeper, token: keyturn.Token) -> None:
    """Revoke a token outside the connection."""
    request = {
        "client_id": server.client_id,
        "client_secret": server.client_secret,
        "token": token.access_token,
    }
    response = httpx.post(f"{server.url}/oauth/revoke", json=request, trust_env=False)
    assert (response.status_code, response.json()) == (200, {})


def test_an_integration_reaches_the_api(doorkeeper: Doorkeeper) -> None:
    """The main use, from client credentials to a response of the API, would not work."""
    with integration(doorkeeper) as connection:
        token = connection.token()
        assert (token.token_type.lower(), token.scope) == ("bearer", EUROPE)
        assert token.expires_at == pytest.approx(token.extra["created_at"] + 7200, abs=60)
        response = markets(connection)
    assert response.status_code == 200
    assert response.json()["data"][0]["type"] == "markets"


def test_an_integration_reaches_the_api_async(doorkeeper: Doorkeeper) -> None:
    """The main use would not work, or would block the event loop."""

    async def send() -> httpx.Response:
        async with (
            integration(doorkeeper) as connection,
            httpx.AsyncClient(auth=KeyturnAuth(connection), trust_env=False) as client,
        ):
            return await client.get(f"{connection.api_url}/markets")

    assert asyncio.run(send()).status_code == 200


def test_a_sales_channel_needs_no_secret(doorkeeper: Doorkeeper) -> None:
    """A public client, which has no secret, would get no token."""
    with integration(
        doorkeeper,
        kind="sales_channel",
        client_id=doorkeeper.public_client_id,
        client_secret=None,
    ) as connection:
        token = connection.token()
        assert token.expires_at == pytest.approx(token.extra["created_at"] + 14400, abs=60)
        assert markets(connection).status_code == 200


def test_a_stock_location_is_sent_with_its_market(doorkeeper: Doorkeeper) -> None:
    """One of the two parts of a scope would not reach the server."""
    with integration(doorkeeper, stock_location="code:eu_warehouse") as connection:
        assert connection.token().scope == f"{EUROPE} stock_location:code:eu_warehouse"


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_the_second_connection_is_served_from_the_store(
    doorkeeper: Doorkeeper, tmp_path: Path, kind: str
) -> None:
    """The token would not be stored: Doorkeeper returns another token for each request."""
    url = "memory://" if kind == "memory" else f"disk://{tmp_path / 'tokens'}"
    store = keyturn.stores.from_url(url)
    before = doorkeeper.token_requests()
    with integration(doorkeeper, store=store) as first, integration(doorkeeper, store=store) as two:
        assert first.token() == first.token()
        assert first.token().access_token == two.token().access_token
    assert doorkeeper.token_requests() == before + 1


def test_many_threads_make_one_token_request(doorkeeper: Doorkeeper) -> None:
    """Each of the threads that find no token would request one."""
    before = doorkeeper.token_requests()
    with integration(doorkeeper) as connection, ThreadPoolExecutor(16) as threads:
        futures = [threads.submit(connection.token) for _ in range(32)]
        tokens = {future.result().access_token for future in futures}
    assert len(tokens) == 1
    assert doorkeeper.token_requests() == before + 1


def test_a_wrong_secret_is_reported_and_not_repeated(doorkeeper: Doorkeeper) -> None:
    """A wrong secret would be shown, or sent again."""
    before = doorkeeper.token_requests()
    with integration(doorkeeper, client_secret="s3cret-for-tests") as connection:
        for _ in range(3):
            with pytest.raises(keyturn.errors.InvalidClient) as refused:
                connection.token()
            assert refused.value.status == 401
            assert "s3cret-for-tests" not in str(refused.value)
    assert doorkeeper.token_requests() == before + 1


def test_an_unknown_scope_is_reported(doorkeeper: Doorkeeper) -> None:
    """A scope that the server does not know would be reported as another error."""
    with (
        integration(doorkeeper, market="code:atlantis") as connection,
        pytest.raises(keyturn.errors.InvalidScope) as refused,
    ):
        connection.token()
    assert (refused.value.error, refused.value.status) == ("invalid_scope", 400)


def test_a_revoked_token_is_rejected(doorkeeper: Doorkeeper) -> None:
    """The token would stay valid at the server, or in the cache."""
    with integration(doorkeeper) as connection:
        headers = connection.headers()
        revoked = connection.token()
        connection.revoke()

        response = httpx.get(f"{connection.api_url}/markets", headers=headers, trust_env=False)
        assert response.status_code == 401
        assert connection.token().access_token != revoked.access_token
        assert markets(connection).status_code == 200


def test_a_public_client_revokes(doorkeeper: Doorkeeper) -> None:
    """The server would reject a revocation request without a secret."""
    with integration(
        doorkeeper,
        kind="sales_channel",
        client_id=doorkeeper.public_client_id,
        client_secret=None,
    ) as connection:
        headers = connection.headers()
        connection.revoke()
        response = httpx.get(f"{connection.api_url}/markets", headers=headers, trust_env=False)
        assert response.status_code == 401


def test_a_401_renews_the_token(doorkeeper: Doorkeeper) -> None:
    """The caller would get a 401 after the token was revoked by another program."""
    with integration(doorkeeper) as connection:
        first = connection.token()
        revoke_behind_its_back(doorkeeper, first)
        before = doorkeeper.token_requests()

        assert markets(connection).status_code == 200
        assert connection.token().access_token != first.access_token
        assert doorkeeper.token_requests() == before + 1


def test_the_same_token_again_is_no_error_and_causes_no_loop(
    reusing_doorkeeper: Doorkeeper,
) -> None:
    """The caller would get an error, or each call would send requests in a loop."""
    with integration(reusing_doorkeeper) as connection:
        before = reusing_doorkeeper.token_requests()
        first = connection.token()
        again = connection.token(stale=first)
        assert again.access_token == first.access_token
        assert reusing_doorkeeper.token_requests() == before + 2
        assert connection.token().access_token == first.access_token
        assert markets(connection).status_code == 200
    assert reusing_doorkeeper.token_requests() == before + 2


def test_a_401_renews_the_token_where_tokens_are_reused(reusing_doorkeeper: Doorkeeper) -> None:
    """The caller would get a 401 at a server that reuses valid tokens."""
    with integration(reusing_doorkeeper, market="id:yzkWXfgHQS") as connection:
        first = connection.token()
        revoke_behind_its_back(reusing_doorkeeper, first)
        assert markets(connection).status_code == 200
        assert connection.token().access_token != first.access_token


@pytest.mark.parametrize("body_format", ["json", "form"])
def test_orocommerce_reaches_its_api(doorkeeper: Doorkeeper, body_format: str) -> None:
    """OroCommerce would need more settings than the application's URL and credentials."""
    with (
        keyturn.connect(
            "orocommerce",
            url=doorkeeper.url,
            client_id=doorkeeper.client_id,
            client_secret=doorkeeper.client_secret,
            body_format=body_format,
            store="memory://",
        ) as connection,
        httpx.Client(auth=KeyturnAuth(connection), trust_env=False) as client,
    ):
        response = client.get(f"{connection.api_url}/products")
        assert response.status_code == 200
        assert response.request.headers["accept"] == "application/vnd.api+json"

        first = connection.token()
        revoke_behind_its_back(doorkeeper, first)
        # OroCommerce's 401 has an empty body, which must be enough to renew the token.
        assert client.get(f"{connection.api_url}/products").status_code == 200
        assert connection.token().access_token != first.access_token
