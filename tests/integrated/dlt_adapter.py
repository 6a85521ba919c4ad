"""The adapter for dlt, in the environment of dlt; `test_dlt.py` runs this."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import dlt
import pytest
import requests
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.rest_api import rest_api_source
from tests.integrated.requests_based import all_tests

from keyturn.errors import ConfigurationError
from keyturn.integrations.dlt import KeyturnAuth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integrations.conftest import Site

CANARY = "made-up-secret-canary"
globals().update(all_tests(KeyturnAuth))


@pytest.fixture
def configure(api: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Return a function that sets fields in dlt's configuration, and configure keyturn's `shop`."""
    settings = {
        "url": api.url,
        "client_id": "made-up",
        "client_secret": CANARY,
        "token_url": f"{api.url}/token",
        "api_url": api.url,
    }
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
    path = tmp_path / "keyturn.toml"
    path.touch(mode=0o600)
    path.write_text(
        f'store = "memory://"\n[connections.shop]\nprovider = "orocommerce"\n{"".join(lines)}',
        encoding="utf-8",
    )
    monkeypatch.setenv("KEYTURN_CONFIG", str(path))
    monkeypatch.chdir(tmp_path)

    def configure_fields(section: str = "SOURCES__SHOP__CREDENTIALS", **fields: str) -> None:
        for name, value in fields.items():
            given = json.dumps(settings) if name == "settings" else value
            monkeypatch.setenv(f"{section}__{name}".upper(), given)

    return configure_fields


def source(api: Site, auth: Any) -> Any:
    """Return a REST API source with this authentication."""
    # The body of the site's response is not JSON.
    ignored = [{"status_code": 200, "action": "ignore"}]
    endpoint = {"path": "x", "paginator": "single_page", "response_actions": ignored}
    resources = [{"name": "x", "endpoint": endpoint}]
    config: Any = {"client": {"base_url": api.url, "auth": auth}, "resources": resources}
    return rest_api_source(config, name="shop")


def is_authorized(api: Site, auth: Any) -> bool:
    """Return whether a request with this authentication carries a token."""
    response = requests.get(f"{api.url}/x", auth=auth, timeout=10)
    return response.status_code == 200


@pytest.mark.parametrize("make", [lambda: "keyturn", lambda: {"type": "keyturn"}, KeyturnAuth])
@pytest.mark.parametrize(
    "fields",
    [{"provider": "orocommerce", "settings": ""}, {"connection": "shop"}],
    ids=["settings", "connection"],
)
def test_source_is_configured_by_dlt(
    api: Site, configure: Callable[..., None], fields: dict[str, str], make: Callable[[], Any]
) -> None:
    """Users couldn't keep credentials, or the connection's name, in dlt's own store."""
    configure(**fields)
    assert list(source(api, make())) == []
    assert api.api_requests[0].headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("named", [{"type": "keyturn", "connection": "shop"}, KeyturnAuth("shop")])
@pytest.mark.usefixtures("configure")
def test_source_accepts_a_name(api: Site, named: Any) -> None:
    """dlt would reject the name, or look for the connection in its own configuration."""
    assert list(source(api, named)) == []
    assert api.api_requests[0].headers["authorization"].startswith("Bearer ")


def test_source_function_accepts_a_name(api: Site, configure: Callable[..., None]) -> None:
    """A source function could not have the authentication as an argument that dlt injects."""
    configure("SOURCES__OWN", auth="shop")
    found: list[KeyturnAuth] = []

    @dlt.source(name="own", section="own")
    def own(auth: KeyturnAuth = dlt.secrets.value) -> Any:
        found.append(auth)
        return []

    own()
    assert is_authorized(api, found[0])


def test_client_accepts_an_unresolved_configuration(
    api: Site, configure: Callable[..., None]
) -> None:
    """A REST client's authentication would fail, as dlt resolves only that of its sources."""
    configure("CREDENTIALS", connection="shop")
    rest_client = RESTClient(api.url, auth=KeyturnAuth())
    assert rest_client.get("x").status_code == 200
    api.forget_tokens()
    assert rest_client.get("x").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"provider": "orocommerce"},
        {"connection": "shop", "provider": "orocommerce", "settings": ""},
    ],
)
def test_incomplete_configuration_is_an_error(
    api: Site, configure: Callable[..., None], fields: dict[str, str]
) -> None:
    """A source would run without authentication, or with another account than intended."""
    configure(**fields)
    with pytest.raises(ConfigurationError, match="must have a connection, or a provider") as caught:
        source(api, {"type": "keyturn"})
    assert CANARY not in str(caught.value)


def test_wrong_setting_is_an_error_that_shows_no_secret(
    api: Site, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """dlt would log an error with the secret."""
    configure(provider="orocommerce")
    given = json.dumps({"url": "no URL", "client_secret": CANARY})
    monkeypatch.setenv("SOURCES__SHOP__CREDENTIALS__SETTINGS", given)
    with pytest.raises(ConfigurationError, match="url") as caught:
        source(api, "keyturn")
    assert CANARY not in str(caught.value)


def test_name_must_be_a_string() -> None:
    """A mistake in dlt's configuration would raise a TypeError from inside keyturn."""
    with pytest.raises(ConfigurationError, match="the name of a connection, a string"):
        KeyturnAuth().parse_native_representation(1)


def test_copies_share_their_connection(api: Site, connect: Any) -> None:
    """dlt copies a source's configuration: each copy would request its own tokens, or fail."""
    auth = KeyturnAuth(connect("orocommerce"))
    for copied in (copy.copy(auth), copy.deepcopy({"auth": auth})["auth"], auth.copy()):
        assert is_authorized(api, copied)
    assert api.token_requests == 1
    with pytest.raises(TypeError, match="contains a secret"):
        pickle.dumps(auth)


@pytest.mark.usefixtures("configure")
def test_pickle_has_the_name_only(api: Site) -> None:
    """A job that is sent to another process would contain credentials, or fail."""
    auth = KeyturnAuth("shop")
    assert is_authorized(api, auth)
    pickled = pickle.dumps(auth)
    assert CANARY.encode() not in pickled
    assert b"made-up-token-canary" not in pickled
    assert is_authorized(api, pickle.loads(pickled))  # noqa: S301 - pickled here
    assert pickle.loads(pickle.dumps(KeyturnAuth())).connection is None  # noqa: S301 - pickled here


def test_settings_are_not_shown(api: Site, configure: Callable[..., None]) -> None:
    """dlt's logs and traces would show the credentials."""
    configure("CREDENTIALS", provider="orocommerce", settings="")
    auth = KeyturnAuth()
    assert is_authorized(api, auth)
    assert CANARY not in f"{auth!r}{auth}{auth.adapter!r}{vars(auth.adapter)}"
