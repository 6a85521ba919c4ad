"""The main use with oidc-provider: form bodies only, as for Norce."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import keyturn
from keyturn.integrations.httpx import KeyturnAuth

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.conftest import OidcProvider, RateLimited

SCOPES = ("playground", "stage", "prod")


def norce(server: OidcProvider, **settings: Any) -> keyturn.Connection:
    """Return a connection to the server, with its own store."""
    defaults: dict[str, Any] = {
        "client": "acme",
        "environment": "playground",
        "application_id": 1042,
        "client_id": server.client_id,
        "client_secret": server.client_secret,
        "token_url": server.token_url,
        "api_url": server.api_url,
        "store": "memory://",
    }
    return keyturn.connect("norce-commerce", **defaults | settings)


def test_norce_commerce_reaches_the_api(oidc_provider: OidcProvider) -> None:
    """The main use, from client credentials to a response of the API, would not work."""
    with (
        norce(oidc_provider) as connection,
        httpx.Client(auth=KeyturnAuth(connection), trust_env=False) as client,
    ):
        response = client.get(f"{connection.api_url}/query/1.0/markets")
        assert response.status_code == 200
        assert response.json() == {"applicationId": 1042, "scope": "playground"}
        assert connection.token().scope == "playground"


def test_norce_commerce_reaches_the_api_async(oidc_provider: OidcProvider) -> None:
    """The main use would not work with `aheaders`, or would block the event loop."""

    async def send() -> list[int]:
        async with (
            norce(oidc_provider) as connection,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            api = f"{connection.api_url}/query/1.0/markets"
            by_hand = await client.get(api, headers=await connection.aheaders())
            adapted = await client.get(api, auth=KeyturnAuth(connection))
            return [by_hand.status_code, adapted.status_code]

    assert asyncio.run(send()) == [200, 200]


def test_norce_storm_gets_its_token_from_the_configured_url(oidc_provider: OidcProvider) -> None:
    """The second Norce provider would not work with this kind of server."""
    with keyturn.connect(
        "norce-storm",
        scope="production",
        client_id=oidc_provider.client_id,
        client_secret=oidc_provider.client_secret,
        token_url=oidc_provider.token_url,
        store="memory://",
    ) as connection:
        token = connection.token()
    assert token.access_token
    # The server drops a scope that it does not know. Without a scope in the response, the requested
    # one applies (RFC 6749 section 5.1).
    assert token.scope == "production"


def test_several_scopes_are_granted(oidc_provider: OidcProvider) -> None:
    """A scope of several values would not be sent as a space-delimited list."""
    with norce(oidc_provider, scope=SCOPES) as connection:
        assert set((connection.token().scope or "").split()) == set(SCOPES)


def test_the_second_connection_is_served_from_the_store(oidc_provider: OidcProvider) -> None:
    """The token would not be stored: the server returns another token for each request."""
    store = keyturn.stores.from_url("memory://")
    with (
        norce(oidc_provider, store=store) as first,
        norce(oidc_provider, store=store, application_id=7) as other_application,
        norce(oidc_provider, store=store, environment="stage") as other_scope,
    ):
        token = first.token().access_token
        assert first.token().access_token == token
        assert other_application.token().access_token == token
        assert other_scope.token().access_token != token


def test_a_wrong_secret_is_reported(oidc_provider: OidcProvider) -> None:
    """A wrong secret would be reported as another error, or shown."""
    with (
        norce(oidc_provider, client_secret="s3cret-for-tests") as connection,
        pytest.raises(keyturn.errors.InvalidClient) as refused,
    ):
        connection.token()
    assert "s3cret-for-tests" not in str(refused.value)


def test_a_401_renews_the_token(oidc_provider: OidcProvider) -> None:
    """The caller would get a 401 after the token was revoked by another program."""
    with (
        norce(oidc_provider) as connection,
        httpx.Client(auth=KeyturnAuth(connection), trust_env=False) as client,
    ):
        first = connection.token()
        response = httpx.post(
            oidc_provider.token_url.replace("/token", "/revocation"),
            data={
                "client_id": oidc_provider.client_id,
                "client_secret": oidc_provider.client_secret,
                "token": first.access_token,
            },
            trust_env=False,
        )
        assert response.status_code == 200

        assert client.get(f"{connection.api_url}/query/1.0/markets").status_code == 200
        assert connection.token().access_token != first.access_token


def test_the_rate_limit_is_not_exceeded(rate_limited: RateLimited) -> None:
    """Requests within the limit would wait, or requests above it would be sent."""
    store = keyturn.stores.from_url("memory://")
    scopes = [scope for count in (1, 2, 3) for scope in itertools.combinations(SCOPES, count)]
    connections = [norce(rate_limited, store=store, scope=scope) for scope in scopes]
    first_twenty = itertools.islice(itertools.cycle(connections), 20)
    for connection in first_twenty:
        connection.token()
        connection.forget()

    for connection in connections:
        with pytest.raises(keyturn.errors.RateLimited) as refused:
            connection.token()
        assert 0 < refused.value.retry_after <= 20
    assert rate_limited.statuses() == [200] * 20


def test_a_429_is_reported_as_a_rate_limit(rate_limited: RateLimited) -> None:
    """A limit that others have used up would be reported as an invalid HTML response."""
    request = {
        "grant_type": "client_credentials",
        "client_id": rate_limited.client_id,
        "client_secret": rate_limited.client_secret,
    }
    for _ in range(21):
        httpx.post(rate_limited.token_url, data=request, trust_env=False)

    with norce(rate_limited) as connection:
        for _ in range(3):
            with pytest.raises(keyturn.errors.RateLimited) as refused:
                connection.token()
            assert refused.value.retry_after > 0
    # The first 429 starts a cooldown, so another request would fail at once.
    assert rate_limited.statuses() == [200] * 21 + [429]


# One of many processes; it retries after each failure until it has a token.
ASKER = """
import sys
import keyturn

url, client_id, client_secret, scope, store, timeout, wait = sys.argv[1:]
settings = {
    "client": "acme", "environment": "playground", "application_id": 1042, "token_url": url,
    "client_id": client_id, "client_secret": client_secret, "scope": scope,
}
connection = keyturn.connect(
    "norce-commerce", settings, store=store, timeout=float(timeout), wait=float(wait)
)
while True:
    try:
        print(connection.token().token_type, flush=True)
        break
    except keyturn.errors.KeyturnError as error:
        print(error, file=sys.stderr)
"""


def test_many_callers_at_a_server_that_delays(delaying: RateLimited, tmp_path: Path) -> None:
    """Each would time out, retry and queue behind requests without a caller."""
    scopes = [" ".join(each) for count in (1, 2) for each in itertools.combinations(SCOPES, count)]
    given = (delaying.token_url, delaying.client_id, delaying.client_secret)
    options = (f"disk://{tmp_path / 'store'}", "3", "20")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASKER, *given, scope, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for scope in scopes
    ]
    try:
        results = [each.communicate(timeout=60) for each in processes]
    finally:
        for each in processes:
            each.kill()
            each.wait()

    assert [out for out, _ in results] == ["Bearer\n"] * 6
    statuses = delaying.statuses()
    assert statuses.count(200) == 6
    # nginx logs 499 for a client that has disconnected.
    assert 499 not in statuses
