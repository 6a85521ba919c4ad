"""The main job against Doorkeeper: JSON bodies, the family of Commerce Layer and OroCommerce."""

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
    """Return the API's response to one request that carries the connection's token."""
    with httpx.Client(auth=KeyturnAuth(connection), trust_env=False) as client:
        return client.get(f"{connection.api_url}/markets")


def revoke_behind_its_back(server: Doorkeeper, token: keyturn.Token) -> None:
    """Revoke a token without the connection's knowledge."""
    request = {
        "client_id": server.client_id,
        "client_secret": server.client_secret,
        "token": token.access_token,
    }
    response = httpx.post(f"{server.url}/oauth/revoke", json=request, trust_env=False)
    assert (response.status_code, response.json()) == (200, {})


def test_an_integration_reaches_the_api(doorkeeper: Doorkeeper) -> None:
    """The main job: from client credentials to a response of the protected API."""
    with integration(doorkeeper) as connection:
        token = connection.token()
        assert (token.token_type.lower(), token.scope) == ("bearer", EUROPE)
        assert token.expires_at == pytest.approx(token.extra["created_at"] + 7200, abs=60)
        response = markets(connection)
    assert response.status_code == 200
    assert response.json()["data"][0]["type"] == "markets"


def test_an_integration_reaches_the_api_async(doorkeeper: Doorkeeper) -> None:
    """The same without blocking an event loop."""

    async def send() -> httpx.Response:
        async with (
            integration(doorkeeper) as connection,
            httpx.AsyncClient(auth=KeyturnAuth(connection), trust_env=False) as client,
        ):
            return await client.get(f"{connection.api_url}/markets")

    assert asyncio.run(send()).status_code == 200


def test_a_sales_channel_needs_no_secret(doorkeeper: Doorkeeper) -> None:
    """A public client's token is given for its id alone, and opens the API."""
    with integration(
        doorkeeper,
        kind="sales_channel",
        client_id=doorkeeper.public_client_id,
        client_secret=None,
    ) as connection:
        token = connection.token()
        assert token.expires_at == pytest.approx(token.extra["created_at"] + 14400, abs=60)
        assert markets(connection).status_code == 200


def test_a_stock_location_goes_with_its_market(doorkeeper: Doorkeeper) -> None:
    """Both parts of a scope must reach the server in the form it understands."""
    with integration(doorkeeper, stock_location="code:eu_warehouse") as connection:
        assert connection.token().scope == f"{EUROPE} stock_location:code:eu_warehouse"


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_the_second_connection_is_served_from_the_store(
    doorkeeper: Doorkeeper, tmp_path: Path, kind: str
) -> None:
    """Doorkeeper gives a new token to each request: the same one again was kept."""
    url = "memory://" if kind == "memory" else f"disk://{tmp_path / 'tokens'}"
    store = keyturn.stores.from_url(url)
    before = doorkeeper.token_requests()
    with integration(doorkeeper, store=store) as first, integration(doorkeeper, store=store) as two:
        assert first.token() == first.token()
        assert first.token().access_token == two.token().access_token
    assert doorkeeper.token_requests() == before + 1


def test_a_crowd_of_threads_makes_one_token_request(doorkeeper: Doorkeeper) -> None:
    """Threads that all find no token must not all request one."""
    before = doorkeeper.token_requests()
    with integration(doorkeeper) as connection, ThreadPoolExecutor(16) as threads:
        futures = [threads.submit(connection.token) for _ in range(32)]
        tokens = {future.result().access_token for future in futures}
    assert len(tokens) == 1
    assert doorkeeper.token_requests() == before + 1


def test_a_wrong_secret_is_told_and_not_repeated(doorkeeper: Doorkeeper) -> None:
    """A wrong secret is a separate error, which shows no secret and causes no retries."""
    before = doorkeeper.token_requests()
    with integration(doorkeeper, client_secret="s3cret-for-tests") as connection:
        for _ in range(3):
            with pytest.raises(keyturn.errors.InvalidClient) as refused:
                connection.token()
            assert refused.value.status == 401
            assert "s3cret-for-tests" not in str(refused.value)
    assert doorkeeper.token_requests() == before + 1


def test_an_unknown_scope_is_told(doorkeeper: Doorkeeper) -> None:
    """A scope that the server doesn't know is a separate error."""
    with (
        integration(doorkeeper, market="code:atlantis") as connection,
        pytest.raises(keyturn.errors.InvalidScope) as refused,
    ):
        connection.token()
    assert (refused.value.error, refused.value.status) == ("invalid_scope", 400)


def test_a_revoked_token_opens_nothing(doorkeeper: Doorkeeper) -> None:
    """Revocation must reach the server, and the token must be gone here as well."""
    with integration(doorkeeper) as connection:
        headers = connection.headers()
        revoked = connection.token()
        connection.revoke()

        response = httpx.get(f"{connection.api_url}/markets", headers=headers, trust_env=False)
        assert response.status_code == 401
        assert connection.token().access_token != revoked.access_token
        assert markets(connection).status_code == 200


def test_a_public_client_revokes(doorkeeper: Doorkeeper) -> None:
    """A revocation request without a secret must be one that the server accepts."""
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


def test_a_401_is_healed(doorkeeper: Doorkeeper) -> None:
    """A token that was revoked elsewhere is renewed once, and the caller sees no 401."""
    with integration(doorkeeper) as connection:
        first = connection.token()
        revoke_behind_its_back(doorkeeper, first)
        before = doorkeeper.token_requests()

        assert markets(connection).status_code == 200
        assert connection.token().access_token != first.access_token
        assert doorkeeper.token_requests() == before + 1


def test_the_same_token_again_is_no_error_and_no_loop(reusing_doorkeeper: Doorkeeper) -> None:
    """A server that returns a valid token again gets one request for each call that insists."""
    with integration(reusing_doorkeeper) as connection:
        before = reusing_doorkeeper.token_requests()
        first = connection.token()
        again = connection.token(stale=first)
        assert again.access_token == first.access_token
        assert reusing_doorkeeper.token_requests() == before + 2
        assert connection.token().access_token == first.access_token
        assert markets(connection).status_code == 200
    assert reusing_doorkeeper.token_requests() == before + 2


def test_a_401_is_healed_where_tokens_are_reused(reusing_doorkeeper: Doorkeeper) -> None:
    """A revoked token is not handed out again, so one renewal heals here too."""
    with integration(reusing_doorkeeper, market="id:yzkWXfgHQS") as connection:
        first = connection.token()
        revoke_behind_its_back(reusing_doorkeeper, first)
        assert markets(connection).status_code == 200
        assert connection.token().access_token != first.access_token


@pytest.mark.parametrize("body_format", ["json", "form"])
def test_orocommerce_reaches_its_api(doorkeeper: Doorkeeper, body_format: str) -> None:
    """From the application's URL alone to a response of its back-office API."""
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
        # OroCommerce's 401 has an empty body, which must be enough to renew.
        assert client.get(f"{connection.api_url}/products").status_code == 200
        assert connection.token().access_token != first.access_token
