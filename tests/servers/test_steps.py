"""Token requests in two steps at oidc-provider: endpoints are discovered, a token is exchanged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

import keyturn
from keyturn.integrations.httpx import KeyturnAuth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.servers.conftest import OidcProvider

THREADS = 8
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_PATH = "/identity/1.0/connect/token"
DISCOVERED = "200 /.well-known/openid-configuration"
FIRST = f"200 {TOKEN_PATH} client_credentials"
SECOND = f"200 {TOKEN_PATH} {EXCHANGE}"
REFUSED = f"400 {TOKEN_PATH} {EXCHANGE}"


@pytest.fixture
def requests(oidc_provider: OidcProvider) -> Callable[[], list[str]]:
    """Return a function that returns the server's log since its last call."""
    seen = len(oidc_provider.requests())

    def since() -> list[str]:
        nonlocal seen
        new = oidc_provider.requests()[seen:]
        seen += len(new)
        return new

    return since


def described(server: OidcProvider) -> keyturn.plugins.AnyProvider:
    """Return a provider that exchanges a token of two scopes for one of a single scope."""
    endpoints = {
        "token_url": "{discovery.token_endpoint}",
        "discovery": {"url": f"{server.url}/.well-known/openid-configuration"},
    }
    return keyturn.plugins.provider_from_data(
        {
            **endpoints,
            "name": "exchanged",
            "revocation_url": "{discovery.revocation_endpoint}",
            "api_url": server.api_url,
            "api_headers": {"ApplicationId": "7"},
            "grant_type": EXCHANGE,
            "parameters": {
                "subject_token": "{previous.access_token}",
                "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "scope": "{access}",
            },
            "scope_name": "",
            "settings": {"access": {"title": "Access"}},
            "previous": {
                **endpoints,
                "scope_name": "",
                "parameters": {"scope": "playground stage"},
            },
        }
    )


def connect(
    server: OidcProvider, store: keyturn.stores.Store, access: str = "stage"
) -> keyturn.Connection:
    """Return a connection for the server's client."""
    return keyturn.connect(described(server), credentials(server) | {"access": access}, store=store)


def credentials(server: OidcProvider) -> dict[str, str]:
    """Return the credentials of the server's client."""
    return {"client_id": server.client_id, "client_secret": server.client_secret}


def tokens_of(connections: Sequence[keyturn.Connection]) -> set[str]:
    """Return the tokens that the connections get at the same time, each in its own thread."""
    with ThreadPoolExecutor(len(connections)) as pool:
        tokens = pool.map(keyturn.Connection.token, connections)
        return {each.access_token for each in tokens}


def first_token(server: OidcProvider, store: keyturn.stores.Store) -> str:
    """Return the token of the first step, from a connection for that step only."""
    step = described(server).previous
    assert step is not None
    with keyturn.connect(step, credentials(server) | {"access": "none"}, store=store) as connection:
        return connection.token().access_token


def test_each_step_is_requested_once(
    oidc_provider: OidcProvider, requests: Callable[[], list[str]]
) -> None:
    """Each thread would log in, or the API would get the token of the first step."""
    store = keyturn.stores.from_url("memory://")
    connections = [connect(oidc_provider, store) for _ in range(THREADS)]
    assert len(tokens_of(connections)) == 1
    assert requests() == [DISCOVERED, FIRST, SECOND]

    with httpx.Client(auth=KeyturnAuth(connections[0]), trust_env=False) as client:
        response = client.get(f"{connections[0].api_url}/query")
    assert response.json() == {"applicationId": 7, "scope": "stage"}
    for each in connections:
        each.close()


def test_each_step_is_cached_by_itself(
    oidc_provider: OidcProvider, requests: Callable[[], list[str]]
) -> None:
    """A token of another scope, or a renewed one, would cost a request for each step again."""
    store = keyturn.stores.from_url("memory://")
    with (
        connect(oidc_provider, store) as stage,
        connect(oidc_provider, store, access="playground") as playground,
    ):
        token = stage.token()
        assert token.access_token != first_token(oidc_provider, store)
        assert requests() == [DISCOVERED, FIRST, SECOND]

        assert playground.token().scope == "playground"
        stage.invalidate(token)
        assert stage.token() != token
        assert requests() == [SECOND, SECOND]


def test_revoked_first_token_is_renewed_once(
    oidc_provider: OidcProvider, requests: Callable[[], list[str]]
) -> None:
    """Each exchange would fail until the first token expires, or each thread would log in."""
    store = keyturn.stores.from_url("memory://")
    connections = [connect(oidc_provider, store) for _ in range(THREADS)]
    (token,) = tokens_of(connections)
    revoked = first_token(oidc_provider, store)
    httpx.post(
        oidc_provider.token_url.replace("/token", "/revocation"),
        data=credentials(oidc_provider) | {"token": revoked},
        trust_env=False,
    ).raise_for_status()
    requests()

    for each in connections:
        each.invalidate(each.token())
    (renewed,) = tokens_of(connections)
    assert renewed != token
    assert requests() == [REFUSED, FIRST, SECOND]
    assert first_token(oidc_provider, store) != revoked
    assert requests() == []
    for each in connections:
        each.close()


def test_explain_shows_both_steps(oidc_provider: OidcProvider) -> None:
    """A user would not see which step fails, or a token would be in a bug report."""
    store = keyturn.stores.from_url("memory://")
    with connect(oidc_provider, store) as connection:
        cold = connection.explain()
        hit = connection.explain()
        token = connection.token().access_token

    assert f"> GET {oidc_provider.url}/.well-known/openid-configuration" in cold
    assert "step previous: keyturn requests a token." in cold
    assert "keyturn sends no request: the MemoryStore has a token" in hit
    for shown in (cold, hit):
        assert "step previous, fingerprint " in shown
        assert shown.count("> POST {discovery.token_endpoint}") == 2
    secrets = (token, first_token(oidc_provider, store), oidc_provider.client_secret)
    assert not any(each in cold + hit for each in secrets)
