"""The emulator of OroCommerce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from keyturn.testing import Emulator

GRANT = {"grant_type": "client_credentials"}


def endpoint(emulator: Emulator) -> str:
    """Return the token endpoint's URL."""
    return f"{emulator.settings('orocommerce')['url']}/oauth2-token"


def credentials(emulator: Emulator) -> dict[str, str]:
    """Return the back-office client's ID and secret."""
    settings = emulator.settings("orocommerce")
    return {name: settings[name] for name in ("client_id", "client_secret")}


@pytest.mark.parametrize("way", ["json", "form", "basic"])
def test_each_accepted_request_format_gets_a_token(
    way: str, emulator: Emulator, http: httpx.Client
) -> None:
    """A request format that the real server accepts would be rejected."""
    mine = credentials(emulator)
    ways: dict[str, dict[str, Any]] = {
        "json": {"json": GRANT | mine},
        "form": {"data": GRANT | mine},
        "basic": {"data": GRANT, "auth": tuple(mine.values())},
    }

    fields = http.post(endpoint(emulator), **ways[way]).json()

    assert isinstance(fields.pop("access_token"), str)
    assert fields == {"token_type": "Bearer", "expires_in": 3599}


def test_token_is_a_jwt_with_fractional_times(emulator: Emulator, requester: Any, jwt: Any) -> None:
    """A client that reads the times as integers would pass its tests."""
    header, claims = jwt(requester.access_token("orocommerce"))

    assert header["alg"] == "RS256"
    assert claims["aud"] == credentials(emulator)["client_id"]
    assert {type(claims[name]) for name in ("iat", "nbf", "exp")} == {float}


def test_any_scope_is_accepted_and_none_is_returned(requester: Any) -> None:
    """A client that compares the scopes would pass its tests, and fail at the real server."""
    assert "scope" not in requester.token("orocommerce", scope="anything at all").json()


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong-for-tests"}, 401, "invalid_client"),
        ({"client_id": "unknown"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_id": None}, 400, "invalid_request"),
        ({"scope": 5}, 400, "invalid_request"),
    ],
)
def test_errors_are_those_of_the_source_code(
    changes: dict[str, Any], status: int, error: str, emulator: Emulator, http: httpx.Client
) -> None:
    """Bad credentials, a bad request and a broken server would look alike."""
    body = GRANT | credentials(emulator) | changes
    response = http.post(
        endpoint(emulator), json={name: value for name, value in body.items() if value is not None}
    )

    fields = response.json()
    assert (response.status_code, fields["error"]) == (status, error)
    assert fields["message"] == fields["error_description"]
    # The messages are those of the server, which users search for.
    starts, hint = {
        "invalid_client": ("Client authentication failed", False),
        "invalid_request": ("The request is missing a required parameter, includes an", True),
        "unsupported_grant_type": ("The authorization grant type is not supported", True),
    }[error]
    assert fields["message"].startswith(starts)
    assert ("hint" in fields) == hint
    # Some clients show the challenge instead of the error.
    assert "www-authenticate" not in response.headers


@pytest.mark.parametrize("header", ["Basic !!!", "Basic /w==", "Basic ü", "Basic", "Digest x"])
def test_malformed_authorization_is_an_unknown_client(
    header: str, emulator: Emulator, http: httpx.Client
) -> None:
    """A header that can't be decoded would end the connection without a response."""
    response = http.post(
        endpoint(emulator), data=GRANT, headers={b"Authorization": header.encode("latin-1")}
    )

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert response.headers["www-authenticate"].startswith("Basic ")


def test_broken_server_returns_its_documented_errors(emulator: Emulator, requester: Any) -> None:
    """The two failures that are not caused by credentials could not be tested."""
    emulator.fault("orocommerce", "no-encryption-key")
    emulator.fault("orocommerce", "server-error")

    first, second = requester.token("orocommerce"), requester.token("orocommerce")

    assert (first.status_code, first.json()["error"]) == (401, "no_encryption_key")
    assert (second.status_code, second.json()["error"]) == (500, "server_error")


@pytest.mark.parametrize("side", ["backoffice", "storefront"])
def test_tokens_of_back_office_and_storefront_are_separate(side: str, requester: Any) -> None:
    """A client that uses one token for both would pass its tests."""
    other = {"backoffice": "storefront", "storefront": "backoffice"}[side]
    token = requester.access_token("orocommerce", side=side)

    assert requester.api("orocommerce", token, side=side).status_code == 200
    rejected = requester.api("orocommerce", token, side=other)
    assert (rejected.status_code, rejected.content) == (401, b"")


def test_expired_or_unknown_token_gets_an_empty_401(requester: Any, clock: Any) -> None:
    """A client that reads a reason from the body would pass its tests."""
    token = requester.access_token("orocommerce")
    clock.time += 3599

    for value in (token, "made-up"):
        response = requester.api("orocommerce", value)
        assert (response.status_code, response.content) == (401, b"")
        assert response.headers["www-authenticate"] == "Bearer"


def test_accept_header_selects_the_api(requester: Any) -> None:
    """A client that overwrites the caller's `Accept` would pass its tests."""
    token = requester.access_token("orocommerce")
    json_api = requester.api("orocommerce", token, {"Accept": "application/vnd.api+json"})
    plain = requester.api("orocommerce", token, {"Accept": "application/json"})

    assert json_api.headers["content-type"] == "application/vnd.api+json"
    assert json_api.json()["data"][0]["type"] == "users"
    assert plain.headers["content-type"] == "application/json"


def test_there_is_no_rate_limit(requester: Any) -> None:
    """The emulator would return a 429, which OroCommerce never does."""
    assert {requester.token("orocommerce").status_code for _ in range(40)} == {200}


def test_unknown_path_is_not_found(emulator: Emulator, http: httpx.Client) -> None:
    """A client that drops the application URL's path would pass its tests."""
    url = endpoint(emulator).replace("/shop", "")

    assert http.post(url, json=GRANT | credentials(emulator)).status_code == 404


@pytest.mark.parametrize("prefix", ["", "admin/"])
def test_metadata_names_the_token_endpoint(
    prefix: str, emulator: Emulator, http: httpx.Client
) -> None:
    """A program that looks for the token endpoint could not be tested."""
    below = "/.well-known/oauth-authorization-server"
    url = emulator.settings("orocommerce")["url"]

    metadata = http.get(f"{url}{below}/{prefix}oauth2-server").json()

    assert metadata["token_endpoint"] == endpoint(emulator)
    assert metadata["grant_types_supported"] == ["client_credentials"]


def test_surplus_parameters_are_ignored(emulator: Emulator, http: httpx.Client) -> None:
    """Programs that send more than the documented parameters would fail."""
    surplus = {"audience": ["a"], "number": 7, "scope": None}

    response = http.post(endpoint(emulator), json=GRANT | credentials(emulator) | surplus)

    assert response.status_code == 200
