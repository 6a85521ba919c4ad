"""The emulator of Commerce Layer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from joserfc import jwt as jose_jwt
from joserfc.jwk import KeySet

from keyturn.testing import Emulator

CL = "commercelayer"
SCOPES = ("market:code:europe", "market:code:usa")


def revoke(emulator: Emulator, http: httpx.Client, token: str, **variant: Any) -> httpx.Response:
    """Request the revocation of a token."""
    settings = emulator.settings(CL, **variant)
    names = ("client_id", "client_secret")
    body = {name: settings[name] for name in names if name in settings} | {"token": token}
    url = settings["token_url"].replace("/token", "/revoke")
    return http.post(url, json={name: value for name, value in body.items() if value})


def test_integration_gets_a_token(requester: Any, clock: Any) -> None:
    """The response would lack a documented field."""
    fields = requester.token(CL).json()

    assert isinstance(fields.pop("access_token"), str)
    assert fields == {
        "token_type": "bearer",
        "expires_in": 7200,
        "scope": "market:all",
        "created_at": int(clock.time),
    }


def test_sales_channel_needs_no_secret(emulator: Emulator, requester: Any) -> None:
    """A public client would need a secret that it doesn't have."""
    assert "client_secret" not in emulator.settings(CL, kind="sales_channel")

    fields = requester.token(CL, kind="sales_channel", scope="market:code:europe").json()

    assert (fields["expires_in"], fields["scope"]) == (14_400, "market:code:europe")


def test_sales_channel_without_market_gets_a_token_without_scope(requester: Any) -> None:
    """A sales channel without a market, as the real server allows, could not be tested."""
    response = requester.token(CL, kind="sales_channel")

    assert response.status_code == 200
    assert "scope" not in response.json()


@pytest.mark.parametrize("kind", ["integration", "sales_channel"])
def test_token_names_organization_and_kind(
    kind: str, emulator: Emulator, requester: Any, jwt: Any
) -> None:
    """The API's URL could not be read from the token."""
    header, claims = jwt(requester.access_token(CL, kind=kind))

    assert header["alg"] == "RS512"
    assert set(claims["organization"]) == {"id", "slug", "enterprise", "region"}
    assert claims["organization"]["slug"] == emulator.settings(CL)["organization"]
    assert claims["application"]["kind"] == kind
    application = claims["application"]
    assert set(application) == {"id", "kind", "client_id", "confidential", "public"}
    assert application["public"] is not application["confidential"]
    assert application["client_id"] == emulator.settings(CL, kind=kind)["client_id"]
    assert claims["exp"] - claims["iat"] == {"integration": 7200, "sales_channel": 14_400}[kind]
    assert "market" not in claims


@pytest.mark.parametrize(
    ("scope", "markets", "locations"),
    [
        ("market:code:europe", ["xYZkjABcde"], ["WLgbSXqyoZ"]),
        (
            "market:id:xYZkjABcde market:code:usa",
            ["xYZkjABcde", "mrYUsaAbcD"],
            ["WLgbSXqyoZ", "nYUsaWareZ"],
        ),
    ],
)
def test_token_names_the_markets_in_scope(
    scope: str, markets: list[str], locations: list[str], requester: Any, jwt: Any
) -> None:
    """A storefront that reads its market from the token could not be tested."""
    _, claims = jwt(requester.access_token(CL, kind="sales_channel", scope=scope))

    assert claims["market"] == {
        "id": markets,
        "stock_location_ids": locations,
        "geocoder_id": None,
        "allows_external_prices": False,
    }


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_issuer_has_the_form_that_the_vendors_client_expects(
    name: str, http: httpx.Client, jwt: Any
) -> None:
    """The vendor's client would send secrets to a real host: it expects `https://auth.…`."""
    with Emulator(host=name) as emulator:
        settings = emulator.settings(CL)
        port = httpx.URL(settings["token_url"]).port
        body = {key: settings[key] for key in ("client_id", "client_secret")}
        issuers = []
        for number, host in enumerate([f"{name}:{port}", "auth.shop.localhost:8443"]):
            response = http.post(
                settings["token_url"],
                json=body | {"grant_type": "client_credentials", "scope": SCOPES[number]},
                headers={"Host": host},
            )
            issuers.append(jwt(response.json()["access_token"])[1]["iss"])

    assert issuers == [f"https://auth.localhost:{port}", "https://auth.shop.localhost:8443"]


def test_keys_verify_a_token(emulator: Emulator, http: httpx.Client, requester: Any) -> None:
    """A program that verifies tokens could not be tested."""
    url = emulator.settings(CL)["api_url"].removesuffix("/api")
    keys = KeySet.import_key_set(http.get(f"{url}/.well-known/jwks.json").json())

    token = jose_jwt.decode(requester.access_token(CL), keys, algorithms=["RS512"])

    assert token.claims["scope"] == "market:all"


def test_scopes_may_be_separated_by_commas(requester: Any) -> None:
    """The vendor's command line could not be used with several scopes."""
    scope = "market:code:europe,stock_location:code:eu_warehouse"

    assert requester.token(CL, scope=scope).json()["scope"] == scope.replace(",", " ")


def test_surplus_parameters_are_ignored(
    emulator: Emulator, http: httpx.Client, requester: Any
) -> None:
    """The vendor's command line would fail: it sends parameters that the server does not read."""
    settings = emulator.settings(CL)
    client = {key: settings[key] for key in ("client_id", "client_secret")}
    surplus = {"slug": "emulated", "domain": "localhost", "list": ["a"], "number": 7}
    grant = {"grant_type": "client_credentials", "scope": None}

    token = http.post(settings["token_url"], json=client | grant | surplus)
    surplus["scope"] = ["market:all"]
    body = client | surplus | {"token": token.json()["access_token"]}
    revoked = http.post(settings["token_url"].replace("/token", "/revoke"), json=body)

    assert (token.status_code, revoked.status_code) == (200, 200)
    assert requester.api(CL, token.json()["access_token"]).status_code == 401


def test_cross_origin_requests_are_allowed(emulator: Emulator, http: httpx.Client) -> None:
    """A storefront in a browser could not get a token."""
    settings = emulator.settings(CL, kind="sales_channel")
    website = {"Origin": "https://shop.example"}
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    body = {"grant_type": "client_credentials", "client_id": settings["client_id"]}
    url = settings["token_url"]
    emulator.fault(CL, "rate-limit")

    allowed = http.options(url, headers=website | asked)
    plain = http.options(url, headers=website | {"Access-Control-Request-Method": "GET"})
    responses = [http.post(url, json=body, headers=website) for _ in range(2)]

    assert [allowed.status_code, *(each.status_code for each in responses)] == [204, 429, 200]
    for response in [allowed, plain, *responses]:
        assert response.headers["access-control-allow-origin"] == "*"
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert allowed.headers["access-control-allow-headers"] == "content-type"
    assert "access-control-allow-headers" not in plain.headers
    assert emulator.token_requests(CL) == 2
    # Without these headers it is not a preflight request.
    assert http.options(url).status_code == 405
    assert http.options(url, headers=website).status_code == 405


@pytest.mark.parametrize(
    ("variant", "status", "title"),
    [
        ({"client_secret": "wrong-for-tests"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "unknown"}, 401, "invalid_client"),
        ({"kind": "sales_channel", "client_secret": "surplus-for-tests"}, 401, "invalid_client"),
        ({"kind": "webapp"}, 403, "unauthorized_client"),
        ({"scope": "market:code:atlantis"}, 400, "invalid_scope"),
        ({"scope": "market:code:closed"}, 400, "invalid_scope"),
        ({"scope": "nonsense"}, 400, "invalid_scope"),
        ({"scope": "store:code:atlantis"}, 400, "invalid_scope"),
        ({"scope": "stock_location:code:eu_warehouse"}, 400, "invalid_scope"),
        (
            {"scope": "market:code:usa stock_location:code:eu_warehouse"},
            400,
            "invalid_scope",
        ),
        ({"scope": 5}, 400, "invalid_request"),
    ],
)
def test_errors_have_their_own_format(
    variant: dict[str, Any], status: int, title: str, requester: Any
) -> None:
    """A client that knows only the errors of RFC 6749 would pass its tests."""
    response = requester.token(CL, **variant)

    [error] = response.json()["errors"]
    assert response.status_code == error["status"] == status
    assert error["title"] == title
    starts = {
        "invalid_client": "Client authentication failed due to unknown client, ",
        "invalid_request": "The request is missing a required parameter, includes an unsupported",
        "invalid_scope": "The requested scope is invalid, unknown, or malformed.",
        "unauthorized_client": "The client is not authorized to perform this request",
    }
    assert error["detail"].startswith(starts[title])
    # Clients that show the challenge instead of the error show the same message.
    assert (error["detail"] in response.headers.get("www-authenticate", "")) is (status == 401)
    assert error["code"] == {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN"}[status]


@pytest.mark.parametrize(
    "scope",
    [
        "market:all",
        "market:id:xYZkjABcde",
        "market:code:europe stock_location:code:eu_warehouse",
        "market:id:xYZkjABcde stock_location:id:WLgbSXqyoZ",
        "store:code:europe_store",
    ],
)
def test_documented_scopes_are_granted(scope: str, requester: Any) -> None:
    """A documented scope would be rejected."""
    assert requester.token(CL, scope=scope).json()["scope"] == scope


def test_unknown_grant_is_rejected(emulator: Emulator, http: httpx.Client) -> None:
    """The emulator would issue tokens for anything."""
    response = http.post(emulator.settings(CL)["token_url"], data={"grant_type": "password"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["title"] == "unsupported_grant_type"


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b"1" * 5000, b"\xff"])
def test_malformed_json_gets_the_error_of_the_framework(
    body: bytes, emulator: Emulator, http: httpx.Client
) -> None:
    """An `error` that is no OAuth code could not be tested."""
    response = http.post(
        emulator.settings(CL)["token_url"],
        content=body,
        headers={"Content-Type": "application/json"},
    )

    assert response.status_code == 400
    assert response.json() == {"status": 400, "error": "Bad Request"}


def test_same_token_is_returned_until_its_last_minutes(requester: Any, clock: Any) -> None:
    """A client that requests tokens in a loop until the overlap would pass its tests."""
    first = requester.token(CL).json()

    clock.time += 7200 - 901
    again = requester.token(CL).json()
    assert again == first | {"expires_in": 901}

    clock.time += 1
    new = requester.token(CL).json()
    assert new["access_token"] != first["access_token"]
    assert new["expires_in"] == 7200


def test_overlap_is_separate_for_each_client_and_scope(requester: Any) -> None:
    """Two connections would share one token."""
    variants: tuple[dict[str, str], ...] = (
        {},
        {"scope": "market:code:europe"},
        {"kind": "sales_channel", "scope": "market:code:europe"},
    )

    assert len({requester.access_token(CL, **variant) for variant in variants}) == 3


def test_token_shorter_than_the_overlap_is_always_new(emulator: Emulator, requester: Any) -> None:
    """The emulator would return a token that is about to expire."""
    emulator.set_lifetime(CL, 2)

    first, second = requester.token(CL).json(), requester.token(CL).json()

    assert first["expires_in"] == second["expires_in"] == 2
    assert first["access_token"] != second["access_token"]


def test_requests_while_blocked_prolong_the_block(requester: Any, clock: Any) -> None:
    """A client that ignores Retry-After would pass its tests."""
    assert [requester.token(CL).status_code for _ in range(31)] == [200] * 30 + [429]
    for _ in range(60):
        clock.time += 1.9
        limited = requester.token(CL)
        assert limited.status_code == 429
    assert limited.json()["errors"][0]["status"] == 429
    assert "retry-after" not in limited.headers

    clock.time += 60
    assert requester.token(CL).status_code == 200


@pytest.mark.parametrize("variant", [{}, {"kind": "sales_channel"}])
def test_revoked_token_is_rejected(
    variant: dict[str, str], emulator: Emulator, http: httpx.Client, requester: Any
) -> None:
    """A client whose revocation has no effect would pass its tests."""
    token = requester.access_token(CL, **variant)
    assert requester.api(CL, token).status_code == 200

    for _ in range(2):
        response = revoke(emulator, http, token, **variant)
        assert (response.status_code, response.json()) == (200, {})

    assert requester.api(CL, token).status_code == 401
    assert requester.access_token(CL, **variant) != token
    assert emulator.token_requests(CL) == 2


@pytest.mark.parametrize(
    ("variant", "status"),
    [
        ({"client_secret": "wrong-for-tests"}, 401),
        ({"kind": "sales_channel"}, 400),
    ],
)
def test_only_its_own_client_revokes_a_token(
    variant: dict[str, str], status: int, emulator: Emulator, http: httpx.Client, requester: Any
) -> None:
    """Any client could revoke the token of another."""
    token = requester.access_token(CL)

    assert revoke(emulator, http, token, **variant).status_code == status
    assert requester.api(CL, token).status_code == 200


def test_revocation_without_a_token_is_an_error(emulator: Emulator, http: httpx.Client) -> None:
    """A revocation without a token (RFC 7009 section 2.1) would look like a success."""
    assert revoke(emulator, http, "").status_code == 400
    url = emulator.settings(CL)["token_url"].replace("/token", "/revoke")
    assert http.post(url, content=b"{").status_code == 400
    assert http.get(url).status_code == 405


def test_api_distinguishes_a_bad_token_from_a_missing_permission(
    emulator: Emulator, http: httpx.Client, requester: Any
) -> None:
    """A client that renews its token for a missing permission would pass its tests."""
    url = emulator.settings(CL)["api_url"]
    headers = {"Authorization": f"Bearer {requester.access_token(CL)}"}

    bad = requester.api(CL, "made-up")
    forbidden = http.get(f"{url}/webhooks", headers=headers)

    assert bad.status_code == forbidden.status_code == 401
    assert "invalid_token" in bad.headers["www-authenticate"]
    assert bad.json()["errors"][0]["code"] == "INVALID_TOKEN"
    assert bad.json()["errors"][0]["status"] == "401"
    assert forbidden.json()["errors"][0]["code"] == "UNAUTHORIZED"
    assert http.get(f"{url}/moon", headers=headers).status_code == 404
    assert http.get(url.replace("/api", "/moon"), headers=headers).status_code == 404


@pytest.mark.parametrize("kind", ["integration", "sales_channel"])
def test_client_reads_its_own_organization(
    kind: str, emulator: Emulator, http: httpx.Client, requester: Any
) -> None:
    """The vendor's command line could not log in, because it shows the organization's name."""
    url = emulator.settings(CL)["api_url"]
    headers = {"Authorization": f"Bearer {requester.access_token(CL, kind=kind)}"}

    found = [http.get(f"{url}/{path}", headers=headers) for path in ("organization", "application")]

    organization, application = [response.json()["data"] for response in found]
    assert organization["type"] == "organizations"
    assert organization["attributes"]["slug"] == emulator.settings(CL)["organization"]
    assert (application["type"], application["attributes"]["kind"]) == ("applications", kind)
    assert http.get(f"{url}/organization").status_code == 401


def test_api_returns_the_markets(requester: Any) -> None:
    """The protected resource would differ from its documentation."""
    response = requester.api(CL, requester.access_token(CL))

    assert response.headers["content-type"] == "application/vnd.api+json"
    assert response.json()["data"][0]["type"] == "markets"
