"""The token endpoints of `keyturn serve`, in the formats of common libraries."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

GOOGLE = "/-/google/shop/computeMetadata/v1/instance/service-accounts/default"
FLAVOR = {"Metadata-Flavor": "Google"}


def token_of(client: httpx.Client, name: str) -> str:
    """Return the current token of a connection."""
    return str(client.get(f"/-/token/{name}").json()["access_token"])


def test_plain_token(client: httpx.Client, api: Any) -> None:
    """A program without such a library could not read the token."""
    response = client.get("/-/token/shop")
    fields = response.json()
    assert fields["access_token"] in api.valid
    assert {*fields} == {"access_token", "token_type", "expires_at", "scope"}
    assert response.headers["cache-control"] == "no-store"


def test_azure_format(client: httpx.Client, served: Any) -> None:
    """Azure's libraries would read the response as an error."""
    token = token_of(client, "shop")
    for path in (
        "/-/azure/shop?resource=https://x.example&api-version=2019-08-01",
        "/-/azure?resource=shop&api-version=2019-08-01",
        "/-/azure?resource=https://x.example&client_id=shop",
    ):
        fields = client.get(path).json()
        assert fields["access_token"] == token
        assert int(fields["expires_on"]) > 1_700_000_000
        assert fields["client_id"] == "shop"
    with served.client(has_secret=False, headers={"X-IDENTITY-HEADER": served.secret}) as one:
        assert one.get("/-/azure/shop").json()["access_token"] == token


def test_azure_client_reports_a_rejected_token(client: httpx.Client, api: Any) -> None:
    """A library whose token was rejected would get the same token again."""
    digest = hashlib.sha256(token_of(client, "a").encode()).hexdigest()
    issued = api.issued
    for _ in range(2):  # the second report names a token that is no longer current
        client.get("/-/azure/a", params={"token_sha256_to_refresh": digest})
    assert api.issued == issued + 1


def test_google_format(client: httpx.Client) -> None:
    """Google's libraries would not recognize a metadata server."""
    response = client.get(f"{GOOGLE}/token?scopes=x", headers=FLAVOR)
    assert response.json()["access_token"] == token_of(client, "shop")
    assert 0 < response.json()["expires_in"] <= 3600
    assert response.headers["metadata-flavor"] == "Google"
    account = client.get(f"{GOOGLE}/?recursive=true", headers=FLAVOR)
    assert account.json()["email"] == "default"
    assert client.get("/-/google/shop", headers=FLAVOR).headers["metadata-flavor"] == "Google"
    project = "/-/google/shop/computeMetadata/v1/project/project-id"
    assert client.get(project, headers=FLAVOR).status_code == 404
    # A web page can't send a request with this header.
    assert client.get(f"{GOOGLE}/token").status_code == 403


def test_exec_credential_format(client: httpx.Client) -> None:
    """kubectl could not read the token."""
    fields = client.get("/-/exec-credential/shop").json()
    assert fields["kind"] == "ExecCredential"
    assert fields["status"]["token"] == token_of(client, "shop")


def test_credential_helper_format(client: httpx.Client, api: Any) -> None:
    """Bazel would send the token to another host."""
    given = json.dumps({"uri": f"{api.url}/v1/x"})
    fields = client.post("/-/credential-helper/shop", content=given).json()
    assert fields["headers"]["Authorization"] == [f"Bearer {token_of(client, 'shop')}"]
    foreign = json.dumps({"uri": "https://evil.example/"})
    assert client.post("/-/credential-helper/shop", content=foreign).status_code == 403
    for wrong in ("", "[]", '{"uri": 1}', "nonsense"):
        assert client.post("/-/credential-helper/shop", content=wrong).status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PROPFIND"])
def test_forward_auth_endpoint(client: httpx.Client, method: str) -> None:
    """A gateway could not add the token to a request, whatever its method and path."""
    for path in ("/-/auth/shop", "/-/auth/shop/orders/1?x=y"):
        response = client.request(method, path)
        assert response.status_code == 200
        assert response.headers["authorization"] == f"Bearer {token_of(client, 'shop')}"
        assert not response.content


@pytest.mark.parametrize(
    ("name", "form"),
    [("b", "{token}"), ("c", "Bearer {token}"), ("d", "sha256 {digest}"), ("e", "{digest}")],
)
def test_gateway_reports_a_rejected_token(
    client: httpx.Client, api: Any, name: str, form: str
) -> None:
    """A gateway would get the rejected token until it expires."""
    token = token_of(client, name)
    digest = hashlib.sha256(token.encode()).hexdigest()
    refused = {"X-Keyturn-Refused": form.format(token=token, digest=digest)}
    issued = api.issued
    renewed = client.get(f"/-/auth/{name}", headers=refused).headers["authorization"]
    assert renewed != f"Bearer {token}"
    # Other clients with the same rejected token get the new one.
    assert client.get(f"/-/auth/{name}", headers=refused).headers["authorization"] == renewed
    assert client.get(f"/-/token/{name}", headers=refused).json()["access_token"] in renewed
    assert client.post(f"/-/refused/{name}", headers=refused).json()["access_token"] in renewed
    assert api.issued == issued + 1


def test_rejected_token_in_the_body(client: httpx.Client, api: Any) -> None:
    """A program would have to put the token into a header, or could renew any token."""
    token = token_of(client, "f")
    issued = api.issued
    assert client.post("/-/refused/f", content="another").json()["access_token"] == token
    assert client.post("/-/refused/f", content=token).json()["access_token"] != token
    assert client.post("/-/refused/f", content=" ").status_code == 400
    assert api.issued == issued + 1


def test_failed_token_request_is_reported(client: httpx.Client, api: Any) -> None:
    """A program would not see why there is no token, and what to do."""
    api.token_failure = 400, b'{"error": "invalid_client"}'
    try:
        plain = client.get("/-/token/g")
        proxied = client.get("/g/v1/echo")
        azure = client.get("/-/azure/g")
    finally:
        api.token_failure = None
    assert (plain.status_code, proxied.status_code, azure.status_code) == (502, 502, 502)
    assert plain.headers["x-keyturn-error"] == "InvalidClient"
    assert "g: " in plain.text
    assert "client_secret" in plain.text
    assert "made-up-client-secret" not in plain.text
    assert "client_secret" in azure.json()["message"]


def test_cooldown_is_reported(client: httpx.Client, api: Any) -> None:
    """A program would retry at once."""
    api.token_failure = 429, b"{}"
    try:
        response = client.get("/-/token/h")
    finally:
        api.token_failure = None
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
