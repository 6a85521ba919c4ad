"""The flows of real platforms: each description matches the platform's public documentation."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk, jwt
from tests.conftest import for_each
from tests.keys import RSA
from tests.platforms.described import PLATFORMS, Platform
from tests.platforms.page import ABILITIES, PAGE, page

import keyturn
from keyturn._connection import make_connection
from keyturn._http.request import encode
from keyturn._providers.settings import read
from keyturn._tokens.options import Specification
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.conftest import RawServer, World

    Connect = Callable[..., keyturn.Connection]

# Patterns for the parts of a golden string that differ in each request.
CHANGING = {
    "{uuid}": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "{signature}": r"[A-Za-z0-9+/]{342}==",
    "{assertion}": r"(?P<assertion>[\w-]+\.[\w-]+\.[\w-]+)",
}
each_platform = for_each("platform", PLATFORMS)


def each_platform_that(is_meant: Callable[[Platform], object]) -> Callable[..., Any]:
    """Run a test for these platforms; the files are read when it runs."""
    return for_each("platform", lambda: filter(is_meant, PLATFORMS))


def each_response(find: Callable[[dict[str, Any]], Iterable[dict[str, Any]]]) -> Callable[..., Any]:
    """Run a test for the responses that this function finds in a platform's example."""
    return for_each(
        ("platform", "response"),
        lambda: ((each, response) for each in PLATFORMS for response in find(each.example)),
    )


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the keys and the certificate for the placeholders in the examples."""
    import trustme

    path = tmp_path_factory.mktemp("credentials") / "client.pem"
    pair = trustme.CA().issue_cert("client.example").private_key_and_cert_chain_pem
    pair.write_to_path(path)
    keys = {
        "{rsa}": RSA,
        "{ec}": ec.generate_private_key(ec.SECP256R1()),
    }
    given = {"{certificate}": str(path)}
    encoding = serialization.Encoding.PEM
    for name, key in keys.items():
        private = key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            encoding, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        # Reading a private key takes 45 ms; the public key verifies signatures.
        given |= {name: private.decode(), f"public {name}": public.decode()}
    return given


@pytest.fixture
def connect(world: World, credentials: dict[str, str]) -> Connect:
    """Return a function that connects to a platform with its example's settings.

    The clock stays at 2027-01-15T08:00:00Z, because requests and tokens may contain times.
    """

    def connect(platform: Platform, token_url: str = "", **options: Any) -> keyturn.Connection:
        given = platform.example["settings"] | ({"token_url": token_url} if token_url else {})
        plain = {
            name: credentials.get(value, value) if isinstance(value, str) else value
            for name, value in given.items()
        }
        settings, mistakes = read(platform.provider.settings, plain)
        assert settings is not None, mistakes
        specification = Specification(platform.provider, settings)
        return make_connection(specification, MemoryStore(), clock=world.clock.clock, **options)

    return connect


@pytest.fixture
def responding(world: World, connect: Connect) -> Connect:
    """Return a function that connects to a platform with a fixed response."""

    def responding(platform: Platform, response: dict[str, Any]) -> keyturn.Connection:
        world.endpoint.requests.clear()
        steps = [each["response"] for each in platform.example.get("previous", ())]
        # After an error response, the first step is repeated.
        all_responses = [*steps, response, *[*steps[-1:], response] * 4]
        world.endpoint.responses = [received(each, world.clock.now) for each in all_responses]
        return connect(platform, transport=world.endpoint)

    return responding


def received(response: dict[str, Any], now: float) -> keyturn.plugins.Response:
    """Return an example's response as keyturn receives it."""
    headers = {name.lower(): value for name, value in response.get("headers", {}).items()}
    headers.setdefault("content-type", "application/json")
    return keyturn.plugins.Response(response["status"], headers, response["body"].encode(), now)


def matches(golden: str, sent: str) -> re.Match[str] | None:
    """Return whether a string is the golden one; variable parts must be well-formed."""
    pattern = re.escape(golden)
    for placeholder, fit in CHANGING.items():
        pattern = pattern.replace(re.escape(placeholder), fit)
    return re.fullmatch(pattern, sent)


def assert_headers(golden: Mapping[str, str], sent: Mapping[str, str]) -> None:
    """Compare headers with golden ones, ignoring the case of names."""
    wanted = {name.lower(): value for name, value in golden.items()}
    found = {name.lower(): value for name, value in sent.items()}
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert matches(value, found[name]), name


def token_headers(golden: dict[str, Any]) -> dict[str, str]:
    """Return the expected headers of a token request: the usual ones, and the golden ones."""
    implied = {"accept": "application/json", "accept-encoding": "identity"}
    if golden["body"]:
        is_json = golden["body"].startswith("{")
        implied["content-type"] = f"application/{'json' if is_json else 'x-www-form-urlencoded'}"
    return implied | {name.lower(): value for name, value in golden.get("headers", {}).items()}


def url_of(golden: dict[str, Any]) -> str:
    """Return the complete URL of a token request."""
    return "?".join(filter(None, [golden["url"], golden.get("query", "")]))


@each_platform
def test_token_request_is_the_documented_one(
    platform: Platform, world: World, responding: Connect
) -> None:
    """keyturn could not send a real platform's token request."""
    example = platform.example
    responding(platform, example["response"]).token()
    steps = [each["request"] for each in example.get("previous", ())]

    for golden, request in zip([*steps, example["request"]], world.endpoint.requests, strict=True):
        url, headers, body = encode(request, world.clock.now)
        assert (request.method, url) == (golden["method"], url_of(golden))
        assert_headers(token_headers(golden), headers)
        assert matches(golden["body"], body.decode())


@each_platform_that(lambda each: "assertion" in each.example)
def test_assertion_is_the_documented_one(
    platform: Platform, world: World, responding: Connect, credentials: dict[str, str]
) -> None:
    """The platform would reject the assertion, or get one `jti` twice."""
    responding(platform, platform.example["response"]).token()
    golden, ids = platform.example["assertion"], set()
    for _ in range(2):
        _, headers, body = encode(world.endpoint.requests[-1], world.clock.now)
        wanted = platform.example["request"]
        places = [(wanted["body"], body.decode())]
        places += [(value, headers[name]) for name, value in wanted.get("headers", {}).items()]
        (place,) = [each for each in places if "{assertion}" in each[0]]
        sent = matches(*place)
        assert sent is not None
        key = checking_key(platform, credentials)
        decoded = jwt.decode(sent["assertion"], key, algorithms=[golden["header"]["alg"]])
        ids.add(decoded.claims["jti"])

        assert golden["header"].items() <= decoded.header.items()
        assert golden["claims"].items() <= decoded.claims.items()
        assert 0 < decoded.claims["exp"] - decoded.claims["iat"] <= 3600
    assert len(ids) == 2


def checking_key(platform: Platform, credentials: dict[str, str]) -> Any:
    """Return the key that verifies a platform's assertion."""
    settings = platform.example["settings"]
    if "private_key" not in settings:
        return jwk.OctKey.import_key(settings["client_secret"])
    kind = jwk.ECKey if settings["private_key"] == "{ec}" else jwk.RSAKey
    return kind.import_key(credentials[f"public {settings['private_key']}"])


@each_platform_that(
    # The other platforms sign the URL, which differs here.
    lambda each: "previous" not in each.example and "{request.target}" not in str(each.description)
)
def test_wire_carries_the_documented_token_request(
    platform: Platform,
    connect: Connect,
    serve: Callable[..., RawServer],
    http_response: Callable[..., bytes],
) -> None:
    """The request would differ from the one that is shown, or its response would give no token."""
    example = platform.example
    golden, response = example["request"], example["response"]
    headers = {
        name.lower().replace("-", "_"): value for name, value in response.get("headers", {}).items()
    }
    server = serve(http_response(response["body"].encode(), response["status"], **headers))
    connection = connect(platform, token_url=server.url)

    assert connection.token().access_token == example["token"]["access_token"]
    server.close()
    (sent,) = server.received
    head, _, body = sent.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    usual = {
        "host": f"127.0.0.1:{server.port}",
        "connection": "keep-alive",
        "user-agent": "keyturn",
    }
    if golden["method"] != "GET":
        usual["content-length"] = str(len(body))

    assert first == f"{golden['method']} {url_of(golden | {'url': '/token'})} HTTP/1.1"
    assert_headers(usual | token_headers(golden), dict(line.split(": ", 1) for line in lines))
    assert matches(golden["body"], body)


@each_platform
def test_documented_response_gives_the_token(platform: Platform, responding: Connect) -> None:
    """A platform's token would be misread, renewed too late, or sent in the wrong way."""
    golden, api = platform.example["token"], platform.example["api"]
    connection = responding(platform, platform.example["response"])
    token = connection.token()

    assert token.access_token == golden["access_token"]
    assert token.expires_at - token.issued_at == pytest.approx(golden["lifetime"])
    assert_headers(api["headers"], connection.headers())
    if "url" in api:
        assert connection.api_url == api["url"]
    else:
        with pytest.raises(keyturn.errors.ConfigurationError, match="api_url"):
            _ = connection.api_url


@each_platform_that(lambda each: each.example["api"].keys() & {"query", "signed"})
def test_api_request_is_the_documented_one(platform: Platform, responding: Connect) -> None:
    """An API would not find the token, or reject a signature."""
    api = platform.example["api"]
    connection = responding(platform, platform.example["response"])
    request = {"method": "GET", "path": "/made-up", "body": "", "headers": {}}
    request |= api.get("signed", {})
    url = f"{connection.api_url}{request['path']}"
    auth = keyturn.integrations.RequestAuth(connection)
    sent = auth.authorize(request["method"], url, {}, request["body"].encode())

    assert sent.url == (f"{url}?{api['query']}" if "query" in api else url)
    assert_headers(api["headers"] | request["headers"], sent.headers)


@each_response(lambda example: example["api"].get("rejected", ()))
def test_documented_error_of_the_api_rejects_the_token(
    platform: Platform, response: dict[str, Any], world: World, responding: Connect
) -> None:
    """A token that the API rejects would be used until it expires."""
    example = platform.example
    connection = responding(platform, example["response"])
    auth = keyturn.integrations.RequestAuth(connection)
    sent = auth.authorize("GET", f"{connection.api_url}/made-up", {})
    token = example["token"]["access_token"]
    other = example["response"]["body"].replace(token, f"{token}2")
    world.endpoint.responses = [received(example["response"] | {"body": other}, world.clock.now)]
    refusal = received(response, world.clock.now)
    renewed = auth.reauthorize(sent, refusal.status, refusal.headers, refusal.body)

    assert renewed is not None
    assert renewed.token.access_token == f"{token}2"


@each_response(lambda example: example["errors"])
def test_documented_error_is_read(
    platform: Platform, response: dict[str, Any], responding: Connect
) -> None:
    """A user would look for the mistake in the wrong place."""
    connection = responding(platform, response)

    with pytest.raises(keyturn.errors.KeyturnError) as raised:
        connection.token()

    assert type(raised.value).__name__ == response["raises"]
    assert "made-up-secret" not in str(raised.value)


def test_each_ability_is_used_by_a_real_platform() -> None:
    """The description language would have a feature that no platform needs."""
    assert [name for name, has in ABILITIES.items() if not any(map(has, PLATFORMS))] == []


def test_files_are_complete() -> None:
    """A platform would be listed without its source, or without a test."""
    for platform in PLATFORMS:
        data, example = platform.data, platform.example

        assert data.keys() == {"source", "notes", "provider", "example"}
        assert re.fullmatch(r"https://(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/[\x21-\x7e]*)?", data["source"])
        assert "example" not in data["source"].split("/")[2]
        assert platform.provider.title
        assert {"settings", "request", "response", "token", "api", "errors"} <= example.keys()
        assert example["errors"], platform.name
        assert ("{assertion}" in str(example["request"])) == ("assertion" in example)
        for name in ("client_secret", "private_key"):
            assert re.match(r"made-up|\{", example["settings"].get(name, "made-up"))


def test_descriptions_are_short() -> None:
    """An author would have to repeat what most platforms have in common."""
    assert statistics.median(len(each.lines) for each in PLATFORMS) <= 9
    assert statistics.median(len(each.differing_lines) for each in PLATFORMS) <= 6


def test_page_is_current() -> None:
    """The page would list missing platforms, or wrong features."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.platforms.page"
