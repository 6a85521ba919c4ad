"""Secret references are resolved when a token request is necessary, and not before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import errors
from keyturn._connection import Connection, make_connection
from keyturn._tokens.options import Specification

if TYPE_CHECKING:
    from tests.conftest import AcmeSettings, World


class Vault:
    """A vault with a secret that can be rotated."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.secret = "first-secret"
        self.reads = 0
        self.missing = False

    def settings(self) -> AcmeSettings:
        """Return the settings with the current secret."""
        self.reads += 1
        if self.missing:
            raise errors.ConfigurationError("client_secret: the file can't be read.")
        made: AcmeSettings = self.world.plain.settings(
            client_id="cid", client_secret=keyturn.Secret(self.secret)
        )
        return made

    def connect(self, **options: object) -> Connection:
        """Return a connection whose secret is a reference to this vault."""
        return make_connection(
            Specification(self.world.plain(), self.settings, name="shop", **options),
            self.world.store,
            clock=self.world.clock.clock,
            transport=self.world.endpoint,  # type: ignore[arg-type]  # only `send` is used
        )

    def sent(self) -> list[str]:
        """Return the secrets that were sent."""
        requests = self.world.endpoint.requests
        return [secret.reveal() for each in requests for secret in each.secrets()]


@pytest.fixture
def vault(world: World) -> Vault:
    """Give a vault with a secret."""
    return Vault(world)


def test_nothing_is_resolved_before_a_token_is_needed(vault: Vault) -> None:
    """Opening a connection would run commands and read files."""
    connection = vault.connect()
    assert (connection.name, connection.provider.name) == ("shop", "acme")
    assert vault.reads == 0
    connection.token()
    assert vault.reads == 1
    connection.token()
    assert vault.reads == 1
    assert connection.api_url == "https://shop.acme.example/api"


def test_api_url_and_settings_resolve_when_they_are_asked_for(vault: Vault) -> None:
    """An adapter could not read the API's URL before the first token."""
    connection = vault.connect()

    assert connection.api_url == "https://shop.acme.example/api"
    assert connection.settings.client_id == "cid"  # type: ignore[attr-defined]
    assert vault.reads == 1


def test_hundred_callers_resolve_once(vault: Vault, world: World) -> None:
    """A command would be run a hundred times for a hundred callers."""
    connection = vault.connect()
    opened = threading.Event()

    def response() -> keyturn.plugins.Response:
        assert opened.wait(20)
        return world.endpoint.token("token")

    world.endpoint.responses.append(response)
    threads = [threading.Thread(target=connection.token) for _ in range(100)]
    for thread in threads:
        thread.start()
    opened.set()
    for thread in threads:
        thread.join(20)

    assert vault.reads == 1


def test_rotated_secret_needs_no_restart(vault: Vault, world: World) -> None:
    """A process would continue with the old secret after its token has expired."""
    connection = vault.connect()
    connection.token()
    vault.secret = "second-secret"
    world.clock.advance(3600)
    connection.token()

    assert vault.sent() == ["first-secret", "second-secret"]


def test_secret_rotated_during_the_request_is_tried(vault: Vault, world: World) -> None:
    """A rotation during a token request would raise InvalidClient in the callers."""

    def rotate() -> keyturn.plugins.Response:
        vault.secret = "second-secret"
        return world.endpoint.response(401, {"error": "invalid_client"})

    world.endpoint.responses.append(rotate)

    assert vault.connect().token().access_token == "token-2"
    assert vault.sent() == ["first-secret", "second-secret"]


def test_wrong_secret_is_sent_once(vault: Vault, world: World) -> None:
    """A wrong secret would be sent twice each time, and lock the account."""
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient, match=r"^shop: "):
        vault.connect().token()

    assert vault.sent() == ["first-secret"]
    assert vault.reads == 2


def test_new_secret_is_not_refused_for_the_old_one(vault: Vault, world: World) -> None:
    """The cached error response of the old secret would be raised for the new one."""
    connection = vault.connect()
    world.endpoint.refuse()
    with pytest.raises(errors.InvalidClient):
        connection.token()
    vault.secret = "second-secret"

    assert connection.token().access_token == "token-2"


def test_reference_that_cannot_be_resolved_names_the_connection(vault: Vault) -> None:
    """The error would not say which connection failed."""
    vault.missing = True
    connection = vault.connect()
    for use in (
        connection.token,
        connection.token_request,
        connection.forget,
        connection.explain,
        connection.revoke,
        lambda: connection.settings,
        lambda: connection.api_url,
    ):
        with pytest.raises(errors.ConfigurationError, match="shop: client_secret: the file"):
            use()


def test_valid_token_is_used_while_its_reference_fails(vault: Vault, world: World) -> None:
    """An unavailable vault would break callers whose token is still valid."""
    connection = vault.connect()
    first = connection.token()
    vault.missing = True
    world.clock.advance(3400)

    assert connection.token() is first
    world.land()
    assert connection.token() is first
    assert connection.headers() == {"Authorization": "Bearer token-1"}


def test_token_request_and_explain_use_the_current_secret(vault: Vault) -> None:
    """The shown request would differ from the request that is sent."""
    connection = vault.connect()
    before = connection.token_request().fingerprint
    vault.secret = "second-secret"

    assert connection.token_request().fingerprint != before
    assert "outcome: a Bearer token" in connection.explain()
    assert vault.sent() == ["second-secret"]


def test_resolved_settings_that_give_no_request_are_reported(world: World) -> None:
    """A mistake in a resolved setting would be reported as a defect of the provider."""
    connection = make_connection(
        Specification(world.changed(token_url="ftp://x"), lambda: world.connect().settings),
        world.store,
    )

    with pytest.raises(errors.ConfigurationError, match="ftp://x must be a URL"):
        connection.token()
