"""The emulators of Norce Commerce and Norce Storm."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwt as jose_jwt
from joserfc.jwk import KeySet

from keyturn.testing import Emulator

if TYPE_CHECKING:
    import httpx

NORCE = ("norce-commerce", "norce-storm")
DOCUMENTED_CLAIMS = {"nbf", "iss", "aud", "exp", "client_id", "scope"}

pytestmark = pytest.mark.parametrize("provider", NORCE)


def form(emulator: Emulator, provider: str, **changes: str) -> dict[str, str]:
    """Return the form of a token request; a field with an empty value is left out."""
    settings = emulator.settings(provider)
    scope = settings.get("scope", "playground")
    names = ("client_id", "client_secret")
    fields = {"grant_type": "client_credentials", "scope": scope}
    fields |= {name: settings[name] for name in names} | changes
    return {name: value for name, value in fields.items() if value}


def test_documented_request_gets_the_documented_response(
    provider: str, emulator: Emulator, http: httpx.Client
) -> None:
    """A correct request would get no token, or one with another lifetime."""
    settings = emulator.settings(provider)

    response = http.post(settings["token_url"], data=form(emulator, provider))

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    fields = response.json()
    assert isinstance(fields.pop("access_token"), str)
    scope = settings.get("scope", "playground")
    assert fields == {"expires_in": 3600, "token_type": "Bearer", "scope": scope}


def test_token_is_the_documented_jwt(provider: str, requester: Any, jwt: Any) -> None:
    """Code that relies on claims that real tokens don't have would pass its tests."""
    header, claims = jwt(requester.access_token(provider, scope="lab production"))

    assert (header["typ"], header["alg"]) == ("at+jwt", "RS256")
    assert set(claims) == DOCUMENTED_CLAIMS
    assert claims["scope"] == ["Staging", "Production"]
    assert (claims["nbf"], claims["exp"]) == (1_700_000_000, 1_700_000_000 + 3600)
    # The two identifiers of the key are forms of one digest.
    assert base64.urlsafe_b64decode(f"{header['x5t']}=").hex().upper() == header["kid"]


def test_discovery_document_leads_to_the_key(
    provider: str, emulator: Emulator, http: httpx.Client, requester: Any
) -> None:
    """A program that verifies tokens could not be tested."""
    token_url = emulator.settings(provider)["token_url"]
    issuer = token_url.removesuffix("connect/token")
    metadata = http.get(f"{issuer}.well-known/openid-configuration").json()
    keys = KeySet.import_key_set(http.get(metadata["jwks_uri"]).json())

    token = jose_jwt.decode(requester.access_token(provider), keys, algorithms=["RS256"])

    assert token.claims["iss"] == metadata["issuer"] == issuer
    assert metadata["token_endpoint"] == token_url
    assert http.post(metadata["jwks_uri"]).status_code == 405
    assert emulator.api_requests(provider) == 0


def test_two_tokens_of_one_second_differ(provider: str, requester: Any) -> None:
    """A client would get a revoked token again."""
    assert requester.access_token(provider) != requester.access_token(provider)


def test_json_body_is_rejected(provider: str, emulator: Emulator, http: httpx.Client) -> None:
    """A client that sends Norce JSON would pass its tests, and fail at Norce."""
    response = http.post(emulator.settings(provider)["token_url"], json=form(emulator, provider))

    assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})


def test_basic_authentication_is_rejected(
    provider: str, emulator: Emulator, http: httpx.Client
) -> None:
    """A client that sends no credentials in the body would pass its tests, and fail at Norce."""
    settings = emulator.settings(provider)
    credentials = (settings["client_id"], settings["client_secret"])
    body = form(emulator, provider, client_id="", client_secret="")

    response = http.post(settings["token_url"], data=body, auth=credentials)

    assert (response.status_code, response.json()) == (400, {"error": "invalid_client"})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong-for-tests"}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
        ({"scope": "moon"}, "invalid_scope"),
        ({"scope": "lab moon"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_every_error_has_status_400(
    provider: str,
    changes: dict[str, str],
    error: str,
    emulator: Emulator,
    http: httpx.Client,
) -> None:
    """A client that reads the status and not the code would pass its tests."""
    response = http.post(
        emulator.settings(provider)["token_url"], data=form(emulator, provider, **changes)
    )

    assert (response.status_code, response.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    "body", [b"grant_type=a&grant_type=b", b"grant_type=\xff", b"&".join([b"a=b"] * 200)]
)
def test_malformed_form_is_rejected(
    provider: str, body: bytes, emulator: Emulator, http: httpx.Client
) -> None:
    """A repeated parameter (RFC 6749 section 3.2) would be accepted."""
    response = http.post(
        emulator.settings(provider)["token_url"],
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"},
    )

    assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})


def test_rate_limit_is_three_a_minute_with_a_burst(
    provider: str, emulator: Emulator, requester: Any, clock: Any
) -> None:
    """A client that exceeds the rate limit would not see a 429 in its tests."""
    assert [requester.token(provider).status_code for _ in range(22)] == [200] * 21 + [429]

    clock.time += 20
    assert [requester.token(provider).status_code for _ in range(2)] == [200, 429]

    limited = requester.token(provider)
    assert limited.headers["content-type"] == "text/html"
    assert "retry-after" not in limited.headers
    assert emulator.token_requests(provider) == 25


def test_rate_limit_is_separate_for_each_provider(provider: str, requester: Any) -> None:
    """Many requests to one provider would block the other."""
    other = next(name for name in NORCE if name != provider)
    for _ in range(22):
        requester.token(other)

    assert requester.token(provider).status_code == 200


def test_rate_limits_can_be_switched_off(provider: str, http: httpx.Client) -> None:
    """Tests of other behaviour would exceed a limit."""
    with Emulator(rate_limits=False) as emulator:
        url = emulator.settings(provider)["token_url"]
        body = form(emulator, provider)

        assert {http.post(url, data=body).status_code for _ in range(30)} == {200}


def test_api_accepts_the_token_with_an_application_id(
    provider: str, emulator: Emulator, requester: Any
) -> None:
    """The protected resource would differ from its documentation."""
    response = requester.api(provider, requester.access_token(provider))

    assert response.json()["Application"]["Id"] == "7"
    assert emulator.api_requests(provider) == 1


@pytest.mark.parametrize("application_id", ["", "seven", "7.0", "²"])
def test_application_id_must_be_an_integer(
    provider: str, application_id: str, requester: Any
) -> None:
    """A client that omits the header would pass its tests."""
    header = {"ApplicationId": application_id.encode("latin-1")}

    assert requester.api(provider, requester.access_token(provider), header).status_code == 400


def test_token_expires_at_the_end_of_its_lifetime(
    provider: str, emulator: Emulator, requester: Any, clock: Any
) -> None:
    """A client that uses expired tokens would pass its tests."""
    emulator.set_lifetime(provider, 2)
    token = requester.access_token(provider)

    clock.time += 1.9
    assert requester.api(provider, token).status_code == 200
    clock.time += 0.1
    assert requester.api(provider, token).status_code == 401


def test_api_rejects_an_invalid_token(provider: str, emulator: Emulator, requester: Any) -> None:
    """The resource would not be protected."""
    good = requester.access_token(provider)
    assert requester.api(provider, "made-up").status_code == 401
    assert requester.api(provider, good, {"Authorization": f"Basic {good}"}).status_code == 401

    emulator.revoke_tokens(provider)
    assert requester.api(provider, good).status_code == 401
    assert requester.api(provider, requester.access_token(provider)).status_code == 200


def test_older_scope_names_are_accepted(provider: str, requester: Any) -> None:
    """Older accounts would be rejected."""
    assert requester.token(provider, scope="lab production").json()["scope"] == "lab production"
