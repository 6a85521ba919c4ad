"""The behaviour of the servers without keyturn, on which the other tests rely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.conftest import Doorkeeper, OidcProvider, RateLimited

GRANT = {"grant_type": "client_credentials"}
EUROPE = "market:code:europe"


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """An HTTP client that ignores the environment."""
    with httpx.Client(trust_env=False) as client:
        yield client


def credentials(server: Doorkeeper | OidcProvider) -> dict[str, str]:
    """Return the confidential client's credentials as body parameters."""
    return {"client_id": server.client_id, "client_secret": server.client_secret}


def token_from(response: httpx.Response) -> dict[str, Any]:
    """Return the token response, which must be successful."""
    assert response.status_code == 200, response.text
    token: dict[str, Any] = response.json()
    return token


@pytest.mark.parametrize("body", ["json", "data"])
def test_doorkeeper_reads_json_and_forms(
    doorkeeper: Doorkeeper, http: httpx.Client, body: str
) -> None:
    """Without JSON bodies, Doorkeeper could not stand in for Commerce Layer."""
    request: Any = {body: {**GRANT, **credentials(doorkeeper), "scope": EUROPE}}
    token = token_from(http.post(doorkeeper.token_url, **request))
    assert token["access_token"]
    assert token["created_at"]
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 7200, EUROPE)


def test_doorkeeper_requires_the_right_secret(doorkeeper: Doorkeeper, http: httpx.Client) -> None:
    """A server that accepts any secret would not test the secret that keyturn sends."""
    wrong = {**GRANT, **credentials(doorkeeper), "client_secret": "s3cret-for-tests"}
    response = http.post(doorkeeper.token_url, json=wrong)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_doorkeeper_requires_no_secret_of_a_public_client(
    doorkeeper: Doorkeeper, http: httpx.Client
) -> None:
    """A sales channel, which has no secret, could not be tested."""
    request = {**GRANT, "client_id": doorkeeper.public_client_id, "scope": EUROPE}
    token = token_from(http.post(doorkeeper.token_url, json=request))
    assert token["expires_in"] == 14400


def test_doorkeeper_rejects_an_unknown_scope(doorkeeper: Doorkeeper, http: httpx.Client) -> None:
    """The error for an unknown scope could not be tested."""
    request = {**GRANT, **credentials(doorkeeper), "scope": "market:code:atlantis"}
    response = http.post(doorkeeper.token_url, json=request)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")


def test_doorkeeper_serves_both_apis(doorkeeper: Doorkeeper, http: httpx.Client) -> None:
    """The APIs would not accept a token, or not report a missing one as documented."""
    token = token_from(
        http.post(f"{doorkeeper.url}/oauth2-token", json={**GRANT, **credentials(doorkeeper)})
    )
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    products = f"{doorkeeper.url}/admin/api/products"
    assert http.get(f"{doorkeeper.api_url}/markets", headers=bearer).status_code == 200
    assert http.get(products, headers=bearer).status_code == 200

    refused = http.get(f"{doorkeeper.api_url}/markets")
    assert refused.status_code == 401
    assert refused.json()["errors"][0]["code"] == "INVALID_TOKEN"
    refused = http.get(products)
    assert (refused.status_code, refused.content) == (401, b"")


def test_doorkeeper_revokes(doorkeeper: Doorkeeper, http: httpx.Client) -> None:
    """Revocation would take effect late, or would not return an empty object."""
    client = credentials(doorkeeper)
    token = token_from(http.post(doorkeeper.token_url, json={**GRANT, **client}))["access_token"]
    response = http.post(f"{doorkeeper.url}/oauth/revoke", json={**client, "token": token})
    assert (response.status_code, response.json()) == (200, {})

    bearer = {"Authorization": f"Bearer {token}"}
    assert http.get(f"{doorkeeper.api_url}/markets", headers=bearer).status_code == 401
    response = http.post(f"{doorkeeper.url}/oauth/introspect", data={**client, "token": token})
    assert response.json() == {"active": False}


def test_doorkeeper_returns_a_new_token_or_the_same(
    doorkeeper: Doorkeeper, reusing_doorkeeper: Doorkeeper, http: httpx.Client
) -> None:
    """The two variants would not differ in the token of a second request."""
    given = {}
    before = reusing_doorkeeper.token_requests()
    for server in (doorkeeper, reusing_doorkeeper):
        request = {**GRANT, **credentials(server), "scope": EUROPE}
        responses = [http.post(server.token_url, json=request) for _ in range(2)]
        given[server.url] = len({token_from(response)["access_token"] for response in responses})
    assert given == {doorkeeper.url: 2, reusing_doorkeeper.url: 1}
    assert reusing_doorkeeper.token_requests() == before + 2


def test_oidc_provider_reads_forms_only(oidc_provider: OidcProvider, http: httpx.Client) -> None:
    """An oidc-provider that reads JSON could not stand in for Norce."""
    request = {**GRANT, **credentials(oidc_provider), "scope": "playground"}
    token = token_from(http.post(oidc_provider.token_url, data=request))
    assert token["access_token"]
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 3600)

    response = http.post(oidc_provider.token_url, json=request)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_oidc_provider_requires_the_right_secret(
    oidc_provider: OidcProvider, http: httpx.Client
) -> None:
    """A server that accepts any secret would not test the secret that keyturn sends."""
    wrong = {**GRANT, **credentials(oidc_provider), "client_secret": "s3cret-for-tests"}
    response = http.post(oidc_provider.token_url, data=wrong)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        ("playground", "playground"),
        ("playground stage prod", "playground stage prod"),
        ("playground atlantis", "playground"),
        ("atlantis", None),
    ],
)
def test_oidc_provider_drops_unknown_scopes(
    oidc_provider: OidcProvider, http: httpx.Client, requested: str, granted: str | None
) -> None:
    """A known scope would not be granted, or an unknown one would cause an error."""
    request = {**GRANT, **credentials(oidc_provider), "scope": requested}
    assert token_from(http.post(oidc_provider.token_url, data=request)).get("scope") == granted


def test_oidc_provider_protects_its_api(oidc_provider: OidcProvider, http: httpx.Client) -> None:
    """The API would accept a request without a token, or without an application ID."""
    client = credentials(oidc_provider)
    request = {**GRANT, **client, "scope": "playground"}
    token = token_from(http.post(oidc_provider.token_url, data=request))["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    application = {"ApplicationId": "1042"}
    api = f"{oidc_provider.api_url}/query/1.0/markets"

    def status(headers: dict[str, str]) -> int:
        return http.get(api, headers=headers).status_code

    assert http.get(api, headers=bearer | application).json() == {
        "applicationId": 1042,
        "scope": "playground",
    }
    assert (status(bearer), status(application)) == (400, 401)

    introspection = oidc_provider.token_url.replace("/token", "/introspect")
    assert http.post(introspection, data={**client, "token": token}).json()["active"] is True
    revocation = oidc_provider.token_url.replace("/token", "/revocation")
    response = http.post(revocation, data={**client, "token": token})
    assert (response.status_code, response.content) == (200, b"")
    assert status(bearer | application) == 401


def test_nginx_limits_the_token_endpoint(rate_limited: RateLimited, http: httpx.Client) -> None:
    """A 429 in HTML and without Retry-After could not be tested."""
    request = {**GRANT, **credentials(rate_limited)}
    responses = [http.post(rate_limited.token_url, data=request) for _ in range(22)]
    assert [response.status_code for response in responses] == [200] * 21 + [429]
    assert responses[-1].headers["content-type"] == "text/html"
    assert "retry-after" not in responses[-1].headers
    assert rate_limited.statuses() == [200] * 21 + [429]
