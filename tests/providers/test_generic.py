"""The provider `generic`: any platform, described in `keyturn.toml` or in the environment."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from tests.conftest import for_each
from tests.keys import RSA

import keyturn
from keyturn import errors
from keyturn._connection import make_connection
from keyturn._providers.data import DATA
from keyturn._providers.kinds import fields_of
from keyturn._tokens.options import Specification

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer, World

SECRET = "s3cret-for-tests"
PREFIX = "KEYTURN_CONNECTIONS__ACME__"
ADDRESS = "https://login.acme.example/token"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the configuration, and keep tokens in memory."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("KEYTURN_STORE", "memory://")


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], keyturn.Connection]:
    """Give a function that loads a connection from the settings of a configuration file."""

    def load_text(text: str) -> keyturn.Connection:
        path = tmp_path / "keyturn.toml"
        path.write_text(f'[connections.acme]\nprovider = "generic"\n{text}', encoding="utf-8")
        path.chmod(0o600)
        return keyturn.load_connection("acme", config=path)

    return load_text


def problems(load: Callable[..., keyturn.Connection], *given: Any) -> list[str]:
    """Return the mistakes that loading a connection reports."""
    with pytest.raises(errors.ConfigurationError) as caught:
        load(*given)
    assert SECRET not in str(caught.value)
    return list(map(str, caught.value.problems))


# --- The settings are the data of a provider ---


OWN = {"name", "title", "token_url", "api_url", "rate_limit"}


@for_each("name", sorted(DATA.keys() - OWN))
def test_every_datum_is_a_setting_with_the_same_default(name: str) -> None:
    """A platform that needs the datum could not be described, or would behave differently."""
    settings = keyturn.provider("generic").settings(token_url=ADDRESS)

    assert getattr(settings, name) == getattr(keyturn.plugins.Provider, name)
    title = fields_of(type(settings))[name].metadata["title"]
    assert title[0].isupper()
    assert title.casefold() == name.replace("_", " ")


def test_default_settings_describe_a_provider_of_rfc_6749() -> None:
    """A URL alone would not describe a platform that follows RFC 6749."""
    connection = keyturn.connect(
        "generic", token_url=ADDRESS, client_id="cid", client_secret=SECRET
    )
    usual = keyturn.plugins.provider_from_data({"token_url": ADDRESS}, name="generic")
    request = usual.token_request(
        usual.settings(client_id="cid", client_secret=keyturn.Secret(SECRET))
    )

    assert connection.token_request().body == request.body
    for name in DATA.keys() - OWN:
        assert getattr(connection.provider, name) == getattr(usual, name), name


# --- In a file ---


FILE = """
token_url = "https://login.acme.example/token"
api_url = "https://api.acme.example/v1"
revocation_url = "https://login.acme.example/revoke"
client_id = "cid"
client_secret = { env = "ACME_SECRET" }
client_authentication = "client_secret_basic"
parameters = { audience = "{client_id}", kind = "machine" }
token_headers = { X-Tenant = "7" }
scope = ["read", "write"]
scope_separator = ","
token_field = "data.token"
token_type = ""
token_status = 201
lifetime_field = "data.end"
lifetime_format = "epoch_milliseconds"
error_field = "code"
error_description_field = "text"
error_codes = { 17 = "invalid_client" }
authorization_header = "X-Token"
authorization_scheme = ""
api_headers = { X-Tenant = "7" }
per_minute = 3
burst = 20
max_margin = 60
"""


def test_platform_is_described_in_the_configuration(
    load: Callable[[str], keyturn.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform without its own provider could not be used without code."""
    monkeypatch.setenv("ACME_SECRET", SECRET)
    connection = load(FILE)
    request = connection.token_request()

    assert request.url == ADDRESS
    assert request.body.decode() == (
        "grant_type=client_credentials&audience=cid&kind=machine&scope=read%2Cwrite"
    )
    assert request.headers["X-Tenant"] == "7"
    assert request.headers["Authorization"].startswith("Basic ")
    assert connection.api_url == "https://api.acme.example/v1"
    assert connection.provider.rate_limit == keyturn.plugins.RateLimit(3, 20)
    assert connection.provider.max_margin == 60
    assert connection.provider.revocation_url == "https://login.acme.example/revoke"
    assert SECRET not in repr(connection.settings)


def test_platform_described_in_the_configuration_gives_its_token(
    world: World, load: Callable[[str], keyturn.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data would be read, but not be used."""
    monkeypatch.setenv("ACME_SECRET", SECRET)
    loaded = load(FILE)
    connection = make_connection(
        Specification(keyturn.provider("generic"), loaded.settings),
        world.store,
        clock=world.clock.clock,
        transport=world.endpoint,  # type: ignore[arg-type]  # only `send` is used
    )
    end = (world.clock.now + 600) * 1000
    world.endpoint.responses = [
        world.endpoint.response(200, {"code": 17, "text": "unknown app"}),
        world.endpoint.response(201, {"data": {"token": "t0ken", "end": end}}),
    ]

    with pytest.raises(errors.InvalidClient, match="unknown app"):
        connection.token()
    connection.forget()
    assert connection.token().lifetime == pytest.approx(600)
    assert connection.headers() == {"X-Token": "t0ken", "X-Tenant": "7"}


def test_password_stays_a_secret(
    load: Callable[[str], keyturn.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transcripts would show a password among the parameters."""
    monkeypatch.setenv("ACME_PASSWORD", SECRET)
    request = load(
        """
        token_url = "https://login.acme.example/token"
        grant_type = "password"
        username = "robot"
        password = { env = "ACME_PASSWORD" }
        parameters = { username = "{username}", password = "{password}" }
        """
    ).token_request()

    assert request.body == b"grant_type=password&username=robot&password=s3cret-for-tests"
    assert request.redacted().body == b"grant_type=password&username=robot&password=REDACTED"


API_KEYS: list[tuple[str, str, str]] = [
    # Settings; the expected body; the header with the key.
    ('client_secret_name = "api_key"\nbody_format = "json"', '{"api_key":"s3cret-for-tests"}', ""),
    ('client_secret_name = "X-Key"\nclient_authentication = "client_secret_headers"', "", "X-Key"),
    ('token_headers = { X-Key = "key {client_secret}" }\nclient_secret_name = ""', "", "X-Key"),
]


@pytest.mark.parametrize(("text", "body", "header"), API_KEYS)
def test_api_key_is_enough_for_a_token(
    load: Callable[[str], keyturn.Connection], text: str, body: str, header: str
) -> None:
    """A platform without a client ID and a grant could not be described."""
    usual = f'token_url = "{ADDRESS}"\nclient_secret = "{SECRET}"\ngrant_type = ""\n'
    request = load(usual + text).token_request()

    assert request.body.decode() == body
    assert not header or request.headers[header].endswith(SECRET)
    assert SECRET not in str(request.redacted().headers) + str(request.redacted().body)


def test_key_and_certificate_authenticate_the_client(
    load: Callable[[str], keyturn.Connection], tmp_path: Path
) -> None:
    """Only plugins could authenticate with a private key or a certificate."""
    key = RSA.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "key.pem").write_bytes(key)
    usual = f'token_url = "{ADDRESS}"\nclient_id = "cid"\n'
    signed = load(
        f"""{usual}
        client_authentication = "private_key_jwt"
        private_key = {{ file = "{tmp_path / "key.pem"}" }}
        key_id = "key-1"
        assertion_claims = {{ scope = "{{scope}}" }}
        scope = "a b"
        scope_name = ""
        """
    ).token_request()
    shown = load(
        f"""{usual}
        client_authentication = "tls_client_auth"
        certificate = "/made/up.pem"
        certificate_password = "{SECRET}"
        """
    ).token_request()

    assert b"client_assertion=ey" in signed.body
    assert b"scope" not in signed.body
    assert shown.certificate is not None
    assert shown.certificate.certificate == "/made/up.pem"
    assert SECRET not in repr(shown.certificate)


def test_token_request_and_api_headers_are_as_described(
    load: Callable[[str], keyturn.Connection],
    serve: Callable[..., RawServer],
    token_response: bytes,
) -> None:
    """A described platform would refuse the token request, or its API a request."""
    server = serve(token_response)
    connection = load(
        f"""
        token_url = "{server.url}"
        client_id = "cid"
        client_secret = "{SECRET}"
        method = "GET"
        body_format = "query"
        """
    )

    assert connection.headers() == {"Authorization": "Bearer t0ken"}
    assert server.received[0].startswith(b"GET /token?grant_type=client_credentials&client_id=cid&")
    assert SECRET not in connection.explain()


def test_tables_of_another_connection_are_not_read_as_references(
    load: Callable[[str], keyturn.Connection],
) -> None:
    """One described platform in the file would prevent loading every other connection."""
    connection = load(
        f"""
        token_url = "{ADDRESS}"
        parameters = {{ env = "HOME" }}
        [connections.other]
        provider = "generic"
        token_url = "{ADDRESS}"
        parameters = {{ audience = "a", resource = "b" }}
        """
    )

    assert connection.token_request().body == b"grant_type=client_credentials&env=HOME"


# --- In the environment ---


def test_environment_alone_describes_a_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container without a file could not describe a platform with JSON in variables."""
    variables = {
        "PROVIDER": "generic",
        "TOKEN_URL": ADDRESS,
        "CLIENT_ID": "cid",
        "CLIENT_SECRET": SECRET,
        "PARAMETERS": '{"audience": "Acme", "user": "{client_id}"}',
        "ERROR_CODES": '{"E-17": "invalid_client"}',
        "API_DOMAINS": "acme.example acme.test",
        "SCOPE": "a b",
        "BURST": "20",
        "PER_MINUTE": "3",
        "MAX_MARGIN": "60",
        "TOKEN_TYPE": "",
    }
    for name, text in variables.items():
        monkeypatch.setenv(PREFIX + name, text)
    connection = keyturn.load_connection("acme")

    assert connection.token_request().body.decode() == (
        "grant_type=client_credentials&client_id=cid&client_secret=s3cret-for-tests"
        "&audience=Acme&user=cid&scope=a+b"
    )
    assert connection.provider.error_codes == {"E-17": "invalid_client"}
    assert connection.provider.api_domains == ("acme.example", "acme.test")
    assert connection.provider.rate_limit == keyturn.plugins.RateLimit(3, 20)
    assert connection.provider.token_type == ""


@pytest.mark.parametrize("text", ["audience=a", '["a"]', '{"a": null}', "{", "", "[" * 5000])
def test_variable_that_is_not_a_table_is_reported(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A mistyped variable would cause a raw Python error."""
    for name, value in {"PROVIDER": "generic", "TOKEN_URL": ADDRESS, "PARAMETERS": text}.items():
        monkeypatch.setenv(PREFIX + name, value)

    wanted = "a table of strings, numbers, booleans, lists and tables"
    assert problems(keyturn.load_connection, "acme") == [
        f'{PREFIX}PARAMETERS: must be {wanted}, such as {{ audience = "…", days = 7 }}'
    ]


# --- Mistakes ---


MISTAKES: list[tuple[str, str]] = [
    ('token_field = "a..b"', "token_field: must be a path such as data.token"),
    ('lifetime_format = "epoche"',
     "lifetime_format: must be one of seconds, decimal, milliseconds, minutes, epoch,"),
    ('parameters = { a = "{tenant}" }',
     "parameters: '{tenant}' names {tenant}, which is not a setting"),
    ('parameters = { password = { env = "X" } }',
     "parameters: password is a secret reference: use a setting instead, such as"),
    ('revocation_url = "http://acme.example"', "revocation_url: must begin with https://"),
    ('error_codes = { 7 = "Bad" }', "error_codes: 'Bad' is not an error code of RFC 6749"),
    ('method = "GET"\nbody_format = "json"',
     "body_format: can't be json with method GET, which has no body"),
    ("per_minute = 3", "burst: is required with per_minute"),
    ("burst = 3", "per_minute: is required with burst"),
    ("per_minute = 0\nburst = 1", "per_minute: must be above 0"),
    ("per_minute = 1\nburst = 0", "burst: must be 1 or more"),
    ('client_authentication = "private_key_jwt"', "private_key: is required for private_key_jwt"),
    ('client_authentication = "tls_client_auth"', "certificate: is required for tls_client_auth"),
    ('tokn_field = "x"', "tokn_field: is not a setting of this provider. Did you mean token_fi"),
    ('api_domains = ["https://acme.example"]',
     "api_domains: 'https://acme.example' must be a domain name"),
    ("token_status = 404", "token_status: must be from 200 to 299"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mistake"), MISTAKES)
def test_mistake_is_reported_with_its_location(
    load: Callable[[str], keyturn.Connection], text: str, mistake: str
) -> None:
    """The error would not say where the mistake is."""
    (found,) = problems(load, f'token_url = "{ADDRESS}"\n{text}')

    assert found.startswith(f"connections.acme.{mistake}")


def test_all_mistakes_are_reported_at_once(load: Callable[[str], keyturn.Connection]) -> None:
    """A user would have to correct the mistakes one by one."""
    found = problems(
        load,
        """
        token_url = "https://acme.example/token"
        token_field = "a..b"
        token_status = 404
        client_authentication = "private_key_jwt"
        burst = 3
        tokn_type = "x"
        lifetime_format = "epoche"
        """,
    )
    settings = [mistake.split(": ")[0].removeprefix("connections.acme.") for mistake in found]

    assert sorted(settings) == [
        "lifetime_format",
        "per_minute",
        "private_key",
        "token_field",
        "token_status",
        "tokn_type",
    ]


def test_schema_lists_the_accepted_settings() -> None:
    """A form made from the schema would refuse valid settings."""
    schema = keyturn.provider("generic").settings_schema()

    assert schema["required"] == ["token_url"]
    assert schema["properties"]["parameters"]["type"] == "object"
    assert re.search(schema["properties"]["token_field"]["pattern"], "")
    assert not re.search(schema["properties"]["lifetime_field"]["pattern"], "data..lifetime")
    assert json.dumps(schema)
