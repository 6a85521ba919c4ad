"""The rules of `commercelayer`, from its documentation and its JavaScript client."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn.integrations import RequestAuth

if TYPE_CHECKING:
    from tests.conftest import World

EUROPE: dict[str, Any] = {"kind": "sales_channel", "market": "code:europe", "client_secret": None}
INTEGRATION: dict[str, Any] = {"kind": "integration"}


def jwt(**claims: object) -> str:
    """Return a token in Commerce Layer's format, with an invalid signature."""
    parts = ({"alg": "RS512", "typ": "JWT"}, claims)
    return ".".join(
        [
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
            for part in parts
        ]
        + ["c2lnbmF0dXJl"]
    )


def refused(**settings: Any) -> list[str]:
    """Return the problems of settings that must be refused."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect("commercelayer", client_id="cid", **settings)
    return list(map(str, caught.value.problems))


def test_sales_channel_needs_no_secret(world: World) -> None:
    """The public client of a browser could not get a token."""
    connection = world.connect("commercelayer", **EUROPE)

    assert connection.token().access_token == "token-1"
    assert b"client_secret" not in world.endpoint.requests[0].body


def test_integration_needs_a_secret() -> None:
    """The token request would be refused, and count against the rate limit."""
    assert refused(**INTEGRATION) == ["client_secret: is required for an integration"]


def test_sales_channel_without_market_causes_a_warning(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The user would notice the missing market only in unclear API responses."""
    world.connect("commercelayer", **INTEGRATION)
    world.connect("commercelayer", **EUROPE)
    assert caplog.text == ""

    connection = world.connect("commercelayer", kind="sales_channel", name="shop")
    assert "shop: Commerce Layer documents that a sales channel needs a market" in caplog.text
    assert connection.token().access_token == "token-1"


def test_market_can_be_required() -> None:
    """The setting that requires a market would have no effect."""
    assert refused(kind="sales_channel", require_market=True) == [
        "market: is required for a sales channel"
    ]
    assert refused(kind="sales_channel", require_market=True, scope="store:id:x") == [
        "scope: must have a market for a sales channel"
    ]
    connection = keyturn.connect("commercelayer", client_id="cid", **EUROPE, require_market=True)
    assert connection.token_request().scope == ("market:code:europe",)


def test_stock_location_without_market_is_refused_before_any_request() -> None:
    """The server would respond with 400, after a token request that could not succeed."""
    (problem,) = refused(kind="sales_channel", stock_location="id:WLgbSXqyoZ")
    assert problem == "market: is required with a stock location"
    (problem,) = refused(kind="sales_channel", scope="stock_location:id:WLgbSXqyoZ")
    assert problem == "scope: must have a market beside its stock location"


@pytest.mark.parametrize("lifetime", [60, 0, -1, 7199, 31_536_001])
def test_lifetime_outside_the_documented_range_is_refused(lifetime: int) -> None:
    """A lifetime that Commerce Layer does not support would be used."""
    assert refused(**EUROPE, lifetime=lifetime) == [
        "lifetime: must be from 7200 to 31536000 seconds"
    ]


WRONG_SELECTORS = ["europe", "code:", "id:", ":x", "slug:x", "code:a b"]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *((name, wrong) for name in ("market", "stock_location") for wrong in WRONG_SELECTORS),
        ("store_scope", "code:"),
        ("store_scope", "all"),
        ("stock_location", "all"),
    ],
)
def test_selectors_are_checked_and_named(name: str, wrong: str) -> None:
    """A mistyped selector would be sent, or be reported for another setting."""
    market = {} if name == "market" else {"market": "code:europe"}
    (problem,) = refused(**{"kind": "sales_channel"} | market | {name: wrong})

    assert problem.startswith(f"{name}: must be id:… or code:…")


@pytest.mark.parametrize(
    "scope", ["market", "market:x", "webapp:code:x", "store:all", "market:id:"]
)
def test_whole_scope_is_checked(scope: str) -> None:
    """A mistyped scope would be sent."""
    (problem,) = refused(kind="sales_channel", scope=scope)

    assert problem.startswith("scope: must have scope values such as market:code:europe")


def test_two_settings_for_the_scope_are_refused() -> None:
    """One of two contradicting settings would be ignored silently."""
    problems = refused(**EUROPE, scope="market:code:usa")

    assert problems == ["scope: can't be given beside market, stock_location or store_scope"]


LIFETIMES: list[tuple[dict[str, Any], float]] = [
    (EUROPE, 14_400),
    (INTEGRATION, 7_200),
    (EUROPE | {"lifetime": 7_200}, 7_200),
    (INTEGRATION | {"lifetime": 31_536_000}, 31_536_000),
]


@pytest.mark.parametrize(("settings", "seconds"), LIFETIMES)
def test_missing_lifetime_is_that_of_the_application_kind_or_the_setting(
    world: World, settings: dict[str, Any], seconds: float
) -> None:
    """A token would be renewed far too often, or used after its expiry."""
    world.endpoint.responses.append(world.endpoint.token("t", expires_in=None))
    token = world.connect("commercelayer", **settings).token()

    assert token.expires_at == world.clock.now + seconds


def test_lifetime_in_the_response_overrides_the_setting(world: World) -> None:
    """A token with a shorter lifetime than configured would be used after its expiry."""
    world.endpoint.responses.append(world.endpoint.token("t", expires_in=7200, token_type="bearer"))
    token = world.connect("commercelayer", **EUROPE, lifetime=86_400).token()

    assert token.expires_at == world.clock.now + 7200
    assert token.token_type == "bearer"


def test_api_header_is_bearer_in_any_spelling_of_the_response(world: World) -> None:
    """Servers that compare the scheme case-sensitively would refuse `bearer`."""
    fields = {"token_type": "bearer", "created_at": 1_800_000_000, "scope": "market:code:europe"}
    world.endpoint.responses.append(world.endpoint.token("t", **fields))
    connection = world.connect("commercelayer", **EUROPE)

    assert connection.headers() == {
        "Authorization": "Bearer t",
        "Accept": "application/vnd.api+json",
    }
    assert connection.token().extra == {"created_at": 1_800_000_000}


def test_rate_limit_stays_below_thirty_in_any_minute(world: World) -> None:
    """The sliding window would block this IP address, and each retry would prolong the block."""
    connection = world.connect("commercelayer", **EUROPE)
    sent: list[float] = []
    for _ in range(600):
        connection.forget()
        try:
            connection.token()
        except keyturn.errors.RateLimited:
            world.clock.advance(0.5)
        else:
            sent.append(world.clock.now)

    assert len(sent) > 30
    assert max(sum(start <= at < start + 60 for at in sent) for start in sent) <= 30


@pytest.mark.parametrize("margin", [300, 5000])
def test_margin_is_capped_at_the_overlap_window(world: World, margin: float) -> None:
    """Requests before the last 15 minutes would return the same token in an endless loop."""
    world.endpoint.responses.append(world.endpoint.token("t", expires_in=86_400))
    connection = world.connect("commercelayer", options={"margin": margin}, **EUROPE)
    connection.token()

    world.clock.advance(86_400 - 901)
    connection.token()
    world.land()
    assert len(world.endpoint.requests) == 1

    world.clock.advance(901 - min(margin, 900) * 0.75 + 1)
    assert connection.token().access_token == "t"
    world.land()
    assert connection.token().access_token == "token-2"
    assert len(world.endpoint.requests) == 2


def test_same_token_in_the_response_is_neither_an_error_nor_a_loop(world: World) -> None:
    """Every call near a token's expiry would send a token request, and use up the rate limit."""
    connection = world.connect("commercelayer", **EUROPE)
    first = connection.token()
    end = world.clock.now + 3600
    for _ in range(3400):
        world.clock.advance(1)
        left = int(end - world.clock.now)
        world.endpoint.responses = [world.endpoint.token("token-1", expires_in=left)]
        assert connection.token().access_token == first.access_token
        world.land()

    assert 2 <= len(world.endpoint.requests) <= 10


def test_refused_token_that_the_server_returns_again_is_used(world: World) -> None:
    """An API's 401 would cause endless token requests."""
    connection = world.connect("commercelayer", **EUROPE)
    first = connection.token()
    world.endpoint.responses = [world.endpoint.token(first.access_token, expires_in=3000)]

    assert connection.token(stale=first).access_token == first.access_token
    assert connection.token().access_token == first.access_token
    assert len(world.endpoint.requests) == 2


ERRORS: list[tuple[int, object, type[keyturn.errors.KeyturnError], str, str]] = [
    (
        401,
        {
            "errors": [
                {
                    "title": "invalid_client",
                    "detail": "Client authentication failed",
                    "code": "UNAUTHORIZED",
                    "status": 401,
                }
            ]
        },
        keyturn.errors.InvalidClient,
        "invalid_client",
        "invalid_client: Client authentication failed",
    ),
    (
        400,
        {"errors": {"title": "invalid_scope", "detail": "No such market", "status": "400"}},
        keyturn.errors.InvalidScope,
        "invalid_scope",
        "No such market",
    ),
    (
        403,
        {"errors": [{"title": "unauthorized_client", "status": 403}]},
        keyturn.errors.TokenRequestRefused,
        "unauthorized_client",
        "Enable the client-credentials grant",
    ),
    (
        422,
        {"errors": [{"title": "Stock location isn't in the market", "detail": "See the docs"}]},
        keyturn.errors.TokenRequestRefused,
        "",
        "Stock location isn't in the market See the docs",
    ),
    (
        401,
        {"errors": [{"title": "invalid_client", "detail": 7}]},
        keyturn.errors.InvalidClient,
        "invalid_client",
        "(HTTP 401, invalid_client)",
    ),
    (400, {"errors": [{}]}, keyturn.errors.TokenRequestRefused, "", "(HTTP 400)"),
    (400, {"errors": []}, keyturn.errors.TokenRequestRefused, "", "(HTTP 400)"),
    (400, {"errors": "no"}, keyturn.errors.TokenRequestRefused, "", "(HTTP 400: no)"),
    (200, {"errors": ["no"], "access_token": "t0ken", "token_type": "bearer", "expires_in": 60},
     keyturn.errors.InvalidTokenResponse, "", "no"),
    (400, [], keyturn.errors.TokenRequestRefused, "", "(HTTP 400)"),
    (400, {"error": "invalid_grant"}, keyturn.errors.TokenRequestRefused, "invalid_grant", ""),
    (200, {"errors": [{"title": "invalid_client"}]}, keyturn.errors.InvalidClient,
     "invalid_client", ""),
    (500, {"errors": [{"title": "oops"}]}, keyturn.errors.EndpointUnavailable, "", "oops"),
    (503, {"errors": [{"title": "server_error"}]}, keyturn.errors.EndpointUnavailable, "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("status", "fields", "kind", "code", "words"), ERRORS)
def test_errors_in_every_format_are_understood(
    world: World,
    status: int,
    fields: object,
    kind: type[keyturn.errors.KeyturnError],
    code: str,
    words: str,
) -> None:
    """The reason would be missing, because Commerce Layer's errors don't follow RFC 6749."""
    world.endpoint.responses += [world.endpoint.response(status, fields)] * 3

    with pytest.raises(keyturn.errors.KeyturnError) as caught:
        world.connect("commercelayer", **EUROPE).token()
    assert type(caught.value) is kind
    assert getattr(caught.value, "error", "") == code
    assert words in str(caught.value)


API_401 = [
    ({"errors": [{"code": "INVALID_TOKEN", "status": "401"}]}, True),
    ({"errors": [{"code": "UNAUTHORIZED", "status": "401"}]}, False),
    ({"errors": {"code": "UNAUTHORIZED"}}, False),
    ({"errors": [{"title": "no code"}]}, True),
    ([], True),
]


@pytest.mark.parametrize(("fields", "rejected"), API_401)
def test_missing_permission_causes_no_token_request(
    world: World, fields: object, rejected: bool
) -> None:
    """Every forbidden API request would cause a token request that cannot help."""
    connection = world.connect("commercelayer", **EUROPE)

    response = world.endpoint.response(401, fields)
    assert connection.provider.token_rejected(connection.settings, response) is rejected


def test_api_url_is_derived_from_the_tokens_organization(world: World) -> None:
    """The user would have to set an API URL that the token already contains."""
    claims = {"organization": {"slug": "acme-store"}, "iss": "https://auth.evil.example"}
    world.endpoint.responses.append(world.endpoint.token(jwt(**claims)))
    connection = world.connect("commercelayer", **EUROPE)

    assert connection.api_url == "https://acme-store.commercelayer.io/api"
    authorized = RequestAuth(connection).authorize("GET", f"{connection.api_url}/orders", {})
    assert authorized.url == "https://acme-store.commercelayer.io/api/orders"


HOSTILE_SLUGS = [
    "evil.example/",
    "evil.example#",
    "evil.example?",
    "user@evil",
    "evil:8443",
    "evil.example",
    "a..b",
    "-a",
    "",
    "\r\nHost: evil",
    "\uff41cme",
    "a" * 64,
    None,
    7,
    ["acme"],
    {"slug": "acme"},
]


@pytest.mark.parametrize("slug", HOSTILE_SLUGS)
def test_hostile_organization_in_a_token_is_never_used(world: World, slug: object) -> None:
    """API requests would send the token to a host that only the token names."""
    claims = {"organization": {"slug": slug}, "iss": "https://evil.example"}
    world.endpoint.responses.append(world.endpoint.token(jwt(**claims)))
    connection = world.connect("commercelayer", **EUROPE)

    with pytest.raises(keyturn.errors.ConfigurationError, match=r"is unknown\. Set api_url"):
        _ = connection.api_url


@pytest.mark.parametrize(
    "token",
    ["opaque", "a.b.c", "..", "a.!!!.c", "a.W10.c", "a.e30.c", f"a.{'W' * 5000}.c", "a.eyJv.c"],
)
def test_token_without_an_organization_is_an_error_only_for_the_api_url(
    world: World, token: str
) -> None:
    """A token in another format would cause a raw error instead of naming the setting."""
    world.endpoint.responses.append(world.endpoint.token(token))
    connection = world.connect("commercelayer", **EUROPE)

    with pytest.raises(keyturn.errors.ConfigurationError, match=r"Set api_url"):
        _ = connection.api_url
    assert connection.token().access_token == token


API_URLS = [
    ({"organization": "acme"}, "https://acme.commercelayer.io/api"),
    ({"organization": "acme", "domain": "commercelayer.co"}, "https://acme.commercelayer.co/api"),
    ({"api_url": "https://api.example"}, "https://api.example"),
]


@pytest.mark.parametrize(("settings", "address"), API_URLS)
def test_api_url_from_the_settings_needs_no_token_request(
    world: World, settings: dict[str, Any], address: str
) -> None:
    """A token request would be sent for an API URL that is already known."""
    assert world.connect("commercelayer", **EUROPE, **settings).api_url == address
    assert world.endpoint.requests == []


@pytest.mark.parametrize("domain", ["evil.example/", "a:80", "user@a", "a..b", "A.example"])
def test_domain_is_checked(domain: str) -> None:
    """The secret would be sent to another host than a reader of the setting expects."""
    (problem,) = refused(**EUROPE, domain=domain)

    assert problem.startswith("domain: must be a domain name")


def test_revocation_forgets_the_token(world: World) -> None:
    """A revoked token would still be used."""
    connection = world.connect("commercelayer", **INTEGRATION)
    connection.token()
    world.endpoint.responses.append(world.endpoint.response(200, {}))
    connection.revoke()

    sent = world.endpoint.requests[1]
    assert sent.url == "https://auth.commercelayer.io/oauth/revoke"
    assert json.loads(sent.body) == {
        "client_id": "cid",
        "client_secret": "s3cret-for-tests",
        "token": "token-1",
    }
    assert connection.token().access_token == "token-3"


def test_refused_revocation_is_reported_and_keeps_the_token(world: World) -> None:
    """A failed revocation would look successful, although the token is still valid."""
    connection = world.connect("commercelayer", **INTEGRATION)
    token = connection.token()
    errors = {"errors": [{"title": "unauthorized_client", "code": "FORBIDDEN"}]}
    world.endpoint.responses.append(world.endpoint.response(403, errors))

    with pytest.raises(keyturn.errors.TokenRequestRefused, match="unauthorized_client"):
        connection.revoke()
    assert connection.token() == token


def test_revocation_follows_a_configured_token_endpoint(world: World) -> None:
    """The secret would be sent to Commerce Layer although another endpoint is set."""
    connection = world.connect(
        "commercelayer", **INTEGRATION, token_url="https://auth.example/oauth/token"
    )
    request = connection.provider.revocation_request(connection.settings, connection.token())

    assert request is not None
    assert request.url == "https://auth.example/oauth/revoke"


def test_stale_token_is_renewed_in_its_last_minutes(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A fresh token would be renewed at each call, or an expired one be used."""
    caplog.set_level(logging.WARNING)
    connection = world.connect("commercelayer", **EUROPE)
    first = connection.token()
    world.clock.advance(3600 - 301)
    assert connection.token() is first
    world.land()
    assert len(world.endpoint.requests) == 1  # the token is fresh

    world.clock.advance(101)
    assert connection.token() is first
    world.land()
    assert len(world.endpoint.requests) == 2  # the token was stale
    assert connection.token().access_token == "token-2"

    world.clock.advance(3600)
    assert connection.token().access_token == "token-3"  # the second token has expired
    assert caplog.text == ""


def test_scope_is_a_string_or_a_list() -> None:
    """A scope as a list, which other providers accept, would be refused."""
    account = {"kind": "integration", "client_id": "cid", "client_secret": "s3cret-for-tests"}
    scopes = [
        "market:code:europe stock_location:id:x",
        ("market:code:europe", "stock_location:id:x"),
    ]
    for scope in (*scopes, list(scopes[1])):
        request = keyturn.connect("commercelayer", **account, scope=scope).token_request()
        assert request.scope == scopes[1]
