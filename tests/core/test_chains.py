"""Chains of token requests, and discovery: each step is cached, limited and shown separately."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk, jwt

import keyturn
from keyturn.errors import (
    ConfigurationError,
    EndpointUnavailable,
    InvalidTokenResponse,
    KeyturnError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import World

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
SECRET = "s3cret-for-tests"
STORE = keyturn.stores.from_url("memory://")
LOOPBACK = keyturn.NetworkPolicy(private_addresses=True, loopback=True)


class Platform:
    """A server with a login, whose session is exchanged for a token, and a discovery document.

    Attributes:
        requests: The path, the headers and the parameters of each request.
        bodies: The body of each request.
        sessions: The sessions that can be exchanged.
        document: The document, without its own URL.
        refusal: The status and the error code for a session that can't be exchanged.
        status: The HTTP status of the discovery document.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.bodies: list[bytes] = []
        self.sessions: set[str] = set()
        self.issued = 0
        self.refusal = 401, "invalid_token"
        self.status = 200
        self.login_fields: dict[str, Any] = {}
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                size = int(self.headers.get("Content-Length", "0"))
                platform.bodies.append(self.rfile.read(size))
                sent = {k: v[0] for k, v in parse_qs(platform.bodies[-1].decode()).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                platform.requests.append((self.path, headers, sent))
                status, content = platform.response(self.path, sent)
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - http.server requires the name

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.document: dict[str, Any] = {
            "token_endpoint": f"{self.url}/token",
            "revocation_endpoint": f"{self.url}/revoke",
        }

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        """The paths of the requests."""
        return [path for path, _, _ in self.requests]

    def response(self, path: str, sent: dict[str, Any]) -> tuple[int, Any]:
        """Return the status and the content of a response."""
        if path == "/config":
            return self.status, self.document
        if path == "/revoke":
            return 200, {}
        self.issued += 1
        token = {"token_type": "Bearer", "expires_in": 3600}
        if path == "/login":
            if sent.get("client_secret") != SECRET:
                return 401, {"error": "invalid_client"}
            session = f"made-up-session-{self.issued}"
            self.sessions.add(session)
            fields = {"access_token": session, "account": {"id": 7}, **self.login_fields}
            return 200, token | fields
        if path == "/token" and sent.get("subject_token") not in self.sessions:
            status, code = self.refusal
            return status, {"error": code}
        return 200, token | {"access_token": f"made-up-token-{self.issued}"}


@pytest.fixture
def platform() -> Iterator[Platform]:
    """Give the server."""
    with Platform() as server:
        yield server


def description(platform: Platform, **changed: Any) -> dict[str, Any]:
    """Return the description of the platform, whose session is exchanged."""
    return {
        "name": "acme",
        "token_url": f"{platform.url}/token",
        "api_url": platform.url,
        "client_id_name": "",
        "client_secret_name": "",
        "grant_type": EXCHANGE,
        "parameters": {
            "subject_token": "{previous.access_token}",
            "account": "{previous.account.id}",
        },
        "previous": {"token_url": f"{platform.url}/login", **changed.pop("previous", {})},
        **changed,
    }


def discovered(platform: Platform, **table: Any) -> dict[str, Any]:
    """Return the description of the platform with its endpoints discovered."""
    return {
        "name": "acme",
        "token_url": "{discovery.token_endpoint}",
        "revocation_url": "{discovery.revocation_endpoint}",
        "api_url": platform.url,
        "discovery": {"url": f"{platform.url}/config", **table},
    }


def connect(data: dict[str, Any], store: Any = None, **given: Any) -> keyturn.Connection:
    """Return a connection to a provider that is described."""
    settings = {"client_id": "made-up", "client_secret": SECRET, "scope": "read"}
    return keyturn.connect(
        keyturn.plugins.provider_from_data(data),
        settings | given.pop("settings", {}),
        store=store or keyturn.stores.from_url("memory://"),
        **given,
    )


def test_token_is_exchanged_and_each_step_is_kept(platform: Platform) -> None:
    """The second request would lack the first token, or a cache hit would send a request."""
    store = keyturn.stores.from_url("memory://")
    with (
        connect(description(platform), store) as first,
        connect(description(platform), store) as second,
    ):
        token = first.token()
        assert second.token() == token
        first.invalidate(token)
        assert first.token() != token

    assert platform.paths == ["/login", "/token", "/token"]
    _, _, sent = platform.requests[1]
    assert sent == {
        "grant_type": EXCHANGE,
        "subject_token": "made-up-session-1",
        "account": "7",
        "scope": "read",
    }


def test_first_token_may_be_used_anywhere_in_the_second_request(platform: Platform) -> None:
    """A request with the session in a header, or signed with it, could not be described."""
    platform.sessions = Accepting()
    data = description(
        platform,
        body_format="json",
        parameters={"login": {"session": "{previous.access_token}", "of": ["{pair}"]}},
        token_headers={"Authorization": "Session {previous.access_token}", "X-Sign": "{signature}"},
        values={
            "pair": {"template": "{client_id}:{previous.account.id}", "encoding": "base64"},
            "signature": {
                "template": "{request.body}",
                "digest": "sha256",
                "hmac_key": "{previous.access_token}",
            },
        },
    )
    with connect(data, STORE, settings={"client_id": "anywhere"}) as connection:
        connection.token()
        shown = connection.explain()

    _, headers, _ = platform.requests[1]
    body = platform.bodies[1]
    session = "made-up-session-1"
    pair = base64.b64encode(b"anywhere:7").decode()
    assert json.loads(body)["login"] == {"session": session, "of": [pair]}
    assert headers["authorization"] == f"Session {session}"
    assert headers["x-sign"] == hmac.digest(session.encode(), body, "sha256").hex()
    assert session not in shown


def test_fingerprint_includes_that_of_the_previous_step(platform: Platform) -> None:
    """Another account's session would be exchanged, or its cached token would be used."""

    def fingerprint(**given: Any) -> str:
        with connect(description(platform, **given.pop("data", {})), STORE, **given) as connection:
            return connection.token_request().fingerprint

    assert fingerprint() == fingerprint()
    others = {
        fingerprint(),
        fingerprint(settings={"client_secret": "another"}),
        fingerprint(data={"previous": {"parameters": {"a": "b"}}}),
        fingerprint(data={"parameters": {"subject_token": "{previous.account.id}"}}),
    }
    assert len(others) == 4


def test_step_is_shared_by_concurrent_connections(platform: Platform) -> None:
    """Connections that need the same session would each log in, or wait for each other."""
    store = keyturn.stores.from_url("memory://")
    scopes = [
        {"parameters": {"subject_token": "{previous.access_token}", "n": str(n)}} for n in range(8)
    ]
    connections = [connect(description(platform, **each), store) for each in scopes]
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda each: each.token().access_token, connections))
    for each in connections:
        each.close()

    assert len(set(tokens)) == 8
    assert sorted(platform.paths) == ["/login", *["/token"] * 8]


@pytest.mark.parametrize(
    "refusal", [(401, "invalid_token"), (400, "invalid_grant"), (401, "invalid_client")]
)
def test_refused_session_is_renewed_once(platform: Platform, refusal: tuple[int, str]) -> None:
    """Every exchange with a session that the server ended would fail until it expires."""
    events: list[keyturn.Event] = []
    platform.refusal = refusal
    with connect(description(platform), on_event=events.append) as connection:
        token = connection.token()
        connection.invalidate(token)
        platform.sessions.clear()
        assert connection.token() != token
        connection.invalidate(connection.token())
        connection.token()  # no error response is cached

    assert platform.paths == ["/login", "/token", "/token", "/login", "/token", "/token"]
    assert [(event.url or "").rpartition("/")[2] for event in events][:4] == [
        "login",
        "token",
        "token",
        "login",
    ]
    assert events[3].reason == "refused"


def test_second_refusal_of_a_session_is_an_error(platform: Platform) -> None:
    """Logins would be repeated endlessly and use up the rate limit."""
    with connect(description(platform)) as connection:
        platform.sessions = Refusing()
        with pytest.raises(KeyturnError, match="invalid_token"):
            connection.token()
        with pytest.raises(KeyturnError, match="cached"):
            connection.token()

    assert platform.paths == ["/login", "/token", "/login", "/token"]


class Refusing(set[str]):
    """A set that contains no session, so that each one is refused."""

    def __contains__(self, _: object) -> bool:
        return False


def test_other_errors_renew_no_session(platform: Platform) -> None:
    """A wrong scope would cost a login each time."""
    platform.refusal = 400, "invalid_scope"
    with connect(description(platform)) as connection:
        platform.sessions = Refusing()
        with pytest.raises(KeyturnError, match="invalid_scope"):
            connection.token()

    assert platform.paths == ["/login", "/token"]


def test_error_of_a_step_names_it(platform: Platform) -> None:
    """A user would look for the mistake in the wrong request."""
    with (
        connect(description(platform), settings={"client_secret": "wrong"}) as connection,
        pytest.raises(
            keyturn.errors.InvalidClient, match=r"the step previous, .*/login: "
        ) as caught,
    ):
        connection.token()

    assert "wrong" not in str(caught.value).replace("is wrong", "")
    assert platform.paths == ["/login"]


def test_missing_value_is_an_error(platform: Platform) -> None:
    """The request would be sent without a value that it needs."""
    data = description(platform, parameters={"subject_token": "{previous.session.key}"})
    with (
        connect(data) as connection,
        pytest.raises(InvalidTokenResponse, match=r"login has no session\.key"),
    ):
        connection.token()


def test_forget_discards_all_steps(platform: Platform) -> None:
    """A broken session would be used again after `forget`."""
    with connect(description(platform)) as connection:
        connection.token()
        connection.forget()
        connection.token()

    assert platform.paths == ["/login", "/token"] * 2


def test_removed_connection_leaves_no_step(platform: Platform) -> None:
    """A removed tenant's session would stay in the store."""
    store = keyturn.stores.MemoryStore()
    with keyturn.Connections(store=store, policy=LOOPBACK) as connections:
        provider = keyturn.plugins.provider_from_data(description(platform))
        row = {"client_id": "made-up", "client_secret": SECRET}
        connections.open("one", provider, row).token()
        held = [store.read(key) for key in stored(store)]
        assert sum("made-up-session" in str(each) for each in held) == 1
        connections.remove("one")
        left = [store.read(key) for key in stored(store)]
        connections.open("two", provider, row, isolate=True).token()
        connections.open("three", provider, row, isolate=True).token()

    assert "made-up" not in str(left)
    assert platform.paths == ["/login", "/token"] * 3


def stored(store: Any) -> list[str]:
    """Return the keys of a memory store."""
    return list(store._entries)  # noqa: SLF001 - no public method lists the keys


def test_transcript_has_each_step_and_no_secret(platform: Platform) -> None:
    """A user would not see which step failed, or a bug report would show the session."""
    with connect(description(platform)) as connection:
        cold = connection.explain()
        hit = connection.explain()

    assert f"> POST {platform.url}/login" in cold
    assert "step previous: keyturn requests a token." in cold
    assert "step previous, fingerprint " in hit
    assert "keyturn sends no request" in hit
    assert not any(word in cold + hit for word in ("made-up-session", "made-up-token", SECRET))


def test_chain_of_three_in_python(platform: Platform) -> None:
    """A provider in Python could not have two steps before its token request."""

    class Login(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
        name = "login"
        settings = keyturn.plugins.ConfidentialSettings
        token_url = f"{platform.url}/login"

    class Exchange(Login):
        name = "exchange"
        token_url = f"{platform.url}/token"
        previous = Login()
        grant_type = EXCHANGE
        parameters = {"subject_token": "{previous.access_token}"}  # noqa: RUF012 - as providers declare it

    class Last(Login):
        name = "last"
        token_url = f"{platform.url}/last"
        previous = Exchange()
        parameters = {"assertion": "{previous.access_token}"}  # noqa: RUF012 - as above

    settings = {"client_id": "made-up", "client_secret": SECRET}
    store = keyturn.stores.from_url("memory://")
    with keyturn.Connection(Last(), settings, store=store) as connection:
        assert connection.token().access_token == "made-up-token-3"
        shown = connection.explain()

    assert platform.paths == ["/login", "/token", "/last"]
    assert platform.requests[2][2]["assertion"] == "made-up-token-2"
    assert shown.count("step previous, fingerprint") == 2


def test_whole_chain_has_one_deadline(world: World, platform: Platform) -> None:
    """A caller would wait for the timeout of each step, one after another."""
    seconds: list[float] = []
    send = world.endpoint.send

    def slow(request: Any, left: float, *given: Any) -> Any:
        seconds.append(left)
        world.clock.advance(duration)
        return send(request, left, *given)

    world.endpoint.send = slow  # type: ignore[method-assign]
    provider = keyturn.plugins.provider_from_data(
        description(platform, parameters={"subject_token": "{previous.access_token}"})
    )
    duration = 4.0
    world.connect(provider, options={"timeout": 10}).token()
    duration = 11.0
    late = world.connect(provider, client_id="other", options={"timeout": 10, "wait": 0.5})
    with pytest.raises(EndpointUnavailable, match="no time is left"):
        late.token()

    assert seconds == [10, 6, 10.5]


def test_endpoints_are_discovered_once(platform: Platform) -> None:
    """Each token request would discover the endpoints again, or use a wrong address."""
    platform.sessions = Accepting()
    store = keyturn.stores.from_url("memory://")
    data = discovered(platform)
    with (
        connect(data, store) as first,
        connect(data, store, settings={"client_id": "other"}) as second,
    ):
        first.token()
        second.token()
        shown = first.explain()
        first.revoke()

    assert platform.paths == ["/config", "/token", "/token", "/revoke"]
    assert platform.requests[0][2] == {}
    assert "authorization" not in platform.requests[0][1]
    assert "> POST {discovery.token_endpoint}" in shown
    assert f"> GET {platform.url}/config" in shown


class Accepting(set[str]):
    """A set that contains any session, even a missing one."""

    def __contains__(self, _: object) -> bool:
        return True


def test_audience_of_an_assertion_is_the_discovered_endpoint(platform: Platform) -> None:
    """The server would refuse the assertion, because its audience is not the endpoint."""
    platform.sessions = Accepting()
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    data = discovered(platform) | {
        "client_authentication": "private_key_jwt",
        "assertion_algorithm": "ES256",
    }
    settings = {"private_key": pem.decode()}
    store = keyturn.stores.from_url("memory://")
    provider = keyturn.plugins.provider_from_data(data)
    with keyturn.connect(provider, {"client_id": "made-up", **settings}, store=store) as connection:
        connection.token()

    assertion = platform.requests[1][2]["client_assertion"]
    claims = jwt.decode(assertion, jwk.ECKey.import_key(pem), algorithms=["ES256"]).claims
    assert claims["aud"] == f"{platform.url}/token"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"token_endpoint": "http://elsewhere.example/token"}, "discovery.token_endpoint in the"),
        ({"token_endpoint": "https://elsewhere.example/token"}, "is not below 127.0.0.1"),
        ({"token_endpoint": "nonsense"}, "token_endpoint in the response"),
        ({}, "has no token_endpoint"),
    ],
)
def test_discovered_address_is_checked(
    platform: Platform, document: dict[str, str], words: str
) -> None:
    """A secret would be sent to any address that a discovery document names."""
    platform.document = document
    with connect(discovered(platform)) as connection, pytest.raises(KeyturnError) as caught:
        connection.token()

    assert words in str(caught.value)
    assert f"{platform.url}/config" in str(caught.value)
    assert platform.paths == ["/config"]


NESTED = {"token_url": "{discovery.links.auth.href}/login", "revocation_url": ""}


def test_discovered_address_may_be_nested(platform: Platform) -> None:
    """A document with nested addresses, such as Cloud Foundry's, could not be used."""
    platform.document = {
        "links": {"auth": {"href": platform.url}, "n": 7, "list": [{}], "empty": {"n": 1}},
        "long": "x" * 5000,
    }
    with connect(discovered(platform) | NESTED) as connection:
        connection.token()

    assert platform.paths == ["/config", "/login"]


@pytest.mark.parametrize(
    ("domain", "words"),
    [("other.example", "is not below login.other.example"), ("_", "made from the settings")],
)
def test_domains_follow_the_settings(platform: Platform, domain: str, words: str) -> None:
    """The author of the discovery document could redirect the secret to any host."""
    platform.document = {"links": {"auth": {"href": "https://elsewhere.example"}}}
    data = discovered(platform, domains=["login.{domain}"]) | NESTED
    data["settings"] = {"domain": {"title": "Domain"}}
    with (
        connect(data, settings={"domain": domain}) as connection,
        pytest.raises(KeyturnError) as caught,
    ):
        connection.token()

    assert words in str(caught.value)
    assert platform.paths == ["/config"]


def test_failed_discovery_names_its_url(platform: Platform) -> None:
    """A user would look for the mistake at the token endpoint."""
    platform.status = 404
    with (
        connect(discovered(platform)) as connection,
        pytest.raises(KeyturnError, match=rf"the step discovery, {platform.url}/config: "),
    ):
        connection.token()
    platform.status, platform.document = 200, ["a list"]  # type: ignore[assignment]
    with (
        connect(discovered(platform)) as connection,
        pytest.raises(InvalidTokenResponse, match="is not a JSON object"),
    ):
        connection.token()


def test_policy_covers_all_steps(platform: Platform) -> None:
    """A tenant's discovery or login could reach a host that the policy forbids."""
    strict = keyturn.NetworkPolicy()
    for data in (description(platform), discovered(platform)):
        row = {"client_id": "made-up", "client_secret": SECRET}
        provider = keyturn.plugins.provider_from_data(data)
        with keyturn.Connections(policy=strict) as connections:
            assert connections.problems(provider, row)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (
            {"previous": {"name": "x"}},
            "previous.name: is for all steps: write it above the line [previous]",
        ),
        ({"previous": {"titel": "x"}}, "previous.titel: is not known"),
        ({"previous": {"token_url": "x"}}, "previous.token_url: "),
        ({"previous": 5}, "previous: must be a table"),
        ({"discovery": {"url": ""}}, "discovery.url: must not be empty"),
        ({"discovery": {"url": "https://a.example", "lifetime": 5}}, "discovery.lifetime: must be"),
        ({"token_url": "https://a.example/{previous.x}"}, "token_url: "),
        (
            {"discovery": {"url": "https://a.example", "domains": ["{x}"]}},
            "names {x}, which is not",
        ),
        (
            {"discovery": {"url": "https://a.example", "domains": ["{client_secret}"]}},
            "discovery.domains: '{client_secret}' names {client_secret}, a secret",
        ),
        (
            {"discovery": {"url": "https://a.example", "domains": ["a/b"]}},
            "discovery.domains: 'a/b' must be",
        ),
        (
            {"previous": {"token_url": "https://a.example", "domains": [7]}},
            "previous.domains: 7 must",
        ),
        ({"parameters": {"x": "{discovery.x}"}}, "{discovery.x}"),
    ],
)
def test_mistakes_are_reported(platform: Platform, changed: dict[str, Any], problem: str) -> None:
    """The mistake would be noticed only when a request fails."""
    data = description(platform) | changed
    with pytest.raises(ConfigurationError) as caught:
        keyturn.plugins.provider_from_data(data)

    assert problem.replace("names {discovery.x}, which is not", "{discovery.x}") in str(
        caught.value
    )


def test_transcript_says_that_a_step_sends_nothing(platform: Platform) -> None:
    """A transcript would show a login that did not take place."""
    with connect(description(platform)) as connection:
        connection.invalidate(connection.token())
        shown = connection.explain()

    assert "step previous: keyturn sends no request." in shown
    assert platform.paths == ["/login", "/token", "/token"]


def test_token_of_an_earlier_step_is_hidden_in_an_error(platform: Platform) -> None:
    """An error response of the last endpoint could put an earlier step's session into the log."""
    usual = platform.response

    def response(path: str, sent: dict[str, Any]) -> tuple[int, Any]:
        quoted = "the session made-up-session-1 has no such account"
        refused = 400, {"error": "invalid_scope", "error_description": quoted}
        return refused if path == "/last" else usual(path, sent)

    platform.response = response  # type: ignore[method-assign]
    middle = description(platform)
    data = {
        "token_url": f"{platform.url}/last",
        "parameters": {"subject_token": "{previous.access_token}"},
        "previous": {name: middle[name] for name in middle.keys() - {"name", "api_url"}},
    }
    with (
        connect(middle | data) as connection,
        pytest.raises(KeyturnError, match=r"the session \[hidden\] has no such account"),
    ):
        connection.token()

    assert platform.paths == ["/login", "/token", "/last"]


def test_transcript_hides_what_a_response_gives_for_api_requests(platform: Platform) -> None:
    """A support ticket would show a session key that the API needs beside the token."""
    platform.login_fields = {"account": {"id": "acme-7", "key": "made-up-session-key"}}
    data = {
        "name": "acme",
        "token_url": f"{platform.url}/login",
        "api_url": platform.url,
        "api_headers": {"X-Account": "{token.account.id}", "X-Key": "k {token.account.key}"},
    }
    with connect(data) as connection:
        shown = connection.explain()
        headers = connection.headers()

    assert headers["X-Key"] == "k made-up-session-key"
    assert "made-up-session-key" not in shown
    assert "  > X-Key: k [hidden]" in shown
    assert "  > X-Account: acme-7" in shown


def test_step_that_sends_no_scope_is_not_keyed_by_it(platform: Platform) -> None:
    """Each scope would cost its own login."""
    store = keyturn.stores.from_url("memory://")
    data = description(platform)
    data["previous"] = {**data["previous"], "scope_name": ""}
    for scope in ("read", "write"):
        with connect(data, store, settings={"scope": scope}) as connection:
            connection.token()

    assert platform.paths == ["/login", "/token", "/token"]
    assert [sent.get("scope") for _, _, sent in platform.requests] == [None, "read", "write"]


@pytest.mark.parametrize("place", ["parameters", "values"])
def test_step_that_uses_the_scope_elsewhere_is_keyed_by_it(platform: Platform, place: str) -> None:
    """Another scope's session would be exchanged."""
    named = {"for": "{of}"} if place == "values" else {"for": "{scope}"}
    data = description(platform)
    data["previous"] = {
        **data["previous"],
        "scope_name": "",
        "parameters": named,
    }
    if place == "values":
        data["previous"]["values"] = {"of": {"template": "of {scope}"}}
    store = keyturn.stores.from_url("memory://")
    for scope in ("read", "write"):
        with connect(data, store, settings={"scope": scope}) as connection:
            connection.token()

    assert platform.paths == ["/login", "/token"] * 2


def test_transcript_has_a_shared_step_once(platform: Platform) -> None:
    """One discovery request would be shown as two."""
    document = {"url": f"{platform.url}/config"}
    platform.sessions = Accepting()
    data = description(platform, discovery=document, token_url="{discovery.token_endpoint}")
    data["previous"] = {**data["previous"], "discovery": document}
    data["previous"]["parameters"] = {"aud": "{discovery.token_endpoint}"}
    with connect(data) as connection:
        cold = connection.explain()
        hit = connection.explain()

    assert platform.paths == ["/config", "/login", "/token"]
    assert cold.count("step discovery, fingerprint") == hit.count("step discovery, finger") == 1
    assert cold.count("step discovery:") == cold.count("step previous:") == 1


def test_value_of_a_step_that_repeats_a_secret_is_not_sent_masked(platform: Platform) -> None:
    """The mask would be sent as if it were an account, and the error would name the wrong step."""
    platform.login_fields = {"account": {"id": f"of {SECRET}"}}
    with (
        connect(description(platform)) as connection,
        pytest.raises(
            InvalidTokenResponse, match=r"account\.id in the response of .*/login contains"
        ),
    ):
        connection.token()

    assert platform.paths == ["/login"]


def test_api_requests_may_have_values_of_earlier_steps(platform: Platform) -> None:
    """An API at an address, or for an account, that only the login names could not be used."""
    platform.login_fields = {"account": {"id": "acme-7", "server": f"{platform.url}/v1/"}}
    data = description(
        platform,
        api_url="{previous.account.server}/{client_id}",
        api_headers={"X-Account": "{previous.account.id}", "X-Of": "{of}"},
        api_query={"tenant": "{previous.account.id}"},
        authorization_value="{previous.account.id} {token}",
        values={"of": {"template": "{previous.access_token}/{client_id}", "encoding": "hex"}},
    )
    data["parameters"] = {"subject_token": "{previous.access_token}"}
    store = keyturn.stores.from_url("memory://")
    for _ in range(2):  # the second connection finds the token in the store, without the login
        with connect(data, store) as connection:
            auth = keyturn.integrations.RequestAuth(connection)
            sent = auth.authorize("GET", f"{platform.url}/v1/made-up/orders", {})

            assert connection.api_url == f"{platform.url}/v1/made-up"
            assert sent.url == f"{platform.url}/v1/made-up/orders?tenant=acme-7"
            assert dict(sent.added) == {
                "Authorization": "acme-7 made-up-token-2",
                "X-Account": "acme-7",
                "X-Of": b"made-up-session-1/made-up".hex(),
            }
            assert "acme-7" not in repr(connection.token())
            assert "made-up-session-1" not in connection.explain()
    assert platform.paths == ["/login", "/token"]


def test_address_of_the_api_may_be_discovered(platform: Platform) -> None:
    """A user would have to copy an address that a public document has."""
    platform.document["api"] = {"root": platform.url}
    platform.sessions = Accepting()
    with connect(discovered(platform) | {"api_url": "{discovery.api.root}/v2"}) as connection:
        assert connection.api_url == f"{platform.url}/v2"
        assert platform.paths == ["/config", "/token"]


def test_token_without_the_values_of_steps_is_not_used(platform: Platform) -> None:
    """API requests would lack a header until the token expires, after the description changed."""
    store = keyturn.stores.from_url("memory://")
    with connect(description(platform), store) as connection:
        connection.token()
    data = description(platform, api_headers={"X-Account": "{previous.account.id}"})
    with connect(data, store) as connection:
        assert connection.headers()["X-Account"] == "7"


def test_renewed_session_gives_no_values_to_its_own_token(platform: Platform) -> None:
    """A login's token would be stored with values that belong to another one."""
    data = description(platform, api_headers={"X-Account": "{previous.account.id}"})
    store = keyturn.stores.from_url("memory://")
    with connect(data, store) as connection:
        first = connection.token()
        platform.sessions.clear()
        second = connection.token(stale=first)
    assert (first.extra["previous.account.id"], second.extra["previous.account.id"]) == ("7", "7")
    assert platform.paths == ["/login", "/token", "/token", "/login", "/token"]
    login = keyturn.plugins.provider_from_data(
        {"name": "acme", "token_url": f"{platform.url}/login", "client_id_name": ""}
    )
    with keyturn.connect(login, {"client_id": "made-up", "client_secret": SECRET}) as connection:
        assert "previous.account.id" not in connection.token().extra


@pytest.mark.parametrize(
    ("fields", "changed", "words"),
    [
        ({"server": "https://elsewhere.example"}, {}, "the step previous has no address of the"),
        ({"server": "acme"}, {}, "no address of the API at server that is below http://127.0.0.1"),
        ({}, {}, "has no server"),
        (
            {"server": "https://elsewhere.example"},
            {"previous": {"domains": ["acme.example"]}},
            "below acme.example",
        ),
    ],
)
def test_address_of_the_api_in_a_step_is_checked(
    platform: Platform, fields: dict[str, Any], changed: dict[str, Any], words: str
) -> None:
    """The token would be sent to any address that a login's response names."""
    platform.login_fields = fields
    data = description(platform, api_url="{previous.server}", **changed)
    with connect(data) as connection, pytest.raises(KeyturnError, match=words):
        _ = connection.api_url


def test_address_of_the_api_may_be_below_a_steps_domains(platform: Platform) -> None:
    """An API at another host than the login, which is usual, could not be used."""
    platform.login_fields = {"server": "https://eu7.acme.example/v1"}
    changed = {"api_url": "{previous.server}", "previous": {"domains": ["acme.example"]}}
    with connect(description(platform, **changed)) as connection:
        assert connection.api_url == "https://eu7.acme.example/v1"


@pytest.mark.parametrize("template", ["{previous.note}", "{token.note}", "{made}"])
def test_response_begins_no_header(platform: Platform, template: str) -> None:
    """A line break in a response would add a header to API requests."""
    platform.login_fields = {"note": "a\r\nX-Other: b", "account": {"id": "\0"}}
    named = template if "." in template else "{previous.note}"
    data = description(
        platform,
        api_headers={"X-Note": template, "X-Session": "{previous.access_token}"},
        values={"made": {"template": f"note {named}"}} if template == "{made}" else {},
    )
    data["parameters"] = {"subject_token": "{previous.access_token}"}
    if "token." in template:
        data |= {"token_url": f"{platform.url}/login", "previous": data.pop("previous")}
        data |= {"client_secret_name": "client_secret"}
    with connect(data) as connection:
        assert connection.headers().keys() == {"Authorization", "X-Session"}
