"""The adapter for Airbyte's CDK, in the environment of the CDK; `test_airbyte.py` runs this."""

from __future__ import annotations

import copy
import logging
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from tests.integrated.requests_based import all_tests

from keyturn.errors import ConfigurationError

with warnings.catch_warnings():
    # The CDK has deprecated classes, which warn when they are defined.
    warnings.simplefilter("ignore")
    from airbyte_cdk.models import FailureType
    from airbyte_cdk.sources.declarative.auth.declarative_authenticator import (
        DeclarativeAuthenticator,
    )
    from airbyte_cdk.sources.declarative.models import CustomAuthenticator
    from airbyte_cdk.sources.declarative.parsers.model_to_component_factory import (
        ModelToComponentFactory,
    )
    from airbyte_cdk.sources.streams.http import HttpClient, HttpStream
    from airbyte_cdk.sources.streams.http.error_handlers import HttpStatusErrorHandler
    from airbyte_cdk.sources.streams.http.error_handlers.response_models import (
        ErrorResolution,
        ResponseAction,
    )
    from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets, update_secrets
    from airbyte_cdk.utils.traced_exception import AirbyteTracedException

    from keyturn.integrations.airbyte import KeyturnAuthenticator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.integrations.conftest import Site

CLASS_NAME = "keyturn.integrations.airbyte.KeyturnAuthenticator"
CANARY = "made-up-token-canary"
LOGGER = logging.getLogger("airbyte")
globals().update(all_tests(KeyturnAuthenticator))


@pytest.fixture(autouse=True)
def no_secrets() -> None:
    """Let the CDK forget the values that it masks."""
    update_secrets([])


def declared(api: Site, **keys: Any) -> Any:
    """Return the authenticator of a manifest."""
    config = {
        "url": api.url,
        "client_id": "made-up",
        "client_secret": "made-up-secret-canary",
        "start_date": "2026-01-01",
        "__injected": {},
    }
    described = {"type": "CustomAuthenticator", "class_name": CLASS_NAME, **keys}
    return ModelToComponentFactory().create_component(CustomAuthenticator, described, config)


def test_manifest_names_a_provider_or_a_connection(api: Site) -> None:
    """A declarative connector would not start."""
    by_provider = declared(api, provider="orocommerce", policy={"loopback": True})
    by_name = declared(api, connection="shop")
    for made in (by_provider, by_name):
        assert isinstance(made, DeclarativeAuthenticator)
        assert made.get_auth_header() == {}
        assert (made.auth_header, made.token) == ("", "")
        assert made.get_request_params() == made.get_request_body_json() == {}
        assert "canary" not in f"{made!r}{vars(made)}"


def test_settings_of_an_end_user_reach_public_addresses_only(api: Site) -> None:
    """A form's URL could lead into the network of the platform."""
    with pytest.raises(ConfigurationError, match="loopback"):
        declared(api, provider="orocommerce")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({}, "needs either a connection or a provider"),
        (
            {"connection": "shop", "provider": "orocommerce"},
            "needs either a connection or a provider",
        ),
        ({"provider": "orocommerce", "policy": {"lookback": True}}, "keyword argument 'lookback'"),
        ({"provider": "orocommerce", "policy": {"loopback": "yes"}}, "must be True or False"),
        ({"provider": "orocomerce"}, "orocommerce"),
    ],
)
def test_mistake_in_the_manifest_is_named(api: Site, keys: dict[str, Any], problem: str) -> None:
    """The connector's developer would see a TypeError from inside keyturn."""
    with pytest.raises(ConfigurationError, match=problem):
        declared(api, **keys)


class Users(HttpStream):
    """A stream written in Python."""

    primary_key = "id"
    cache_filename = "users.sqlite"

    def __init__(self, url: str, authenticator: KeyturnAuthenticator) -> None:
        super().__init__(authenticator=authenticator)
        self._url = url

    @property
    def use_cache(self) -> bool:
        """Cache responses, with their requests."""
        return True

    @property
    def url_base(self) -> str:
        """The address of the API."""
        return f"{self._url}/"

    def path(self, **_: Any) -> str:
        """Return the path."""
        return "x"

    def next_page_token(self, response: Any) -> None:
        """Return no further page."""

    def parse_response(self, response: Any, **_: Any) -> Iterator[Mapping[str, Any]]:
        """Return one record."""
        yield {"id": response.text}


# The cache that the CDK creates.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_stream_in_python_renews_its_token_and_its_cache_has_none(
    api: Site, connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync would end with a 401, or leave tokens in a file."""
    monkeypatch.setenv("REQUEST_CACHE_PATH", str(tmp_path))
    authenticator = KeyturnAuthenticator(connect("orocommerce"))
    for number in range(1, 3):
        stream = Users(api.url, authenticator)
        for _ in range(2):
            assert list(stream.read_records(None)) == [{"id": "fine: "}]  # type: ignore[arg-type]
        assert api.token_requests == number
        (session,) = [stream._http_client._session]  # noqa: SLF001 - it has no other name
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert b"fine: " in content
        assert CANARY.encode() not in content
        session.cache.clear()
        session.close()
        api.forget_tokens()


def test_tokens_are_masked_as_the_cdks_own(api: Site, connect: Any) -> None:
    """The connector's log would show a token."""
    authenticator = KeyturnAuthenticator(connect("orocommerce"))
    http = HttpClient("users", LOGGER, authenticator=authenticator)
    assert filter_secrets(f"Bearer {CANARY}-1") == f"Bearer {CANARY}-1"
    for number in (1, 2):
        http.send_request("GET", f"{api.url}/x", request_kwargs={})
        http.send_request("GET", f"{api.url}/x", request_kwargs={})
        assert CANARY not in filter_secrets(f"{{'x': '{CANARY}-{number}'}}")
        api.forget_tokens()


class RefreshThenRetry(HttpStatusErrorHandler):
    """Refreshes the token and retries after a 401, as OAuth connectors do."""

    def __init__(self) -> None:
        action = ResponseAction.REFRESH_TOKEN_THEN_RETRY
        refused = ErrorResolution(action, FailureType.transient_error, "refused")
        super().__init__(LOGGER, error_mapping={401: refused}, max_retries=3)

    def interpret_response(self, response_or_exception: Any = None) -> ErrorResolution:
        """Return the action for a response."""
        return super().interpret_response(response_or_exception)


def test_renewal_of_the_cdk_ends(api: Site, connect: Any) -> None:
    """An API that rejects every token would cause an endless series of token requests."""
    http = HttpClient(
        "users", LOGGER, RefreshThenRetry(), authenticator=KeyturnAuthenticator(connect())
    )
    with pytest.raises(AirbyteTracedException, match="rejected by the API"):
        http.send_request("GET", f"{api.url}/never", request_kwargs={})
    assert api.token_requests <= 4


def test_renewal_of_the_cdk_asks_for_one_token(api: Site, connect: Any) -> None:
    """A token that another worker has renewed would be renewed again."""
    connection = connect("orocommerce")
    authenticator = KeyturnAuthenticator(connection)
    http = HttpClient("users", LOGGER, authenticator=authenticator)
    http.send_request("GET", f"{api.url}/x", request_kwargs={})
    for _ in range(3):
        authenticator.refresh_and_set_access_token()
        assert api.token_requests == 2
    assert connection.token().access_token == f"{CANARY}-2"


def test_name_can_be_pickled_and_copied(connect: Any) -> None:
    """A connector that copies its components would fail, or a pickle hold credentials."""
    authenticator = KeyturnAuthenticator("shop")
    for copied in (
        copy.deepcopy(authenticator),
        pickle.loads(pickle.dumps(authenticator)),  # noqa: S301 - pickled here
    ):
        assert isinstance(copied, KeyturnAuthenticator)
    with pytest.raises(TypeError, match="contains a secret"):
        pickle.dumps(KeyturnAuthenticator(connect()))
