"""Values of a token request that are computed: encodings, digests, times, JSON, bodies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, parse_qsl, quote
from xml.etree import ElementTree as ET

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk
from tests.conftest import for_each
from tests.keys import RSA

import keyturn
from keyturn import errors
from keyturn._http.composed import Composed, Json, JsonNumber, RequestPart
from keyturn._http.encoders import encoded
from keyturn._http.request import encode
from keyturn._http.times import Time

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer, World

    Platform = Callable[..., keyturn.Connection]

SECRET = "s3cret-for-tests"
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
SETTINGS: dict[str, Any] = {
    "tenant": {"title": "Tenant", "default": 'a&b "ö" <\'>'},
    "user": {"title": "User", "optional": True},
    "code": {"default": base64.b64encode(b"decoded").decode()},
    "level": {"kind": "integer", "title": "Level", "default": 7},
    "scope": {"kind": "scope", "title": "Scope", "default": ["a", "b"]},
}
TENANT = SETTINGS["tenant"]["default"]
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def platform(platform: Platform) -> Platform:
    """Give a function that connects to a platform with those of `SETTINGS` that it uses."""

    def connect(data: dict[str, Any], /, **settings: Any) -> keyturn.Connection:
        if data.get("settings") is SETTINGS:
            others = str({name: each for name, each in data.items() if name != "settings"})
            is_sent = data.get("scope_name", "scope") != ""
            used = {
                name: table
                for name, table in SETTINGS.items()
                if (name == "scope" and is_sent) or re.search(rf"[{{|]{name}\b", others)
            }
            data = data | {"settings": used}
        return platform(data, **settings)

    return connect


def b64(text: str) -> str:
    """Return a string in Base64."""
    return base64.b64encode(text.encode()).decode()


def sent(connection: keyturn.Connection, now: float = NOW) -> tuple[str, dict[str, str], bytes]:
    """Return the request that would be sent at a time: URL, headers and body."""
    return encode(connection.token_request(), now)


VALUES: dict[str, tuple[dict[str, str], str]] = {
    "plain": ({"template": "x {tenant}"}, f"x {TENANT}"),
    "several parts": ({"template": "{client_id}:{client_secret}"}, f"cid:{SECRET}"),
    "base64": ({"template": "{client_id}:{client_secret}", "encoding": "base64"},
               b64(f"cid:{SECRET}")),
    "base64url": ({"template": "{tenant}?>", "encoding": "base64url"},
                  base64.urlsafe_b64encode(f"{TENANT}?>".encode()).decode().rstrip("=")),
    "hex": ({"template": "{tenant}", "encoding": "hex"}, TENANT.encode().hex()),
    "hex in upper case": ({"template": "{tenant}", "encoding": "hex_upper"},
                          TENANT.encode().hex().upper()),
    "lower": ({"template": "ÄB{tenant}", "encoding": "lower"}, f"äb{TENANT}".lower()),
    "from Base64": ({"template": "{code}", "encoding": "from_base64"}, "decoded"),
    "from hex": ({"template": "6f6B", "encoding": "from_hex"}, "ok"),
    "url": ({"template": "{tenant}", "encoding": "url"}, quote(TENANT, safe="")),
    "digest": ({"template": "{client_secret}", "digest": "sha256"},
               hashlib.sha256(SECRET.encode()).hexdigest()),
    "md5": ({"template": "{client_secret}", "digest": "md5"},
            hashlib.md5(SECRET.encode(), usedforsecurity=False).hexdigest()),
    "digest in base64": (
        {"template": "{client_secret}", "digest": "sha512", "encoding": "base64"},
        base64.b64encode(hashlib.sha512(SECRET.encode()).digest()).decode()),
    "HMAC": ({"template": "{client_id}", "digest": "sha256", "hmac_key": "{client_secret}"},
             hmac.digest(SECRET.encode(), b"cid", "sha256").hex()),
    "HMAC with a key of parts": (
        {"template": "x", "digest": "sha1", "hmac_key": "{client_secret}&", "encoding": "base64"},
        base64.b64encode(hmac.digest(f"{SECRET}&".encode(), b"x", "sha1")).decode()),
    "epoch": ({"time": "epoch"}, "1800000000"),
    "epoch in milliseconds": ({"time": "epoch_milliseconds"}, "1800000000500"),
    "RFC 3339": ({"time": "rfc3339"}, "2027-01-15T08:00:00Z"),
    "RFC 3339 with milliseconds": ({"time": "rfc3339_milliseconds"}, "2027-01-15T08:00:00.500Z"),
    "RFC 3339 elsewhere": ({"time": "rfc3339", "timezone": "Asia/Kolkata"},
                           "2027-01-15T13:30:00+05:30"),
    "date of HTTP": ({"time": "http_date"}, "Fri, 15 Jan 2027 08:00:00 GMT"),
    "pattern": ({"time": "%Y%m%d %H:%M"}, "20270115 08:00"),
    "in seven days": ({"time": "%Y-%m-%d", "offset": "7d"}, "2027-01-22"),
    "an hour ago": ({"time": "%H:%M", "offset": "-1h", "timezone": "Europe/Berlin"}, "08:00"),
}  # fmt: skip


@for_each(("table", "wanted"), VALUES.values())
def test_value_is_computed_from_its_parts(
    platform: Platform, table: dict[str, str], wanted: str
) -> None:
    """A platform that needs credentials in its own format would need a method in Python."""
    data: dict[str, Any] = {"values": {"made": table}, "settings": SETTINGS}
    connection = platform(
        data
        | {
            "parameters": {"a": "{made}", "b": "<{made}>"},
            "query": {"q": "{made}"},
            "scope_name": "",
        }
    )
    url, _, body = sent(connection, NOW + 0.5)

    assert dict(parse_qsl(body.decode()))["a"] == wanted
    assert dict(parse_qsl(body.decode()))["b"] == f"<{wanted}>"
    assert dict(parse_qsl(url.partition("?")[2])) == {"q": wanted}


def test_value_may_be_a_number_in_json(platform: Platform) -> None:
    """A platform would refuse a time that is a string in its JSON."""
    values = {
        "moment": {"time": "epoch_milliseconds"},
        "day": {"time": "%Y-%m-%d"},
        "pin": {"template": "{client_secret}", "digest": "md5"},
    }
    data: dict[str, Any] = {
        "values": values,
        "body_format": "json",
        "parameters": {
            "t": "{moment:json}",
            "d": "{day:json}",
            "n": [{"t": "{moment:json}", "pin": "{pin:json}"}, "{moment}"],
        },
        "client_secret_name": "",
    }
    request = platform(data).token_request()
    _, _, body = encode(request, NOW)
    content = json.loads(body)

    assert content["t"] == 1_800_000_000_000
    assert content["d"] == "2027-01-15"
    assert content["n"][0]["t"] == 1_800_000_000_000
    assert content["n"][1] == "1800000000000"
    assert {SECRET, content["n"][0]["pin"]} <= {each.reveal() for each in request.secrets()}
    assert content["n"][0]["pin"] not in str(request.redacted().body)
    data |= {"parameters": {"t": "{day:json}"}, "values": {"day": values["day"]}}
    assert platform(data).token_request().fingerprint != request.fingerprint


def test_computed_number_can_be_shown_and_sent_as_a_string() -> None:
    """A computed number could not be shown, or not be sent outside JSON."""
    assert JsonNumber(Time("epoch")).value(NOW) == "1800000000"


def test_claim_may_be_a_time(platform: Platform) -> None:
    """A claim such as `nbf` would be a string, but JWT requires a number."""
    values = {"before": {"time": "epoch", "offset": "-1m"}}
    claims = {"iat": "{before:json}", "note": "{before}"}
    data = {"client_authentication": "client_secret_jwt", "values": values}
    _, _, body = sent(platform(data | {"assertion_claims": claims}))
    claims_part = parse_qs(body.decode())["client_assertion"][0].split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(claims_part + "=="))

    assert found["iat"] == NOW - 60
    assert found["note"] == "1799999940"


@pytest.mark.parametrize(
    ("url", "target"),
    [("?a=1", "/token?a=1"), ("", "/token")],
)
def test_signature_may_include_the_request_target(
    platform: Platform, url: str, target: str
) -> None:
    """The target without a query would be missing, or end with a question mark."""
    values = {"line": {"template": "{request.method} {request.target}"}}
    query = {"a": "1"} if url else {}
    connection = platform({"values": values, "query": query, "token_headers": {"X-L": "{line}"}})
    _, headers, _ = sent(connection)

    assert headers["X-L"] == f"POST {target}"


def test_times_of_api_requests_use_the_clock_of_the_connection(
    world: World, platform: Platform
) -> None:
    """The clock that a test or a user sets would not apply to API requests."""
    connection = platform(
        {
            "values": {"now": {"time": "epoch"}, "line": {"template": "{now} {request.target}"}},
            "api_headers": {"X-Time": "{now}", "X-Line": "{line}"},
            "api_url": "https://api.acme.example",
        }
    )
    auth = keyturn.integrations.RequestAuth(connection)
    for _ in range(2):
        headers = auth.authorize("GET", "https://api.acme.example/x?y=1", {}).headers
        assert headers["X-Time"] == str(int(world.clock.now))
        assert headers["X-Line"] == f"{int(world.clock.now)} /x?y=1"
        world.clock.advance(60)


def test_value_may_use_earlier_ones(platform: Platform) -> None:
    """A digest of a digest, which some platforms need, would need a method in Python."""
    values = {
        "inner": {"template": "{client_secret}", "digest": "sha1"},
        "pair": {"template": "{client_id}:{inner}"},
        "outer": {"template": "{pair}", "encoding": "base64"},
    }
    request = platform({"values": values, "token_headers": {"X-Pair": "P {outer}"}}).token_request()
    inner = hashlib.sha1(SECRET.encode(), usedforsecurity=False).hexdigest()

    assert request.headers["X-Pair"] == f"P {b64(f'cid:{inner}')}"


def test_value_of_an_absent_setting_is_left_out(platform: Platform) -> None:
    """The server would receive the word None, or an HMAC without a key."""
    values = {
        "greeting": {"template": "hello {user}", "encoding": "base64"},
        "signature": {"template": "x", "digest": "sha256", "hmac_key": "{user}"},
    }
    data: dict[str, Any] = {"values": values, "settings": SETTINGS}
    data["parameters"] = {"a": "{greeting}", "b": "{signature}", "c": "{greeting|client_id}"}

    assert parse_qs(platform(data).token_request().body.decode())["c"] == ["cid"]
    assert not {"a", "b"} & parse_qs(platform(data).token_request().body.decode()).keys()
    assert "a" in parse_qs(platform(data, user="me").token_request().body.decode())


def test_value_is_computed_once_for_each_request(platform: Platform) -> None:
    """A nonce would differ from the signed one, or be the same in all requests."""
    values = {
        "nonce": {"template": "{uuid}"},
        "moment": {"time": "epoch"},
        "signed": {"template": "{nonce}.{moment}", "encoding": "base64"},
    }
    data = {"values": values, "parameters": {"nonce": "{nonce}", "alone": "{uuid}"}}
    data["token_headers"] = {"X-Nonce": "{nonce}", "X-Signed": "{signed}"}
    connection = platform(data)
    seen = set[str]()
    for now in (NOW, NOW, NOW + 1):
        _, headers, body = sent(connection, now)
        parameters = dict(parse_qsl(body.decode()))
        assert re.fullmatch(UUID, headers["X-Nonce"])
        assert headers["X-Nonce"] == parameters["nonce"] != parameters["alone"]
        assert headers["X-Signed"] == b64(f"{headers['X-Nonce']}.{now:.0f}")
        seen.add(headers["X-Nonce"])

    assert len(seen) == 3


def test_request_is_signed_with_its_parts(
    platform: Platform, serve: Callable[..., RawServer], token_response: bytes
) -> None:
    """The signature would not match the body and the URL that are sent."""
    parts = "{request.method}\n{request.path}\n{request.query}\n{request.body}\n{moment}"
    values = {
        "moment": {"time": "epoch_milliseconds"},
        "signature": {"template": parts, "digest": "sha256", "hmac_key": "{client_secret}"},
        "where": {"template": "{request.url}"},
    }
    server = serve(token_response)
    connection = platform(
        {
            "values": values,
            "parameters": {"id": "{uuid}"},
            "query": {"v": "a b"},
            "body_format": "json",
            "token_headers": {
                "X-Moment": "{moment}",
                "X-Signature": "hmac {signature}",
                "X-Where": "{where}",
            },
        },
        real=True,
        token_url=server.url,
    )
    assert connection.token().access_token == "t0ken"

    head, _, body = server.received[0].decode().partition("\r\n\r\n")
    first, *lines = head.splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    content = f"POST\n/token\nv=a+b\n{body}\n{headers['X-Moment']}"
    signature = hmac.digest(SECRET.encode(), content.encode(), "sha256").hex()
    assert first == "POST /token?v=a+b HTTP/1.1"
    assert headers["X-Signature"] == f"hmac {signature}"
    assert headers["X-Where"] == f"{server.url}?v=a+b"


def test_api_request_is_signed_with_values(platform: Platform) -> None:
    """All API requests with one token would have the same nonce, time and signature."""
    values = {
        "nonce": {"template": "{uuid}"},
        "moment": {"time": "epoch"},
        "signature": {
            "template": "{nonce}{request.body}",
            "digest": "sha256",
            "hmac_key": "{client_secret}",
        },
        "fixed": {"template": "{client_id}", "encoding": "base64"},
    }
    headers = {"X-Nonce": "{nonce}", "X-Moment": "{moment}", "X-Signature": "{signature}"}
    connection = platform(
        {
            "values": values,
            "api_headers": headers | {"X-Fixed": "{fixed}", "X-Token": "{token}"},
            "api_url": "https://api.acme.example",
        }
    )
    auth = keyturn.integrations.RequestAuth(connection)
    seen = set[str]()
    for body in (b"one", b"\xff\x00"):
        sent = dict(auth.authorize("POST", "https://api.acme.example/a", {}, body).headers)
        seen.add(sent["X-Nonce"])
        signed = sent["X-Nonce"].encode() + body
        assert sent["X-Signature"] == hmac.digest(SECRET.encode(), signed, "sha256").hex()
        assert sent["X-Moment"].isdecimal()
        assert (sent["X-Fixed"], sent["X-Token"]) == (b64("cid"), "token-1")

    assert len(seen) == 2
    assert connection.headers().keys() == {"Authorization", "X-Fixed", "X-Token"}


def test_api_request_has_a_value_computed_from_the_token(world: World, platform: Platform) -> None:
    """A platform whose API needs the token in HTTP Basic would need a method in Python."""
    world.endpoint.responses.append(world.endpoint.token("t0ken", account="a-1"))
    values = {
        "pair": {"template": "{token.account}:{token}", "encoding": "base64"},
        "none": {"template": "{token.missing}", "digest": "sha1"},
    }
    connection = platform(
        {
            "values": values,
            "authorization_value": "Basic {pair}",
            "api_headers": {"X-Pair": "{pair}", "X-None": "{none}"},
        }
    )
    connection.token()

    assert connection.headers() == {
        "Authorization": f"Basic {b64('a-1:t0ken')}",
        "X-Pair": b64("a-1:t0ken"),
    }


# --- Secrets and fingerprints ---


def test_values_computed_from_secrets_are_masked(
    world: World, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    """A transcript would show a secret, or a value that is computed from it."""
    caplog.set_level(1)
    values = {
        "pair": {"template": "{client_id}:{client_secret}", "encoding": "base64"},
        "short": {"template": "{client_secret}", "digest": "md5"},
        "moment": {"time": "epoch"},
        "timed": {"template": "{moment}{client_secret}", "encoding": "base64"},
        "nested": {"template": "{timed}", "digest": "sha1"},
    }
    connection = platform(
        {
            "values": values,
            "parameters": {"a": "{pair}", "b": {"c": ["{short}", "{client_secret}"]}},
            "query": {"q": "{client_secret}"},
            "token_headers": {"X-Timed": "t {timed} {nested}", "X-Moment": "{moment}"},
            "body_format": "json",
        }
    )
    _, headers, body = sent(connection, world.clock.now)
    made = [b64(f"cid:{SECRET}"), json.loads(body)["b"]["c"][0]]
    assert headers["X-Timed"].startswith("t ")
    world.endpoint.responses += [
        world.endpoint.response(
            400, {"error": "invalid_client", "error_description": " ".join([*made, SECRET])}
        )
    ] * 2
    shown = connection.explain() + repr(connection.token_request()) + caplog.text
    for each in made:
        assert each not in shown
    assert SECRET not in shown
    redacted = json.loads(connection.token_request().redacted().body)
    assert redacted["b"] == {"c": ["REDACTED", "REDACTED"]}


def test_sent_values_are_among_the_secrets(platform: Platform) -> None:
    """An error response that quotes a computed value would show it."""
    values = {
        "moment": {"time": "epoch"},
        "pin": {"template": "{moment}{client_secret}", "digest": "sha1"},
    }
    request = platform(
        {"values": values, "parameters": {"a": {"b": "p-{pin}", "c": 7}}, "body_format": "json"}
    ).token_request()
    _, _, body = encode(request, NOW)
    pin = json.loads(body)["a"]["b"].removeprefix("p-")
    secrets = {each.reveal() for each in request.secrets()}

    assert {SECRET, pin, f"p-{pin}"} <= secrets


def test_key_of_an_hmac_may_be_bytes(platform: Platform) -> None:
    """A chain of HMACs, or a key in Base64, would need a method in Python."""
    key = b"\x00\xff\xfe s3cret"
    values = {
        "key": {"template": "{client_secret}", "encoding": "from_base64"},
        "day": {"template": "day", "hmac_key": "{key}", "digest": "sha256", "encoding": "bytes"},
        "sign": {"template": "{client_id}", "hmac_key": "{day}", "digest": "sha256"},
    }
    data = {"values": values, "parameters": {"sign": "{sign}"}, "client_secret_name": ""}
    request = platform(data, client_secret=b64_of(key)).token_request()
    day = hmac.digest(key, b"day", "sha256")

    body = parse_qs(encode(request, NOW)[2].decode())
    assert body["sign"] == [hmac.digest(day, b"cid", "sha256").hex()]
    assert {b64_of(key), *body["sign"]} <= {each.reveal() for each in request.secrets()}


@pytest.mark.parametrize(
    ("encoding", "problem"),
    [("from_base64", "is not valid Base64, from"), ("from_hex", "is not valid hex, from")],
)
def test_value_that_can_not_be_decoded_is_reported(
    encoding: str, problem: str, platform: Platform
) -> None:
    """A mistake in a setting would be reported as a defect of the provider."""
    values = {"v": {"template": "{client_secret}", "encoding": encoding}}
    connection = platform({"values": values, "parameters": {"v": "{v}"}}, client_secret="é s3cret")

    with pytest.raises(errors.ConfigurationError, match=problem) as raised:
        encode(connection.token_request(), NOW)
    assert "s3cret" not in str(raised.value)


def test_bytes_that_are_not_utf8_are_not_sent_as_a_string(platform: Platform) -> None:
    """The server would receive other bytes."""
    values = {"v": {"template": "80", "encoding": "from_hex"}}
    connection = platform({"values": values, "parameters": {"v": "{v}"}})

    with pytest.raises(errors.ConfigurationError, match="surrogate"):
        encode(connection.token_request(), NOW)


def b64_of(content: bytes) -> str:
    """Return bytes in Base64."""
    return base64.b64encode(content).decode()


def pem_of(key: Any) -> str:
    """Return a private key as PEM."""
    encoding = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return str(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain).decode())


SIGNING: dict[str, Any] = {
    "credentials": "private_key",
    "token_headers": {"X-Signature": "{signature}"},
    "values": {
        "now": {"time": "epoch"},
        "signature": {
            "template": "{client_id}|{now}",
            "digest": "sha256",
            "signing_key": "{private_key}",
        },
    },
}
CURVE = ec.generate_private_key(ec.SECP256R1())
SIGNING_KEYS: dict[str, tuple[Any, str]] = {
    "a curve's": (CURVE, pem_of(CURVE)),
    "RSA": (RSA, pem_of(RSA)),
    "JWK": (CURVE, json.dumps(jwk.ECKey.import_key(pem_of(CURVE)).as_dict(private=True))),
}


@pytest.mark.parametrize(("key", "given"), SIGNING_KEYS.values(), ids=SIGNING_KEYS)
def test_value_is_signed_with_a_private_key(key: Any, given: str, platform: Platform) -> None:
    """A bank that requires signed requests would need a method in Python."""
    request = platform(SIGNING, private_key=given).token_request()
    _, headers, _ = encode(request, NOW)
    signature, signed = base64.b64decode(headers["X-Signature"]), f"cid|{NOW:.0f}".encode()
    algorithm = hashes.SHA256()
    way = (ec.ECDSA(algorithm),) if key is CURVE else (padding.PKCS1v15(), algorithm)

    key.public_key().verify(signature, signed, *way)
    assert {given, headers["X-Signature"]} <= {each.reveal() for each in request.secrets()}
    other = platform(SIGNING, private_key=pem_of(ec.generate_private_key(ec.SECP256R1())))
    keyed = (each.with_fingerprint(b"k" * 32) for each in (request, other.token_request()))
    assert len({each.fingerprint for each in keyed}) == 2


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", r"a value \(ValueError"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), r"a value \(TypeError"),
    ],
    ids=["no key", "another algorithm"],
)
def test_key_that_cannot_sign_a_value_is_reported(
    key: str, problem: str, platform: Platform
) -> None:
    """A user would look for the mistake in the description."""
    with pytest.raises(errors.ConfigurationError, match=problem) as raised:
        encode(platform(SIGNING, private_key=key).token_request(), NOW)

    assert "signing_key" in str(raised.value)
    assert key.splitlines()[1] not in str(raised.value)


def test_signing_key_is_not_read_as_a_path(platform: Platform) -> None:
    """A setting that is not a key would be loaded as a path, or be shown."""
    values = SIGNING["values"]["signature"] | {"signing_key": "{client_secret}"}
    data = {"values": SIGNING["values"] | {"signature": values}, "credentials": "client_secret"}

    with pytest.raises(errors.ConfigurationError, match="it must be a private key as PEM") as shown:
        encode(platform(SIGNING | data).token_request(), NOW)
    assert SECRET not in str(shown.value)


KEYED: list[dict[str, Any]] = [
    {"template": "{client_secret}", "digest": "sha256"},
    {"template": "{client_secret}", "digest": "sha1"},
    {"template": "{client_secret}", "digest": "sha256", "encoding": "base64"},
    {"template": "{client_secret}", "digest": "sha256", "hmac_key": "a"},
    {"template": "a", "digest": "sha256", "hmac_key": "{client_secret}"},
    {"template": "{client_secret}a", "digest": "sha256"},
    {"time": "epoch"},
    {"time": "epoch", "offset": "1h"},
    {"time": "%H"},
    {"time": "%H", "timezone": "Europe/Berlin"},
    {"template": "{uuid}"},
    {"template": "{uuid}", "digest": "sha1"},
]


def test_fingerprint_covers_the_inputs_of_a_value(world: World, platform: Platform) -> None:
    """Another secret would find this one's token, or no token would ever be reused."""

    def fingerprint(table: dict[str, Any], **settings: str) -> str:
        data = {"values": {"v": table}, "parameters": {"v": "{v}"}, "client_secret_name": ""}
        request = platform(data, **settings).token_request()
        return request.with_fingerprint(b"k" * 32).fingerprint

    found = [fingerprint(each) for each in KEYED]
    world.clock.advance(86_400)

    assert len(set(found)) == len(KEYED)
    assert [fingerprint(each) for each in KEYED] == found
    others = [fingerprint(each, client_secret="another-secret") for each in KEYED[:6]]
    assert len({*found, *others}) == len(KEYED) + 6


def test_fingerprint_covers_every_new_field(platform: Platform) -> None:
    """Two requests that differ only in a new field would share a token."""
    variants: list[dict[str, Any]] = [
        {},
        {"method": "PUT"},
        {"query": {"a": "b"}},
        {"query": {"ab": ""}},
        {"parameters": {"a": "b"}},
        {"content_type": "application/x-www-form-urlencoded; charset=utf-8"},
        {"content_type": "text/xml", "body": "<a>{client_id}</a>"},
        {"content_type": "text/xml", "body": "<b>{client_id}</b>"},
        *(
            {"body_format": "json", "parameters": {"a": each}}
            for each in (1, "1", True, 1.5, [1], ["1"], {"b": 1}, {"b": {}}, [[], []], [[[]]], [])
        ),
    ]
    found = {
        platform(each).token_request().with_fingerprint(b"k" * 32).fingerprint for each in variants
    }

    assert len(found) == len(variants)


# --- JSON, the query, and the body ---


def test_json_may_have_numbers_lists_and_tables(platform: Platform) -> None:
    """A platform that needs a number, a list or a table would need a method in Python."""
    parameters = {
        "number": 7,
        "decimal": 1.5,
        "yes": True,
        "no": False,
        "list": ["{tenant}", 1, "{user}", {"deep": "{client_secret}"}],
        "table": {"user": "{user}", "id": "{client_id}", "empty": {}, "none": []},
        "level": "{level:json}",
        "level_string": "{level}",
        "scopes": "{scope:json}",
        "inner": {"level": "{level:json}", "scopes": ["{scope:json}"]},
        "name": "{client_id:json}",
        "key": "{client_secret:json}",
        "absent": "{user:json}",
    }
    data = {"parameters": parameters, "body_format": "json", "scope_name": "", "grant_type": ""}
    data |= {"client_id_name": "", "client_secret_name": "", "settings": SETTINGS}

    assert json.loads(platform(data).token_request().body) == {
        "number": 7,
        "decimal": 1.5,
        "yes": True,
        "no": False,
        "list": [TENANT, 1, {"deep": SECRET}],
        "table": {"id": "cid", "empty": {}, "none": []},
        "level": 7,
        "level_string": "7",
        "scopes": ["a", "b"],
        "inner": {"level": 7, "scopes": [["a", "b"]]},
        "name": "cid",
        "key": SECRET,
    }


def test_form_has_numbers_as_strings(platform: Platform) -> None:
    """A boolean in a form would be sent as Python writes it, as True."""
    request = platform({"parameters": {"a": 7, "b": True, "c": 1.5}}).token_request()

    assert request.body.decode().endswith("&a=7&b=true&c=1.5")


def test_request_may_have_a_query_and_a_body(platform: Platform) -> None:
    """A platform that needs the grant in the URL would need a method in Python."""
    data = {"query": {"grant_type": "client_credentials", "t": "{client_id} &"}, "grant_type": ""}
    request = platform(data).token_request()
    both = platform(data | {"body_format": "query"}).token_request()

    assert encode(request, NOW)[0].endswith("/token?grant_type=client_credentials&t=cid+%26")
    assert request.query == "grant_type=client_credentials&t=cid+%26"
    assert request.body == f"client_id=cid&client_secret={SECRET}".encode()
    assert both.query == f"client_id=cid&client_secret={SECRET}&{request.query}"


BODIES = {
    "application/xml": "<r><u>{tenant}</u><p>{client_secret}</p></r>",
    "application/vnd.acme+json": '{{"u": "{tenant}", "p": "{client_secret}"}}',
    "application/x-www-form-urlencoded; charset=utf-8": "u={tenant}&p={client_secret}",
    "text/plain": "{tenant}\n{client_secret}",
}


@pytest.mark.parametrize(("kind", "template"), BODIES.items())
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_body_is_a_template(
    platform: Platform,
    serve: Callable[..., RawServer],
    token_response: bytes,
    method: str,
    kind: str,
    template: str,
) -> None:
    """A value could end the element, the string or the parameter that contains it."""
    server = serve(token_response)
    data = {"body": template, "content_type": kind, "method": method, "settings": SETTINGS}
    connection = platform(data, real=True, token_url=server.url)
    assert connection.token().access_token == "t0ken"

    head, _, body = server.received[0].partition(b"\r\n\r\n")
    assert head.startswith(f"{method} /token HTTP/1.1".encode())
    assert f"content-type: {kind}\r\n".encode() in head.lower() + b"\r\n"
    found: dict[str, Any] = {}
    if "xml" in kind:
        found = {each.tag: each.text for each in ET.fromstring(body)}  # noqa: S314 - made by keyturn
    elif "json" in kind:
        found = json.loads(body)
    elif "form" in kind:
        found = dict(parse_qsl(body.decode()))
    else:
        found = dict(zip("up", body.decode().split("\n"), strict=True))
    assert found == {"u": TENANT, "p": SECRET}
    shown = connection.token_request().redacted()
    assert shown.body == b"REDACTED"
    assert SECRET not in connection.explain() + repr(shown)


def test_body_of_public_values_is_shown(platform: Platform) -> None:
    """A transcript would not show the body, although no value in it is secret."""
    data = {"body": "<a>{client_id}</a>", "content_type": "text/xml", "client_secret_name": ""}
    dynamic = data | {"body": "<a>{moment}</a>", "values": {"moment": {"time": "%H<%M"}}}

    assert platform(data).token_request().redacted().body == b"<a>cid</a>"
    assert sent(platform(dynamic))[2] == b"<a>08&lt;00</a>"


def test_body_of_an_absent_setting_is_reported(platform: Platform) -> None:
    """The server would receive the word None."""
    data = {"body": "<a>{user}</a>", "content_type": "text/xml", "settings": SETTINGS}

    with pytest.raises(errors.ConfigurationError, match="body names a setting that isn't given"):
        platform(data).token_request()


@pytest.mark.parametrize(("user", "wanted"), [(None, "cid"), ("me", "me")])
def test_first_given_setting_is_used(platform: Platform, user: str | None, wanted: str) -> None:
    """A setting that replaces another could not be optional."""
    data: dict[str, Any] = {"parameters": {"u": "{user|client_id}!"}, "settings": SETTINGS}
    url = {"title": "URL", "kind": "url", "optional": True}
    addresses = {"api_url": "https://{user|client_id}.acme.example", "settings": SETTINGS}
    nothing = {
        "api_url": "{base|spare}",
        "settings": {"base": url, "spare": url},
    }

    sent = platform(data, user=user).token_request().parameters
    assert dict(sent)["u"] == f"{wanted}!"
    assert platform(addresses, user=user).api_url == f"https://{wanted}.acme.example"
    with pytest.raises(errors.ConfigurationError, match="needs the setting base or spare"):
        _ = platform(nothing).api_url


# --- Mistakes ---

TEMPLATE = {"template": "{client_secret}"}
MISTAKES: list[tuple[dict[str, Any], str]] = [
    *(({"values": {name: TEMPLATE}}, f"values.{name}: can't be the name of a value") for name in
      ("client_id", "uuid", "request", "token", "previous", "Upper", "a b", "_a", "a-b", "")),
    *(({"values": {"v": table}}, "values: v must be a table with template or time") for table in
      ("x", {}, {"encoding": "hex"}, {"template": "x", "time": "epoch"}, ["x"])),
    ({"values": {"v": TEMPLATE | {"digets": "md5"}}},
     "values.v.digets: is not known. Did you mean digest?"),
    ({"values": {"v": {"time": "epoch", "encoding": "hex"}}}, "values.v.encoding: is not known."),
    ({"values": {"v": TEMPLATE | {"encoding": "base65"}}},
     "values.v.encoding: must be one of base64, base64url, hex, hex_upper, url, lower, "),
    ({"values": {"v": TEMPLATE | {"digest": "sha-256"}}},
     "values.v.digest: must be one of md5, sha1, sha256, sha384, sha512 (it is"),
    ({"values": {"v": TEMPLATE | {"digest": 256}}}, "values.v.digest: must be a string"),
    ({"values": {"v": TEMPLATE | {"hmac_key": "x"}}}, "values.v.digest: is required with hmac_key"),
    ({"values": {"v": TEMPLATE | {"signing_key": "x"}}},
     "values.v.digest: is required with signing_key"),
    ({"values": {"v": TEMPLATE | {"signing_key": "x", "digest": "md5"}}},
     "values.v.digest: must be one of sha1, sha256, sha384, sha512 with signing_key"),
    ({"values": {"v": TEMPLATE | {"signing_key": "x", "hmac_key": "x", "digest": "sha1"}}},
     "values.v.hmac_key: can't be set beside signing_key"),
    ({"values": {"v": {"template": "{w}"}, "w": TEMPLATE}},
     "values.v.template: '{w}' names {w}, which is not a setting"),
    ({"values": {"v": {"template": "{v}"}}}, "values.v.template: '{v}' names {v}, which is not"),
    ({"values": {"v": {"template": "{request.host}"}}}, "values.v.template: names {request.host}"),
    *(({"values": {"v": {"time": form}}}, "values.v.time: must be one of epoch,") for form in
      ("", "iso", "%", "%b", "now", "%Y\n", "é%Y")),
    *(({"values": {"v": {"time": "%Y", "offset": each}}}, "values.v.offset: must be a duration")
      for each in ("x", "--1h", "7")),
    *(({"values": {"v": {"time": "%Y", "timezone": each}}},
       "values.v.timezone: must be a time zone that") for each in ("Mars", "", "../etc", "CEST+1")),
    *(({"values": {"v": {"template": "{request.body}"}}, name: value},
       f"{name}: '{{v}}' names {{v}}, which is made of the request: only headers may")
      for name, value in (("parameters", {"a": "{v}"}), ("query", {"a": "{v}"}),
                          ("assertion_audience", "{v}"))),
    ({"values": {"v": TEMPLATE}, "api_url": "https://a.example/{v}"},
     "names {v}, a value, which can't be in an address"),
    ({"values": {"w": {"template": "{token}"}, "v": {"template": "{w}"}}, "query": {"a": "{v}"}},
     "query: '{v}' names {v}, which is made of the token: only API requests may name it"),
    *(({"values": {"w": table, "v": {"template": "{w}"}}, "api_query": {"a": "{v}"}},
       "would be the same for all requests with one token") for table in
      ({"time": "epoch"}, {"template": "{uuid}"})),
    ({"parameters": {"a": [1]}}, "parameters: a needs body_format json: it is a list, a table"),
    ({"parameters": {"a": "{client_id:json}"}}, "parameters: a needs body_format json"),
    ({"parameters": {"a": {"env": "X"}}, "body_format": "json"},
     "parameters: a is a secret reference: use a setting instead"),
    *(({"parameters": {"a": text}, "body_format": "json"}, "which is for a whole parameter, claim")
      for text in ("x{client_id:json}", "{client_id:json}x", "{client_id:json}{client_id:json}")),
    ({"token_headers": {"X-A": "{client_id:json}"}}, "which is for a whole parameter, claim"),
    ({"parameters": {"a": {"b": ["{missing}"]}}, "body_format": "json"},
     "parameters: '{missing}' names {missing}, which is not a setting"),
    ({"parameters": {"a": "{client_id|missing}"}}, "names {missing}, which is not a setting"),
    ({"parameters": {"a": "{client_id|}"}}, "which is not a placeholder: write {client_id}"),
    *(({"parameters": {"a": text}}, "is not a template") for text in
      ("{|}", "{client_id|x y}", "{client_id!s:json}")),
    ({"parameters": {"a": "{client_id:xml}"}}, "which is not a placeholder: write {client_id}"),
    ({"api_url": "https://{tenant|client_secret}.example", "settings": SETTINGS},
     "names {client_secret}, a secret, which must not be in an address"),
    ({"body": "x"}, "content_type: is required with body"),
    ({"body": "x", "content_type": "text/xml", "parameters": {"a": "b"}},
     "parameters: are not sent beside body: name them in it, or in query"),
    ({"body": "x", "method": "GET"},
     "body: can't be sent with method GET"),
    ({"content_type": "text/xml", "token_headers": {"content-type": "x/y"}},
     "token_headers: Content-Type is sent already: see content_type"),
    *(({"content_type": kind}, "content_type: must be a content type such as") for kind in
      ("xml", "a/b\r\nX: y", "a/b;", "a/b; charset", "é/b")),
    ({"query": {"a": "1"}, "parameters": {"a": "1"}, "body_format": "query"},
     "query: a is sent already, in parameters"),
    ({"query": {"a": 1}}, "query: must be a table of strings"),
]  # fmt: skip


@for_each(("data", "words"), MISTAKES)
def test_mistake_is_reported_when_it_is_loaded(
    platform: Platform, data: dict[str, Any], words: str
) -> None:
    """The mistake would be noticed only at the first request, as another error."""
    with pytest.raises(errors.ConfigurationError) as caught:
        platform(data)

    assert words in str(caught.value)


def test_value_with_a_constant_is_sent_to_the_api(platform: Platform) -> None:
    """A key that each API request needs in Base64 would need a method in Python."""
    data = {
        "values": {"v": {"template": "{client_id}:{client_secret}", "encoding": "base64"}},
        "api_headers": {"X-Key": "k {v}"},
    }
    connection = platform(data)
    connection.token()

    assert connection.headers()["X-Key"] == f"k {b64(f'cid:{SECRET}')}"


def test_surrogate_in_a_value_is_reported_and_not_shown(platform: Platform) -> None:
    """A raw Python error would be raised that contains the setting."""
    values = {"v": {"template": "{bad}{client_secret}", "digest": "sha1"}}
    settings = {"bad": {"title": "Bad", "kind": "choice", "choices": {"x": "\ud800"}}}
    request = platform(
        {"values": values, "parameters": {"a": "{v}"}, "settings": settings}, bad="x"
    ).token_request()

    with pytest.raises(errors.ConfigurationError, match="surrogate") as caught:
        encode(request, NOW)
    assert SECRET not in str(caught.value)


def test_request_part_outside_a_request_is_reported() -> None:
    """A provider in Python that sends a signature in a claim would sign nothing."""
    part = RequestPart("body")
    for value in (part, Composed(parts=(part,))):
        with pytest.raises(
            errors.ConfigurationError, match=r"request\.body is available in headers"
        ):
            value.value(NOW)


# --- Arbitrary values ---

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(TEXT)
def test_encodings_can_be_decoded(text: str) -> None:
    """The server would decode another value than the setting."""
    assert base64.b64decode(encoded(text, "base64")).decode() == text
    padded = encoded(text, "base64url") + "=="
    assert base64.urlsafe_b64decode(padded).decode() == text
    assert bytes.fromhex(encoded(text, "hex")).decode() == text
    assert json.loads(f'"{encoded(text, "json")}"') == text
    assert parse_qs(f"a={encoded(text, 'form')}", keep_blank_values=True)["a"] == [text]


XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r<>&'\""),
    max_size=12,
)


@given(XML_TEXT)
def test_xml_has_the_value(text: str) -> None:
    """A value could end its element or its attribute."""
    made = f'<a b="{encoded(text, "xml")}">{encoded(text, "xml")}</a>'
    element = ET.fromstring(made)  # noqa: S314 - made by keyturn

    assert (element.text or "") == text


TREES = st.recursive(
    st.booleans() | st.integers(-3, 3) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(TREES, TREES)
def test_fingerprint_distinguishes_json_values(one: Any, other: Any) -> None:
    """Two requests would share a token."""
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (list(Json(one).inputs()) == list(Json(other).inputs())) == same
    assert json.loads(Json(one).value(NOW)) == one


PARTS = st.lists(TEXT | TEXT.map(keyturn.Secret), min_size=1, max_size=3).map(tuple)


@given(PARTS, PARTS)
def test_fingerprint_separates_the_parts_of_a_value(one: Any, other: Any) -> None:
    """Two clients with crafted settings would share a token."""
    inputs = [list(Composed(parts=each, digest="sha1").inputs()) for each in (one, other)]

    assert (inputs[0] == inputs[1]) == (one == other)


class Signing(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
    """A provider whose API requests are signed by one of several declarations."""

    name = "acme"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/token"
    api_url = "https://acme.example"


class OfClass(Signing):
    """Headers in a class attribute."""

    api_headers: ClassVar[Any] = {"X-Method": "{request.method}"}


class OfBase(OfClass):
    """Headers in an attribute of the base class."""


class OfInstance(Signing):
    """Headers in an instance attribute."""

    def __init__(self) -> None:
        self.api_headers = {"X-Method": "{request.method}"}  # type: ignore[misc]


class OfProperty(Signing):
    """Headers in a property."""

    @property
    def api_headers(self) -> dict[str, str]:  # type: ignore[override]
        """Return the headers."""
        return {"X-Method": "{request.method}"}


@pytest.mark.parametrize("kind", [OfClass, OfBase, OfInstance, OfProperty])
def test_api_request_is_signed_wherever_headers_are_declared(
    kind: type[Signing], world: World
) -> None:
    """An API request would be sent unsigned, or with the signature of another one."""
    auth = keyturn.integrations.RequestAuth(world.connect(kind()))
    sent = auth.authorize("GET", "https://acme.example/a", {}, None)

    assert dict(sent.headers)["X-Method"] == "GET"
