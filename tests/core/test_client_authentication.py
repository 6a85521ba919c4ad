"""Client authentication: each method, what it sends, and which parts are masked."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from joserfc import jwk, jwt
from tests.keys import OTHER_RSA, RSA

import keyturn
from keyturn import errors
from keyturn._http.request import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer, World

    Platform = Callable[..., keyturn.Connection]

SECRET = "s3cret-for-tests"
GRANT = "grant_type=client_credentials"
ODD = {"client_id": "a b", "client_secret": "c:d%é€"}
NO_SECRET = {"client_secret": None}
RENAMED = {"client_id_name": "X-App-Id", "client_secret_name": "X-App-Key"}


def basic(text: str) -> dict[str, str]:
    """Return the header of HTTP Basic for credentials encoded manually."""
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


class Way(NamedTuple):
    """One way to authenticate: a platform's data, settings, and what is sent for them."""

    data: dict[str, Any]
    settings: dict[str, Any]
    body: str
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


def way(name: str, **more: Any) -> dict[str, Any]:
    """Return a platform's data with one way to authenticate."""
    return {"client_authentication": name, **more}


WAYS = {
    "post": Way({}, {}, f"{GRANT}&client_id=cid&client_secret={SECRET}"),
    "post-odd": Way({}, ODD, f"{GRANT}&client_id=a+b&client_secret=c%3Ad%25%C3%A9%E2%82%AC"),
    "post-renamed": Way(
        {"client_id_name": "app", "client_secret_name": "key"}, {}, f"{GRANT}&app=cid&key={SECRET}"
    ),
    "post-no-id": Way({"client_id_name": ""}, {}, f"{GRANT}&client_secret={SECRET}"),
    "post-no-secret": Way({"client_secret_name": ""}, {}, f"{GRANT}&client_id=cid"),
    "post-public": Way({"credentials": "public"}, NO_SECRET, f"{GRANT}&client_id=cid"),
    "post-none": Way({"credentials": "none"}, {}, GRANT),
    "post-empty": Way({"credentials": "none", "grant_type": ""}, {}, ""),
    "basic": Way(way("client_secret_basic"), {}, GRANT, basic(f"cid:{SECRET}")),
    "basic-odd": Way(way("client_secret_basic"), ODD, GRANT, basic("a+b:c%3Ad%25%C3%A9%E2%82%AC")),
    "basic-public": Way(
        way("client_secret_basic", credentials="public"), NO_SECRET, f"{GRANT}&client_id=cid"
    ),
    "basic-key-alone": Way(
        way(
            "client_secret_basic",
            credentials="none",
            settings={"client_secret": {"kind": "secret", "title": "API key"}},
        ),
        {"client_secret": SECRET},
        GRANT,
        basic(f":{SECRET}"),
    ),
    "raw": Way(way("client_secret_basic_raw"), {}, GRANT, basic(f"cid:{SECRET}")),
    "raw-odd": Way(way("client_secret_basic_raw"), ODD, GRANT, basic("a b:c:d%é€")),
    "headers": Way(
        way("client_secret_headers", **RENAMED),
        {},
        GRANT,
        {"X-App-Id": "cid", "X-App-Key": SECRET},
    ),
    "headers-id-alone": Way(
        way("client_secret_headers", **RENAMED, credentials="public"),
        NO_SECRET,
        GRANT,
        {"X-App-Id": "cid"},
    ),
    "headers-secret-alone": Way(
        way("client_secret_headers", **RENAMED | {"client_id_name": ""}),
        {},
        GRANT,
        {"X-App-Key": SECRET},
    ),
    "certificate": Way(
        way("tls_client_auth"), {"certificate": "/made/up.pem"}, f"{GRANT}&client_id=cid"
    ),
    "certificate-no-id": Way(
        way("tls_client_auth", client_id_name=""), {"certificate": "/made/up.pem"}, GRANT
    ),
}
each_way = pytest.mark.parametrize("case", WAYS.values(), ids=WAYS)


@each_way
def test_client_authenticates_with_this_method(platform: Platform, case: Way) -> None:
    """The server would not identify the client, or would refuse two methods at once."""
    request = platform(case.data, **case.settings).token_request()
    usual = {"Accept", "Accept-Encoding", "Content-Type"}
    headers = {name: value for name, value in request.headers.items() if name not in usual}

    assert request.body.decode() == case.body
    assert headers == case.headers


@each_way
def test_revocation_authenticates_with_the_same_method(
    world: World, platform: Platform, case: Way
) -> None:
    """A revocation would be refused, because the client is not identified (RFC 7009, 2.1)."""
    address = "https://login.acme.example/revoke"
    connection = platform({**case.data, "revocation_url": address}, **case.settings)
    connection.token()
    world.endpoint.responses.append(keyturn.plugins.Response(200))
    connection.revoke()
    first, sent = world.endpoint.requests

    grant = case.body.removeprefix(GRANT).removeprefix("&")
    assert (sent.method, sent.url) == ("POST", address)
    assert sent.body.decode() == "&".join(filter(None, [grant, "token=token-1"]))
    assert case.headers.items() <= sent.headers.items()
    assert sent.certificate == first.certificate
    assert "token-1" not in str(sent.redacted().body) + repr(sent)


@each_way
def test_secret_is_masked_however_it_is_sent(platform: Platform, case: Way) -> None:
    """A reader of a transcript would see the secret."""
    connection = platform(case.data, **case.settings)
    request = connection.token_request()
    shown = request.redacted()
    shown_text = connection.explain() + repr(request) + str(shown.headers) + shown.body.decode()
    secret = case.settings.get("client_secret", SECRET)

    for hidden in (secret, *(value for value in case.headers.values() if value != "cid")):
        assert hidden is None or hidden not in shown_text


# --- private_key_jwt ---


def pem(key: Any, password: bytes | None = None) -> str:
    """Return a private key as PEM."""
    kind = serialization.BestAvailableEncryption(password) if password else None
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        kind or serialization.NoEncryption(),
    ).decode()


KEYS = {
    "RS256": RSA,
    "PS256": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
KEY = pem(RSA)
JWT = way("private_key_jwt")


def opened(assertion: str, algorithm: str = "RS256") -> jwt.Token:
    """Return a decoded assertion, after verifying its signature with the public key."""
    public = KEYS[algorithm].public_key()
    kind = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}[algorithm[:2]]
    text = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return jwt.decode(assertion, jwk.JWKRegistry.import_key(text, kind), algorithms=[algorithm])


def assertion_of(request: keyturn.plugins.TokenRequest, name: str = "client_assertion") -> str:
    """Return the assertion in a form."""
    return parse_qs(request.body.decode())[name][0]


# joserfc advises against the general name EdDSA, but servers know only this name.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", KEYS)
def test_assertion_is_signed_as_rfc_7523_says(platform: Platform, algorithm: str) -> None:
    """The server would refuse the client: signature, key, audience or times would be wrong."""
    connection = platform(
        JWT | {"assertion_algorithm": algorithm}, private_key=pem(KEYS[algorithm]), key_id="key-1"
    )
    before = int(time.time())
    fields = parse_qs(connection.token_request().body.decode())
    after = time.time()
    token = opened(fields.pop("client_assertion")[0], algorithm)
    times = {name: token.claims.pop(name) for name in ("iat", "exp")}

    assert fields == {
        "grant_type": ["client_credentials"],
        "client_id": ["cid"],
        "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
    }
    assert token.header == {"alg": algorithm, "typ": "JWT", "kid": "key-1"}
    assert len(token.claims.pop("jti")) == 36
    assert token.claims == {"iss": "cid", "sub": "cid", "aud": "https://login.acme.example/token"}
    assert before <= times["iat"] <= after
    assert times["exp"] - times["iat"] == 300


DATA_OF_ASSERTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "audience": ({"assertion_audience": "https://{tenant}.example"}, {}, {"aud": "https://t.example"}),
    "replaced": ({"assertion_claims": {"sub": "user-{tenant}"}}, {"iss": "cid"}, {"sub": "user-t"}),
    "none": ({"assertion_claims": {"for": "{user}"}}, {"sub": "cid"}, {"for": None}),
    "left out": ({"assertion_claims": {"sub": ""}}, {"iss": "cid"}, {"sub": None}),
    "scope": ({"assertion_claims": {"scope": "{scope}"}}, {}, {"scope": "a b"}),
    "secret": ({"assertion_claims": {"pin": "{pin}"}}, {}, {"pin": "1234"}),
}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "kept", "changed"), DATA_OF_ASSERTIONS.values(), ids=DATA_OF_ASSERTIONS
)
def test_claims_are_those_that_the_platform_describes(
    platform: Platform, data: dict[str, Any], kept: dict[str, Any], changed: dict[str, Any]
) -> None:
    """A platform's own claims could not be sent, or a secret claim would be sent masked."""
    settings = {
        "tenant": {"kind": "label", "title": "Tenant", "default": "t"},
        "user": {"title": "User", "optional": True},
        "pin": {"kind": "secret", "title": "PIN", "default": "1234"},
        "scope": {"kind": "scope", "title": "Scope", "default": ["a", "b"]},
    }
    used = {name: each for name, each in settings.items() if f"{{{name}}}" in str(data)}
    connection = platform(JWT | data | {"settings": used}, private_key=KEY)
    claims = opened(assertion_of(connection.token_request())).claims

    for name, value in (kept | changed).items():
        assert claims.get(name) == value


# The field with the JWT, the data of the platform, and a function that finds the JWT.
NAMED: dict[str, tuple[dict[str, Any], Any]] = {
    "header": (
        {"token_headers": {"Authorization": "Bearer {assertion}"}},
        lambda _, headers, __: headers["Authorization"].removeprefix("Bearer "),
    ),
    "query": (
        {"query": {"jwt": "{assertion}"}},
        lambda url, _, __: parse_qs(url.partition("?")[2])["jwt"][0],
    ),
    "parameter": (
        {"body_format": "json", "parameters": {"proof": {"jwt": "{assertion}"}}},
        lambda _, __, body: json.loads(body)["proof"]["jwt"],
    ),
    "body": (
        {"content_type": "application/xml", "body": "<jwt>{assertion}</jwt>"},
        lambda _, __, body: body.removeprefix("<jwt>").removesuffix("</jwt>"),
    ),
}


@pytest.mark.parametrize(("data", "found"), NAMED.values(), ids=NAMED)
def test_assertion_is_sent_where_a_template_names_it(
    platform: Platform, data: dict[str, Any], found: Callable[..., str]
) -> None:
    """GitHub's and Yandex's flows could not be described: their JWT is no OAuth parameter."""
    connection = platform(JWT | data, private_key=KEY)
    request = connection.token_request()
    url, headers, body = encode(request, time.time())
    sent = found(url, headers, body.decode())

    assert opened(sent).claims["aud"] == "https://login.acme.example/token"
    assert "client_assertion" not in url + body.decode()
    assert KEY not in repr(request)
    assert sent not in connection.explain()
    assert platform(JWT, private_key=KEY).token_request().fingerprint != request.fingerprint
    others = platform(JWT | data, private_key=pem(OTHER_RSA))
    assert others.token_request().fingerprint != request.fingerprint


def test_assertion_that_is_used_twice_is_signed_once(platform: Platform) -> None:
    """Two JWTs, each with its own `jti`, would be sent, and signing would take twice as long."""
    headers = {"X-A": "{assertion}", "X-B": "b {assertion}"}
    sent = platform(JWT | {"token_headers": headers}, private_key=KEY).token_request().headers

    assert sent["X-B"] == f"b {sent['X-A']}"


def test_setting_may_be_named_assertion(platform: Platform) -> None:
    """A JWT that the user signed would be replaced, or would not be sent."""
    settings = {"assertion": {"kind": "secret", "title": "Assertion"}}
    data = {"settings": settings, "credentials": "none", "parameters": {"jwt": "{assertion}"}}
    body = platform(data, assertion="made.up.jwt").token_request().body

    assert body == b"grant_type=client_credentials&jwt=made.up.jwt"


def test_body_must_name_the_assertion() -> None:
    """The request would be sent without the client's authentication."""
    data = {
        "name": "acme",
        "token_url": "https://login.acme.example/token",
        "client_authentication": "private_key_jwt",
        "content_type": "application/xml",
        "body": "<a/>",
    }
    with pytest.raises(
        errors.ConfigurationError, match=r"body: must name \{assertion\}, the JWT of"
    ):
        keyturn.plugins.provider_from_data(data)


@pytest.mark.parametrize("algorithm", ["", "HS256", "HS384", "HS512"])
def test_assertion_may_be_signed_with_the_secret(platform: Platform, algorithm: str) -> None:
    """OpenID Connect's client_secret_jwt could not be described, or its HMAC would be wrong."""
    data = way("client_secret_jwt", assertion_algorithm=algorithm)
    connection = platform(data, client_secret="short")
    request = connection.token_request()
    fields = parse_qs(request.body.decode())
    head, claims, signature = fields.pop("client_assertion")[0].split(".")
    name = algorithm or "HS256"
    wanted = hmac.digest(b"short", f"{head}.{claims}".encode(), f"sha{name[2:]}")

    assert base64.urlsafe_b64decode(signature + "==") == wanted
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": name, "typ": "JWT"}
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert said.pop("exp") - said.pop("iat") == 300
    assert len(said.pop("jti")) == 36
    assert said == {"iss": "cid", "sub": "cid", "aud": "https://login.acme.example/token"}
    assert fields == {
        "grant_type": ["client_credentials"],
        "client_id": ["cid"],
        "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
    }
    assert platform(data, client_secret="other").token_request().fingerprint != request.fingerprint


@pytest.mark.parametrize(
    ("way_of", "algorithm", "problem"),
    [
        ("client_secret_jwt", "RS256", "must be one of HS256, HS384, HS512 with client_secret_jwt"),
        ("private_key_jwt", "HS256", "HS256, HS384, HS512 are for client_secret_jwt only"),
    ],
)
def test_algorithm_must_fit_the_key(way_of: str, algorithm: str, problem: str) -> None:
    """Anyone with the public key could sign as the client, or the key could not be read."""
    data = way(way_of, assertion_algorithm=algorithm)
    url = {"name": "acme", "token_url": "https://login.acme.example/token"}
    with pytest.raises(errors.ConfigurationError, match=f"assertion_algorithm: {problem}"):
        keyturn.plugins.provider_from_data(data | url)


def test_claim_may_be_new_each_time(platform: Platform) -> None:
    """A nonce would be repeated, and a server would refuse it."""
    connection = platform(JWT | {"assertion_claims": {"nonce": "{uuid}"}}, private_key=KEY)
    request = connection.token_request()
    nonces = {opened(assertion_of(request)).claims["nonce"] for _ in range(3)}
    constant = platform(JWT | {"assertion_claims": {"nonce": "RandomId"}}, private_key=KEY)

    assert len(nonces) == 3
    assert constant.token_request().fingerprint != request.fingerprint


def test_assertion_may_be_the_grant_itself(platform: Platform) -> None:
    """An assertion as the grant (RFC 7523, 2.1) would be sent with an assertion type."""
    data = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion_name": "assertion",
        "assertion_lifetime": 60,
        "assertion_key_header": "x5t#S256",
        "client_id_name": "",
    }
    request = platform(JWT | data, private_key=KEY, key_id="thumb").token_request()
    token = opened(assertion_of(request, "assertion"))

    assert parse_qs(request.body.decode()).keys() == {"grant_type", "assertion"}
    assert token.header == {"alg": "RS256", "typ": "JWT", "x5t#S256": "thumb"}
    assert token.claims["exp"] - token.claims["iat"] == 60


def test_assertion_has_further_headers(platform: Platform) -> None:
    """A server that reads the certificates from the header `x5c` would refuse the client."""
    data = {"assertion_headers": {"x5c": ["{client_id}-der"], "typ": "acme+jwt"}}
    request = platform(JWT | data, private_key=KEY).token_request()
    encoded = json.loads(base64.urlsafe_b64decode(assertion_of(request).partition(".")[0] + "=="))

    assert encoded == {"alg": "RS256", "typ": "acme+jwt", "x5c": ["cid-der"]}
    plain = platform(JWT, private_key=KEY).token_request()
    assert plain.fingerprint != request.fingerprint


def test_assertion_without_client_id_has_no_issuer() -> None:
    """Servers would refuse an assertion whose claim `iss` is null."""
    key = {"private_key": {"kind": "secret", "title": "Key"}}
    provider = keyturn.plugins.provider_from_data(
        {"token_url": "https://a.example", **JWT, "credentials": "none", "settings": key},
        name="acme",
    )
    settings = provider.settings(private_key=keyturn.Secret(KEY))  # type: ignore[call-arg]
    claims = opened(assertion_of(provider.token_request(settings))).claims

    assert claims.keys() == {"aud", "iat", "exp", "jti"}


def test_each_attempt_has_its_own_assertion(
    platform: Platform, serve: Callable[..., RawServer], token_response: bytes
) -> None:
    """A retry would be refused, because the server has seen its `jti` (RFC 7523, 3)."""
    server = serve(token_response)
    connection = platform(JWT, real=True, private_key=KEY, token_url=server.url)
    for _ in range(2):
        connection.invalidate(connection.token())
    bodies = [sent.partition(b"\r\n\r\n")[2].decode() for sent in server.received]
    claims = [opened(parse_qs(body)["client_assertion"][0]).claims for body in bodies]

    assert len({each["jti"] for each in claims}) == 2
    assert {each["aud"] for each in claims} == {server.url}


def test_fingerprint_follows_the_key_and_not_the_jti(platform: Platform) -> None:
    """A new key would get the old key's tokens, or no token would ever be reused."""

    def fingerprint(data: dict[str, Any] | None = None, **settings: Any) -> str:
        connection = platform(JWT | (data or {}), **{"private_key": KEY} | settings)
        return connection.token_request().fingerprint

    first = fingerprint()
    others = [
        fingerprint(private_key=pem(OTHER_RSA)),
        fingerprint(key_id="key-1"),
        fingerprint({"assertion_algorithm": "PS256"}),
        fingerprint({"assertion_audience": "https://acme.example"}),
        fingerprint({"assertion_lifetime": 60}),
        fingerprint({"assertion_claims": {"a": "bc"}}),
        fingerprint({"assertion_claims": {"ab": "c"}}),
    ]

    assert fingerprint() == first
    assert len({first, *others}) == 8


def test_order_of_scopes_in_a_claim_makes_no_difference(platform: Platform) -> None:
    """One account would have a token for each order of its scopes."""
    data = {
        "assertion_claims": {"scope": "{scope}"},
        "scope_name": "",
        "settings": {"scope": {"kind": "scope", "title": "Scope"}},
    }
    prints = {
        platform(JWT | data, private_key=KEY, scope=scope).token_request().fingerprint
        for scope in ("one two", "two one")
    }

    assert len(prints) == 1


ENCRYPTED = pem(RSA, b"password-for-tests")
BAD_KEYS = {
    "of another kind": ("RS256", pem(KEYS["ES256"])),
    "of another curve": ("ES256", pem(KEYS["ES384"])),
    "encrypted": ("RS256", ENCRYPTED),
    "broken": ("RS256", KEY.replace(KEY.splitlines()[3], "")),
    "cut off": ("RS256", f"{KEY[:200]}\n-----END PRIVATE KEY-----"),
}


@pytest.mark.parametrize(("algorithm", "key"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_unusable_key_is_reported_and_not_shown(
    platform: Platform, algorithm: str, key: str
) -> None:
    """The caller would get a library's error, with the key in it or in its cause."""
    connection = platform(JWT | {"assertion_algorithm": algorithm}, private_key=key)

    with pytest.raises(errors.ConfigurationError, match=f"can't sign with {algorithm}") as caught:
        connection.token_request().body  # noqa: B018 - reading the body makes it

    text = f"{caught.value!r} {vars(caught.value)} {connection.explain()}"
    assert not [line for line in key.splitlines()[1:-1] if line and line in text]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_unusable_key_is_reported_to_the_caller(platform: Platform) -> None:
    """An unusable key would look like a network failure."""
    connection = platform(JWT, real=True, private_key=ENCRYPTED, token_url="https://127.0.0.1:9")

    with pytest.raises(errors.ConfigurationError, match=r"^acme: private_key: can't sign"):
        connection.token()


@pytest.mark.parametrize(
    "key", ["made-up", KEY.replace("PRIVATE", "PUBLIC")], ids=["a word", "a public key"]
)
def test_setting_that_is_no_private_key_is_rejected_at_once(platform: Platform, key: str) -> None:
    """The mistake would be noticed only at the first request."""
    with pytest.raises(AssertionError, match="must be a private key as PEM"):
        platform(JWT, private_key=key)


def test_provider_without_a_key_setting_is_reported(world: World) -> None:
    """A plugin without a setting for the key would fail with a raw Python error."""
    provider = world.changed(client_authentication="private_key_jwt")

    with pytest.raises(errors.ConfigurationError, match="private_key_jwt needs the setting"):
        world.connect(provider)
