"""Templates: placeholders for settings in URLs, parameters and headers, and their mistakes."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn
from keyturn import errors
from keyturn._http.urls import origin, url_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer, World

    Platform = Callable[..., keyturn.Connection]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
SETTINGS: dict[str, Any] = {
    "tenant": {"title": "Tenant", "default": "a b/ö"},
    "user": {"title": "User", "optional": True},
    "level": {"kind": "integer", "title": "Level", "default": 7},
    "pin": {"kind": "secret", "title": "PIN", "default": "p1n-for-tests"},
    "spare_pin": {"kind": "secret", "title": "Spare PIN", "optional": True},
    "environment": {
        "kind": "choice",
        "title": "Environment",
        "choices": {"test": "sandbox", "live": "prod"},
        "default": "test",
    },
    "region": {
        "kind": "choice",
        "title": "Region",
        "choices": {
            "eu": {"auth": "login.eu.example", "api-v2": "api.eu.example"},
            "us": {"auth": "login.us.example", "api-v2": "api.us.example"},
        },
        "default": "eu",
    },
    "plain": {"kind": "choice", "title": "Plain", "choices": ["x", "y"], "optional": True},
    "scope": {"kind": "scope", "title": "Scope", "default": ["a", "b"]},
}

RENDERED = {
    "fixed": "fixed",
    "{tenant}": "a b/ö",
    "x-{tenant}-{level}": "x-a b/ö-7",
    "{{other}}": "{other}",
    "": "",
    "{user}": None,
    "of {user}": None,
    "{user}{pin}": None,
    "{pin}": "p1n-for-tests",
    "{tenant}:{pin}": "a b/ö:p1n-for-tests",
    "{spare_pin}": None,
    "{environment}": "sandbox",
    "{region[auth]}": "login.eu.example",
    "{region[api-v2]}": "api.eu.example",
    "{plain}": None,
    "{scope}": "a b",
}


@pytest.fixture
def platform(platform: Platform) -> Platform:
    """Give the usual function; the API's query uses all settings, so that none is unused."""
    claims = {name: f"{{{name}}}" for name in SETTINGS if name != "region"}
    usual = {"api_query": claims | {"region": "{region[auth]}"}}
    return lambda data=None, **settings: platform(
        usual | data if data and data.get("settings") is SETTINGS else data, **settings
    )


@pytest.mark.parametrize(("template", "text"), RENDERED.items())
def test_parameter_has_the_settings_values(
    platform: Platform, template: str, text: str | None
) -> None:
    """The server would receive the template, the word None, or a choice's name."""
    data = {"parameters": {"extra": template}, "settings": SETTINGS, "body_format": "json"}
    request = platform(data | {"scope_name": ""}).token_request()
    sent = dict(request.parameters)

    assert ("extra" in sent) == (text is not None)
    if text is not None:
        assert f'"extra":"{text}"' in request.body.decode()
    assert "p1n" not in request.redacted().body.decode() + repr(request)


@pytest.mark.parametrize("template", [each for each in RENDERED if "ö" not in str(RENDERED[each])])
def test_header_has_the_settings_values(platform: Platform, template: str) -> None:
    """The header would have the template, or a transcript would show a secret in it."""
    data = {"token_headers": {"X-Extra": template}, "settings": SETTINGS}
    request = platform(data).token_request()

    assert request.headers.get("X-Extra") == RENDERED[template]
    assert "p1n" not in str(request.redacted().headers) + repr(request)


def test_secrets_in_templates_are_masked_in_a_transcript(
    world: World, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    """A transcript would show the PIN."""
    caplog.set_level(1)
    connection = platform(
        {
            "parameters": {"pin": "{pin}", "both": "{tenant}:{pin}"},
            "token_headers": {"X-Pin": "{pin}"},
            "api_headers": {"X-Api-Pin": "pin {pin}"},
            "body_format": "query",
            "settings": SETTINGS,
        }
    )
    world.endpoint.responses.append(
        world.endpoint.response(
            400, {"error": "invalid_client", "error_description": "p1n-for-tests"}
        )
    )
    shown = connection.explain() + connection.explain() + caplog.text

    assert "p1n" not in shown
    assert "pin=REDACTED" in shown


def test_setting_changes_the_fingerprint_wherever_it_is_used(platform: Platform) -> None:
    """Two tenants would share a token."""
    prints = {
        platform({place: {"X-Extra": template}, "settings": SETTINGS}).token_request().fingerprint
        for place in ("parameters", "token_headers")
        for template in ("{pin}", "p1n-for-tests2", "{environment}", "{region[auth]}", "{uuid}")
    }
    assert len(prints) == 10


def test_uuid_is_new_each_time_and_the_fingerprint_is_not(
    platform: Platform, serve: Callable[..., RawServer], token_response: bytes
) -> None:
    """A correlation ID would be repeated, or no token would ever be reused."""
    server = serve(token_response)
    data = {"parameters": {"nonce": "{uuid}"}, "token_headers": {"X-Request-Id": "{uuid}"}}
    one, other = (platform(data, real=True, token_url=server.url) for _ in range(2))
    for connection in (one, one, other):
        connection.invalidate(connection.token())
    sent = [request.decode() for request in server.received]
    ids = [re.findall(UUID, text) for text in sent]

    assert one.token_request().fingerprint == other.token_request().fingerprint
    assert [len(each) for each in ids] == [2, 2, 2]
    assert len(set(itertools.chain(*ids))) == 6
    assert re.search(f"nonce={UUID}$", sent[0])


def test_uuid_within_a_longer_string_is_a_missing_setting() -> None:
    """The placeholder would be sent unreplaced."""
    with pytest.raises(errors.ConfigurationError, match=r"names \{uuid\}, which is not a setting"):
        provider_from_data(parameters={"id": "x-{uuid}"})


# --- Addresses ---


def provider_from_data(**data: Any) -> keyturn.plugins.Provider[Any]:
    """Return a provider with all kinds of settings."""
    usual = {"token_url": "https://acme.example/token", "settings": SETTINGS}
    return keyturn.plugins.provider_from_data(usual | data, name="acme")


ADDRESSES = {
    "https://{environment}.acme.example/token": "https://sandbox.acme.example/token",
    "https://{region[auth]}/token": "https://login.eu.example/token",
    "https://acme.example/{tenant}/token": "https://acme.example/a%20b%2F%C3%B6/token",
    "https://acme.example/v{level}": "https://acme.example/v7",
}


@pytest.mark.parametrize(("template", "address"), ADDRESSES.items())
def test_address_has_the_settings_values(platform: Platform, template: str, address: str) -> None:
    """The secret would be sent to a host that is not the platform's."""
    assert platform({"token_url": template, "settings": SETTINGS}).token_request().url == address


def test_whole_address_may_be_a_setting(platform: Platform) -> None:
    """A platform that each customer runs at its own URL could not be described."""
    settings = {"url": {"kind": "url", "title": "URL"}}
    data = {"token_url": "{url}/oauth/token", "api_url": "{url}/api", "settings": settings}
    connection = platform(data, url="https://shop.example/de/")

    assert connection.token_request().url == "https://shop.example/de/oauth/token"
    assert connection.api_url == "https://shop.example/de/api"


@pytest.mark.parametrize("datum", ["api_url", "revocation_url"])
def test_address_needs_its_settings(platform: Platform, datum: str) -> None:
    """The word None would become a part of a URL."""
    data = {datum: "https://acme.example/{user}/x", "settings": SETTINGS}

    def use() -> None:
        connection = platform(data)
        if datum == "api_url":
            _ = connection.api_url
        connection.token()
        connection.revoke()

    with pytest.raises(errors.ConfigurationError, match="needs the setting user"):
        use()


def test_token_endpoint_needs_its_settings() -> None:
    """The word None would become a part of a URL, or the mistake would name no setting."""
    settings = {"user": SETTINGS["user"]}
    data = {"name": "acme", "token_url": "https://acme.example/{user}/x", "settings": settings}
    found = keyturn.problems(keyturn.plugins.provider_from_data(data), {})

    assert errors.Problem("user", "is required for the token endpoint's address") in found


@given(
    st.text(max_size=12) | st.sampled_from(["a.evil.example/", "evil.example#", "a@b", "..", "a:1"])
)
def test_no_setting_changes_the_host_or_path_of_an_address(value: str) -> None:
    """A tenant's name would send the secret to another host, or to another path."""
    settings = {"tenant": {"title": "Tenant"}}
    for template in ("https://{tenant}.acme.example/token", "https://acme.example/{tenant}/token"):
        provider = keyturn.plugins.provider_from_data(
            {"token_url": template, "settings": settings}, name="acme"
        )
        try:
            given_settings = provider.settings(client_id="cid", client_secret="s", tenant=value)
            url = provider.token_request(given_settings).url
        except errors.ConfigurationError:
            continue
        assert url_problem(url) is None
        assert re.fullmatch(r"https://([a-z0-9.-]+\.)?acme\.example", origin(url))
        assert url.endswith("/token")
        assert url.count("/") == template.count("/")


# --- Mistakes ---


MISTAKES = {
    "{missing}": "names {missing}, which is not a setting",
    "{tenant[x]}": "names {tenant[x]}, which that setting does not have",
    "{environment[x]}": "names {environment[x]}, which that setting does not have",
    "{region}": "names {region}, which that setting does not have",
    "{region[login]}": "names {region[login]}, which that setting does not have",
    "{problems}": "names {problems}, which is not a setting",
    "{__class__}": "names {__class__}, which is not a setting",
    "{tenant": "is not a template",
    "tenant}": "is not a template",
    "{}": "is not a template",
    "{0}": "is not a template",
    "{tenant!r}": "is not a template",
    "{tenant:>9}": "is not a template",
    "{tenant[x][y]}": "is not a template",
    "{ other }": "is not a template",
}


@for_each(("template", "words"), MISTAKES.items())
@for_each(
    "datum",
    ["parameters", "token_headers", "api_headers", "assertion_claims", "assertion_audience"],
)
def test_template_with_a_mistake_is_reported(datum: str, template: str, words: str) -> None:
    """The mistake would be a raw Python error at the first request."""
    value = template if datum == "assertion_audience" else {"X-Extra": template}

    with pytest.raises(errors.ConfigurationError) as caught:
        provider_from_data(**{datum: value})

    problem = str(caught.value.problems[0])
    assert problem.startswith(datum)
    assert template in problem
    assert words in problem or "is not a placeholder: write" in problem
    assert len(caught.value.problems) == 1 or datum == "assertion_claims"


@for_each("datum", ["token_url", "api_url", "revocation_url"])
@for_each(
    ("template", "words"),
    [
        ("https://acme.example/{client_secret}", "a secret, which must not be in an address"),
        ("https://acme.example/{spare_pin}", "a secret, which must not be in an address"),
        ("https://{missing}.example", "which is not a setting"),
        ("{uuid}", "is not an address"),
        ("http://acme.example", "must begin with https"),
        ("https://acme.example?tenant={tenant}", "must be a URL"),
        ("acme.example", "must be a URL"),
        ("{tenant", "must be a URL"),
    ],
)
def test_address_with_a_mistake_is_reported(datum: str, template: str, words: str) -> None:
    """Logs of servers and proxies would show a secret, or no request could be sent."""
    with pytest.raises(errors.ConfigurationError, match=f"{datum}: .*{re.escape(words)}"):
        provider_from_data(**{datum: template})


def test_property_of_the_settings_is_a_placeholder(world: World) -> None:
    """A value computed from several settings would need a method of the provider."""

    class Settings(keyturn.plugins.ConfidentialSettings):
        vip: bool = keyturn.plugins.setting("VIP", default=True)

        @property
        def audience(self) -> str:
            return f"urn:{self.client_id}"

    provider = world.changed(
        settings=Settings,
        token_url="https://acme.example/token",
        parameters={"audience": "{audience}", "vip": "{vip}"},
    )
    body = world.connect(provider).token_request().body

    assert body.endswith(b"&audience=urn%3Acid&vip=true")
