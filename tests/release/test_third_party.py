"""Third-party plugins: complete distributions that are built and installed with pip."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.release.conftest import Environment


class TokenEndpoint(BaseHTTPRequestHandler):
    """Responds to every request with a token, and records its parameters."""

    received: list[dict[str, str]]

    def do_POST(self) -> None:
        """Respond as in RFC 6749 section 5.1."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(dict(parse_qsl(body.decode())))
        response = {"access_token": "made-up", "token_type": "Bearer", "expires_in": 600}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(response).encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def token_endpoint() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve a token endpoint on loopback; yield its URL and the requests that it receives."""
    received: list[dict[str, str]] = []
    handler = type("Handler", (TokenEndpoint,), {"received": received})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/token", received
        finally:
            server.shutdown()
            thread.join()


def error_message(environment: Environment, error: str, provider: str, plugins: str = "") -> str:
    """Return the message of the named error that choosing a provider raises."""
    return environment.python(f"""
import keyturn, os
os.environ["KEYTURN_PLUGINS"] = {plugins!r}
try:
    keyturn.provider({provider!r})
except keyturn.errors.{error} as error:
    print(error)
else:
    raise SystemExit("chosen without an error")
""")


def test_third_party_provider_gives_a_token(with_plugins: Environment) -> None:
    """A plugin installed with pip would not work like a built-in provider."""
    with token_endpoint() as (url, received):
        token = with_plugins.python(f"""
import keyturn
settings = {{"tenant": "anvil", "client_id": "id", "client_secret": "s3cret-for-tests"}}
with keyturn.connect("acme", token_url={url!r}, **settings) as connection:
    assert connection.api_url == "https://anvil.acme.example/api"
    print(connection.token().access_token)
""")

    assert token == "made-up\n"
    expected = {
        "grant_type": "client_credentials",
        "client_id": "id",
        "client_secret": "s3cret-for-tests",
    }
    assert received == [expected]


def test_listing_imports_no_plugin(with_plugins: Environment) -> None:
    """One broken plugin would hide the others, or run when providers are listed."""
    listing = with_plugins.python("""
import json, sys, keyturn
print(json.dumps([(info.name, info.distribution, info.version) for info in keyturn.providers()]))
imported = [name for name in sys.modules if name.startswith("keyturn_")]
assert not imported, imported
""")
    version = with_plugins.python(
        "import importlib.metadata as m; print(m.version('keyturn'))"
    ).strip()

    assert json.loads(listing) == [
        ["acme", "keyturn-acme", "1.2.3"],
        ["broken", "keyturn-broken", "1.0"],
        ["commercelayer", "keyturn", version],
        ["generic", "keyturn", version],
        ["norce-commerce", "keyturn", version],
        ["norce-storm", "keyturn", version],
        ["orocommerce", "keyturn", version],
        ["twice", "keyturn-left", "1.0"],
        ["twice", "keyturn-right", "1.0"],
    ]


def test_two_distributions_of_one_name_are_named(with_plugins: Environment) -> None:
    """The distribution that is found first would get the secrets."""
    message = error_message(with_plugins, "ProviderConflict", "twice")

    assert "keyturn-left" in message
    assert "keyturn-right" in message


def test_builtin_name_is_protected(with_plugins: Environment) -> None:
    """A distribution with a built-in provider's name would get that provider's secrets."""
    module = with_plugins.python(
        "import keyturn; print(type(keyturn.provider('orocommerce')).__module__)"
    )

    assert module == "keyturn_orocommerce\n"


def test_broken_plugin_fails_when_it_is_chosen(with_plugins: Environment) -> None:
    """An ImportError would not name the distribution that fails."""
    assert "keyturn-broken" in error_message(with_plugins, "ProviderLoadError", "broken")


def test_third_party_provider_is_disabled_on_request(with_plugins: Environment) -> None:
    """An operator could disable a harmful plugin only by uninstalling it."""
    message = error_message(with_plugins, "ProviderLoadError", "acme", plugins="-acme")

    assert "keyturn-acme" in message
    assert "KEYTURN_PLUGINS" in message
