"""A tenant's name, a region, a shop's address or a token can't choose another host."""

from __future__ import annotations

import base64
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn
from keyturn._http.urls import LABEL_PATTERN, domain_pattern, url_pattern
from keyturn.errors import ConfigurationError, ForeignOrigin, KeyturnError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import RawServer, World

CREDENTIALS = {"client_id": "cid", "client_secret": "s3cret-for-tests"}
NEEDED: dict[str, dict[str, Any]] = {
    "norce-commerce": {"client": "acme", "environment": "stage"},
    "norce-storm": {"scope": "lab"},
    "orocommerce": {"url": "https://shop.example"},
    "commercelayer": {"kind": "integration"},
}
HOST_VALUES = [
    "acme.evil.example/",
    "evil.example#",
    "evil.example?",
    "user@evil.example",
    "acme:8443",
    "[::1]",
    "%2e%2e",
    "..\\",
    "\r\nHost: evil.example",
    "acme\x00",
    "\uff41cme",  # full-width a
    "\u0430cme",  # Cyrillic a
    "a" * 64,
    "acme.",
]
RIGHT_AFTER_A_SCHEME = ("acme.evil.example/", "acme:8443", "[::1]")
URL_VALUES = [
    *HOST_VALUES,
    *(f"https://{value}" for value in HOST_VALUES if value not in RIGHT_AFTER_A_SCHEME),
    "http://shop.example",
    "http://shop.example:80",
    "http://localhost.evil.example",
    "http://127.0.0.1@evil.example",
    "http://127.0.0.999",
    "https://2130706433",
    "https://user:pass@shop.example",
    "https://shop.example/?a=b",
    "https://shop.example/#a",
    "https://shop.example\\@evil.example",
    "ftp://shop.example",
    "//shop.example",
]


def settings_with(pattern: str) -> list[tuple[str, str]]:
    """Return each provider's name with each of its settings whose schema has this pattern."""
    return [
        (name, setting)
        for name in NEEDED
        for setting, schema in keyturn.provider(name).settings_schema()["properties"].items()
        if pattern in schema.get("pattern", "")
    ]


LABELS = [
    *settings_with(f"^(?:{LABEL_PATTERN})$"),
    *settings_with(LABEL_PATTERN.replace("61", "57")),  # a part of a label
]
DOMAINS = settings_with(domain_pattern(longest=189))
URLS = settings_with(url_pattern())


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test on a DNS lookup or a connection."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("something was sent")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def problems(provider: str, **given_: object) -> tuple[str, ...]:
    """Return the mistakes that opening a connection and calling `token` reports."""
    with pytest.raises(ConfigurationError) as caught:
        keyturn.connect(provider, **(CREDENTIALS | NEEDED[provider] | given_)).token()
    return tuple(map(str, caught.value.problems))


def test_every_setting_that_is_part_of_a_host_is_tested() -> None:
    """A new setting could choose a host, and no test would try it."""
    assert set(LABELS + DOMAINS) == {
        ("norce-commerce", "client"),
        ("norce-commerce", "region"),
        ("commercelayer", "organization"),
        ("commercelayer", "domain"),
    }
    assert {("orocommerce", "url"), *((name, "token_url") for name in NEEDED)} <= set(URLS)


@pytest.mark.usefixtures("no_network")
@for_each(("provider", "setting"), LABELS + DOMAINS)
@for_each("value", HOST_VALUES)
def test_hostile_host_value_is_rejected_by_its_setting(
    provider: str, setting: str, value: str
) -> None:
    """A user who chooses a tenant's name could have the secret sent to any host."""
    (problem,) = problems(provider, **{setting: value})

    assert problem.startswith(f"{setting}: must be ")
    assert "evil" not in problem


@pytest.mark.usefixtures("no_network")
@for_each(("provider", "setting"), URLS)
@for_each("value", URL_VALUES)
def test_hostile_url_is_rejected_by_its_setting(provider: str, setting: str, value: str) -> None:
    """The secret would be sent unencrypted, or to a host that another parser reads."""
    (problem,) = problems(provider, **{setting: value})

    assert problem.startswith(f"{setting}: must ")
    assert "evil" not in problem


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("value", HOST_VALUES)
def test_hostile_value_in_a_configuration_file_is_rejected(tmp_path: Path, value: str) -> None:
    """A value that `connect` rejects would be accepted from the configuration file."""
    path = tmp_path / "keyturn.toml"
    path.write_text(
        '[connections.x]\nprovider = "norce-commerce"\nenvironment = "stage"\nclient_id = "cid"\n'
        f'client_secret = "s3cret-for-tests"\nclient = {json.dumps(value)}\n',
        encoding="utf-8",
    )
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        keyturn.load_connection("x", config=path)

    assert "connections.x.client: must be one host label" in str(caught.value)


@given(st.text(max_size=70) | st.from_regex(r"[a-z0-9.@:/#?%\\\[\]-]{1,70}", fullmatch=True))
def test_name_of_a_tenant_gives_its_own_host_or_an_error(tenant: str) -> None:
    """A tenant's name that was not foreseen could lead to another host."""
    settings = CREDENTIALS | NEEDED["norce-commerce"] | {"client": tenant}
    try:
        url = keyturn.connect("norce-commerce", **settings).token_request().url
    except ConfigurationError:
        return
    expected = f"{tenant}.api-se.stage.norce.tech"
    assert urlsplit(url).hostname == urlsplit(url).netloc == expected
    assert httpx.URL(url).raw_host == expected.encode()
    assert requests.Request("POST", url).prepare().url == url


def jwt(header: dict[str, object], claims: dict[str, object]) -> str:
    """Return a token with these claims, without a valid signature."""
    parts = (json.dumps(part).encode() for part in (header, claims))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".x"


@pytest.fixture
def hostile(serve: Callable[..., RawServer]) -> RawServer:
    """Yield a server that only a token names."""
    return serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture(params=["{url}", "{host}", "{host}/", "x@{host}", "{host}#", "127.0.0.1"])
def telling(
    request: pytest.FixtureRequest,
    serve: Callable[..., RawServer],
    http_response: Callable[..., bytes],
    hostile: RawServer,
) -> Iterator[keyturn.Connection]:
    """Return a connection whose token names the hostile server in each place that is read."""
    url = hostile.url.removesuffix("/token")
    named = request.param.format(url=url, host=url.removeprefix("http://"))
    claims = {"iss": named, "aud": named, "organization": {"slug": named}, "api": named}
    token = jwt({"alg": "RS512", "jku": url, "x5u": url}, claims)
    fields = {"access_token": token, "token_type": "bearer", "expires_in": 7200, "api_url": url}
    endpoint = serve(http_response(fields))
    settings = CREDENTIALS | NEEDED["commercelayer"] | {"token_url": endpoint.url}
    with keyturn.connect("commercelayer", store="memory://", **settings) as connection:
        yield connection


def test_host_that_only_a_token_names_gets_no_request(
    telling: keyturn.Connection, hostile: RawServer
) -> None:
    """An attacker who can forge one token would be sent the valid ones."""
    with pytest.raises(ConfigurationError, match=r"is unknown\. Set api_url\."):
        _ = telling.api_url
    with pytest.raises(KeyturnError):
        requests.get(
            hostile.url, auth=keyturn.integrations.requests.KeyturnAuth(telling), timeout=10
        )
    with (
        httpx.Client(auth=keyturn.integrations.httpx.KeyturnAuth(telling)) as client,
        pytest.raises(KeyturnError),
    ):
        client.get(hostile.url)
    telling.explain()
    telling.revoke()  # to the configured host

    assert hostile.received == []


def test_token_that_names_an_organization_leads_to_the_configured_domain(
    serve: Callable[..., RawServer], http_response: Callable[..., bytes], hostile: RawServer
) -> None:
    """The domain in a token's `iss` would be taken for Commerce Layer's."""
    token = jwt({}, {"organization": {"slug": "evil-org"}, "iss": hostile.url})
    fields = {"access_token": token, "token_type": "bearer", "expires_in": 7200}
    settings = CREDENTIALS | NEEDED["commercelayer"] | {"domain": "commercelayer.example"}
    settings["token_url"] = serve(http_response(fields)).url
    with keyturn.connect("commercelayer", store="memory://", **settings) as connection:
        assert connection.api_url == "https://evil-org.commercelayer.example/api"
        auth = keyturn.integrations.requests.KeyturnAuth(connection)
        with pytest.raises(ForeignOrigin):
            requests.get(hostile.url, auth=auth, timeout=10)
    assert hostile.received == []


@pytest.mark.parametrize("address", URL_VALUES)
def test_api_address_that_a_provider_takes_from_a_token_is_checked(
    world: World, address: str
) -> None:
    """A plugin that trusts its tokens would send them to any host."""

    def api_url_for(_: object, __: object, token: keyturn.Token | None) -> str | None:
        return None if token is None else address

    connection = world.connect(world.changed(api_url_for=api_url_for))
    with pytest.raises(ConfigurationError) as caught:
        _ = connection.api_url
    assert "the API's address must " in str(caught.value)
    assert "evil" not in str(caught.value)
    auth = keyturn.integrations.requests.KeyturnAuth(connection)
    with pytest.raises(ConfigurationError):
        requests.get("https://evil.example", auth=auth, timeout=10)
