"""Network policies: the settings that they forbid, and the content of their errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import NetworkPolicy
from keyturn._http.policy import PERMISSIVE
from keyturn._tokens.options import problems_under
from keyturn.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from tests.conftest import World

STRICT = NetworkPolicy()
FILES = "as it names a file: see NetworkPolicy.file_settings"
SHOP = {"url": "https://shop.example", "client_id": "cid", "client_secret": "s3cret-for-tests"}


def paths(found: list[Problem]) -> list[str]:
    """Return the settings of problems."""
    return [problem.path for problem in found]


@pytest.mark.parametrize("policy", [None, "strict", {"loopback": True}, PERMISSIVE.__class__])
def test_a_policy_of_another_type_is_reported(policy: Any) -> None:
    """A policy of a wrong type, as from a configuration file, would be ignored."""
    with pytest.raises(ConfigurationError, match=r"policy must be a keyturn\.NetworkPolicy"):
        keyturn.connect("orocommerce", SHOP, policy=policy)


def test_problems_of_a_form_are_those_of_connect() -> None:
    """A form that is reported as valid would be refused by `connect`, or the reverse."""
    forms: list[dict[str, Any]] = [
        {},
        SHOP,
        SHOP | {"url": "https://127.0.0.1"},
        SHOP | {"token_url": "https://login.example/x", "store": "memory://", "client_id": ""},
        SHOP | {"api_url": "https://10.0.0.1"},
        SHOP | {"token_url": None},
    ]
    for policy in (STRICT, PERMISSIVE, NetworkPolicy(address_settings=True)):
        for form in forms:
            found = problems_under(policy, "orocommerce", form)
            if not found:
                keyturn.connect("orocommerce", form, policy=policy)
                continue
            with pytest.raises(ConfigurationError) as caught:
                keyturn.connect("orocommerce", form, policy=policy)
            assert list(caught.value.problems) == found
    assert paths(problems_under(STRICT, "orocommerce", forms[3])) == [
        "client_id",
        "store",
        "token_url",
    ]
    assert problems_under(STRICT, "orocommerce", SHOP | {"token_url": None}) == []


def test_a_mistake_of_the_provider_is_reported_under_a_policy_too() -> None:
    """A mistake that only the provider's token request reports would be accepted."""
    form = {"client_id": "cid", "token_url": "{x}"}
    assert paths(problems_under(PERMISSIVE, "generic", form)) == ["token_url"]

    class Late(keyturn.plugins.Provider[keyturn.plugins.ConfidentialSettings]):
        name = "late"
        settings = keyturn.plugins.ConfidentialSettings
        token_url = "https://login.example/token"

        def token_request(self, settings: Any) -> keyturn.plugins.TokenRequest:
            raise ConfigurationError("client_id: is not a number.")

    form = {"client_id": "cid", "client_secret": "s3cret-for-tests"}
    assert problems_under(STRICT, Late(), form) == [Problem("", "client_id: is not a number.")]


class FileSettings(keyturn.plugins.ConfidentialSettings):
    """The settings of a platform whose check reads a file."""

    def problems(self) -> list[str]:
        """Record that the file is read."""
        if self.bundle:
            LOOKED_AT.append(self.bundle)
        return []

    bundle: str | None = keyturn.plugins.file("Bundle", default=None)


LOOKED_AT: list[str] = []


class WithFile(keyturn.plugins.Provider[FileSettings]):
    """A platform with a file."""

    name = "with-file"
    settings = FileSettings
    token_url = "https://login.example/token"


def test_a_check_of_the_provider_gets_no_forbidden_file() -> None:
    """A tenant would learn from a plugin's check which files exist."""
    form = {"client_id": "cid", "client_secret": "s3cret-for-tests", "bundle": "/etc/passwd"}
    found = problems_under(STRICT, WithFile(), form)
    assert LOOKED_AT == []
    assert paths(found) == ["bundle"]
    assert FILES in found[0].message
    assert problems_under(NetworkPolicy(file_settings=True), WithFile(), form) == []
    assert LOOKED_AT == ["/etc/passwd"]


def test_a_required_file_that_the_policy_forbids_is_reported_once() -> None:
    """A tenant would fill in a form that can never be valid."""
    provider = keyturn.plugins.provider_from_data(
        {
            "token_url": "https://login.example/token",
            "parameters": {"bundle": "{bundle}"},
            "settings": {"bundle": {"kind": "file", "title": "Bundle"}},
        },
        name="acme",
    )
    found = problems_under(STRICT, provider, {})
    assert paths(found) == ["bundle"]
    assert found[0].message.startswith("is required by acme, and can't be set")
    assert FILES in found[0].message


@pytest.mark.parametrize("kind", ["file", "text"])
def test_a_file_setting_of_a_described_provider_is_forbidden(kind: str) -> None:
    """A tenant could name a file in a setting of a described provider."""
    name = "bundle" if kind == "file" else "certificate"
    provider = keyturn.plugins.provider_from_data(
        {
            "token_url": "https://login.example/token",
            "parameters": {"file": f"{{{name}}}"},
            "settings": {name: {"kind": kind, "title": "File", "optional": True}},
        },
        name="acme",
    )
    form = {"client_id": "cid", "client_secret": "s3cret-for-tests", name: "/etc/passwd"}
    assert paths(problems_under(STRICT, provider, form)) == [name]
    assert problems_under(PERMISSIVE, provider, form) == []


def test_each_host_is_checked_and_named_once() -> None:
    """An unchecked host would be reached, or one problem would hide the others."""
    data = {
        "token_url": "{login}/token",
        "api_url": "https://{part}.acme.example",
        "revocation_url": "{last}/revoke",
        "settings": {
            "login": {"kind": "url", "title": "Login"},
            "part": {"kind": "text", "title": "Part", "default": "internal"},
            "last": {"kind": "url", "title": "Last", "optional": True},
        },
    }
    provider = keyturn.plugins.provider_from_data(data, name="acme")
    form = {"client_id": "cid", "client_secret": "s3cret-for-tests", "login": "https://10.0.0.1"}
    assert problems_under(STRICT, provider, form) == [
        Problem(
            "login",
            "the token endpoint's host 10.0.0.1 is a private or reserved address, which the "
            "network policy forbids: see NetworkPolicy.private_addresses",
        )
    ]
    policy = NetworkPolicy(domains=("login.example",))
    form |= {"login": "https://login.example", "last": "https://LAST.example"}
    found = problems_under(policy, provider, form)
    assert [str(each).partition(" is not one")[0] for each in found] == [
        "the API's host internal.acme.example",
        "last: the revocation endpoint's host last.example",
    ]
    # An API URL that lacks a setting is reported when it is used.
    assert paths(problems_under(policy, provider, form | {"part": "a b"})) == ["last"]


OAUTH = {"error": "invalid_request", "error_description": "the words of the server"}


@pytest.mark.parametrize("policy", [STRICT, PERMISSIVE])
@pytest.mark.parametrize(
    ("status", "fields", "is_quoted"),
    [
        (400, OAUTH, True),
        (400, OAUTH | {"error": "Not A Code"}, False),
        (400, OAUTH | {"error": {"code": "x"}}, False),
        (400, {"secret": {"code": "hunter2", "text": "the words of the server"}}, False),
        (200, {"secret": {"code": "hunter2", "text": "the words of the server"}}, False),
        (429, {"secret": {"code": "hunter2", "text": "the words of the server"}}, False),
        (500, {"secret": {"code": "hunter2", "text": "the words of the server"}}, False),
        (302, {"secret": {"code": "hunter2", "text": "the words of the server"}}, False),
        (400, {"secret": {"code": "invalid_client", "text": "the words of the server"}}, False),
    ],
)
def test_an_error_for_a_tenant_quotes_only_oauth_errors(
    policy: NetworkPolicy, status: int, fields: dict[str, Any], is_quoted: bool, world: World
) -> None:
    """An error would show a tenant the response of an internal server."""
    nested = "secret" in fields
    provider = world.changed(
        error_field="secret.code" if nested else "error",
        error_description_field="secret.text" if nested else "error_description",
    )
    options: dict[str, Any] = {"policy": policy, "timeout": 0.1}
    connection = world.connect(provider, options=options)
    world.endpoint.responses = [world.endpoint.response(status, fields)] * 3
    with pytest.raises(keyturn.errors.KeyturnError) as caught:
        connection.token()
    shown = str(caught.value) + json.dumps(vars(caught.value))
    assert f"HTTP {status}" in shown
    if policy == STRICT and not is_quoted:
        assert "words of the server" not in shown
        assert "hunter2" not in shown
        assert "Not A Code" not in shown
    elif is_quoted:
        assert "invalid_request: the words of the server" in shown
    if status == 400 and fields.get("secret", {}).get("code") == "invalid_client":
        assert isinstance(caught.value, keyturn.errors.InvalidClient)
        assert "invalid_client" in shown


def test_the_policy_of_the_emulator_allows_only_the_emulator() -> None:
    """A test of a platform would need its own policy, which could allow too much."""
    with keyturn.testing.Emulator() as emulator:
        for provider in emulator.providers:
            settings = emulator.settings(provider)
            with keyturn.connect(
                provider, settings, policy=emulator.policy, store="memory://"
            ) as connection:
                assert connection.token().access_token
                assert connection.api_url
    assert emulator.policy == NetworkPolicy(loopback=True, address_settings=True)
    for host in ("10.0.0.1", "db.internal"):
        found = problems_under(emulator.policy, "orocommerce", SHOP | {"url": f"https://{host}"})
        assert paths(found) == ["url"]
