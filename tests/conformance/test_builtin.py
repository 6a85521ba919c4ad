"""The built-in providers, and a third-party one, pass every check."""

# ruff: noqa: RUF012 - the examples are read and never changed

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from keyturn._providers.data import DATA, ApiData
from keyturn.testing import ProviderConformance
from keyturn.testing.provider_kit._conformance import subject_of
from keyturn.testing.provider_kit._elsewhere import start

if TYPE_CHECKING:
    import keyturn

CREDENTIALS = {"client_id": "made-up-client", "client_secret": "s3cret-for-tests"}
FORM = "grant_type=client_credentials&client_id=made-up-client&client_secret=s3cret-for-tests"
JSON = '{"grant_type":"client_credentials","client_id":"made-up-client"'
BEARER = {"Authorization": "Bearer made-up-token"}
HOUR = {"body": {"access_token": "made-up-token", "token_type": "Bearer", "expires_in": 3600}}
INVALID_CLIENT = {"status": 400, "body": {"error": "invalid_client"}, "raises": "InvalidClient"}


def third_party_provider() -> keyturn.plugins.Provider[Any]:
    """Return the provider of the distribution keyturn-acme, without installing it."""
    folder = Path(__file__).parents[1] / "plugins_for_tests" / "keyturn-acme" / "src"
    name = "keyturn_acme under conformance"
    spec = importlib.util.spec_from_file_location(name, folder / "keyturn_acme" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    provider: keyturn.plugins.Provider[Any] = module.keyturn_provider()
    return provider


@pytest.fixture(scope="module", autouse=True)
def _one_second_process() -> None:
    """Start one second process for all classes of this module, instead of one for each."""
    classes: list[Any] = [each for name, each in globals().items() if name.startswith("Test")]
    with contextlib.ExitStack() as stack:
        start([stack.enter_context(subject_of(each())) for each in classes])


class TestNorceCommerce(ProviderConformance):
    """The provider `norce-commerce`."""

    provider = "norce-commerce"
    settings = {"client": "acme", "environment": "stage", "application_id": 1042, **CREDENTIALS}
    request = {
        "method": "POST",
        "url": "https://acme.api-se.stage.norce.tech/identity/1.0/connect/token",
        "body": f"{FORM}&scope=stage",
    }
    response = HOUR
    lifetime = 3600
    errors = [INVALID_CLIENT]
    api = {
        "url": "https://acme.api-se.stage.norce.tech",
        "headers": {**BEARER, "ApplicationId": "1042"},
    }
    context = {"application_id"}


class TestNorceStorm(ProviderConformance):
    """The provider `norce-storm`."""

    provider = "norce-storm"
    settings = {"scope": ["lab", "qa"], "application_id": 1042, **CREDENTIALS}
    request = {
        "method": "POST",
        "url": "https://identity.storm.io/1.0/connect/token",
        "body": f"{FORM}&scope=lab+qa",
    }
    response = HOUR
    lifetime = 3600
    errors = [INVALID_CLIENT]
    context = {"application_id"}


class TestOroCommerce(ProviderConformance):
    """The provider `orocommerce`."""

    provider = "orocommerce"
    settings = {"url": "https://shop.example", **CREDENTIALS}
    request = {
        "method": "POST",
        "url": "https://shop.example/oauth2-token",
        "body": JSON + ',"client_secret":"s3cret-for-tests"}',
    }
    response = HOUR
    lifetime = 3600
    errors = [
        INVALID_CLIENT,
        {"status": 401, "body": {"error": "no_encryption_key"}, "raises": "EndpointUnavailable"},
    ]
    api = {
        "url": "https://shop.example/admin/api",
        "headers": {**BEARER, "Accept": "application/vnd.api+json"},
    }
    context = {"backend_prefix"}


class TestCommerceLayer(ProviderConformance):
    """The provider `commercelayer`, with a scope made of markets and stock locations."""

    provider = "commercelayer"
    settings = {"kind": "integration", "market": "code:europe", **CREDENTIALS}
    request = {
        "method": "POST",
        "url": "https://auth.commercelayer.io/oauth/token",
        "body": JSON + ',"client_secret":"s3cret-for-tests","scope":"market:code:europe"}',
    }
    response = {
        "body": {
            "access_token": "made-up-token",
            "token_type": "bearer",
            "expires_in": 7200,
            "scope": "market:code:europe",
            "created_at": 1_800_000_000,
        }
    }
    lifetime = 7200
    errors = [
        {
            "status": 401,
            "body": {"errors": [{"title": "invalid_client", "detail": "made up"}]},
            "raises": "InvalidClient",
        }
    ]
    context = {"organization", "require_market"}
    # The lowest lifetime allowed is the default, so the second value must be higher.
    others = {"lifetime": 9000}


class TestCommerceLayerScope(ProviderConformance):
    """The provider `commercelayer`, with the scope given as a whole."""

    provider = "commercelayer"
    settings = {
        "kind": "sales_channel",
        "client_id": "made-up-client",
        "scope": ["market:code:europe", "stock_location:code:north"],
        "organization": "acme",
    }
    request = {
        "method": "POST",
        "url": "https://auth.commercelayer.io/oauth/token",
        "body": JSON + ',"scope":"market:code:europe stock_location:code:north"}',
    }
    api = {
        "url": "https://acme.commercelayer.io/api",
        "headers": {**BEARER, "Accept": "application/vnd.api+json"},
    }
    context = {"organization", "require_market"}
    others = {"scope": ["market:code:usa"]}


class TestGeneric(ProviderConformance):
    """The provider `generic`; what it declares for API requests is not part of the cache key."""

    provider = "generic"
    settings = {
        "token_url": "https://acme.example/token",
        "api_url": "https://acme.example/api",
        "scope": ["read", "write"],
        "username": "made-up-user",
        "password": "s3cret-for-users",
        "parameters": {"username": "{username}", "password": "{password}"},
        "client_authentication": "client_secret_basic",
        "per_minute": 30.0,
        "burst": 5,
        **CREDENTIALS,
    }
    request = {
        "method": "POST",
        "url": "https://acme.example/token",
        "headers": {"Authorization": "Basic bWFkZS11cC1jbGllbnQ6czNjcmV0LWZvci10ZXN0cw=="},
        "body": "grant_type=client_credentials&username=made-up-user"
        "&password=s3cret-for-users&scope=read+write",
    }
    response = HOUR
    lifetime = 3600
    errors = [INVALID_CLIENT]
    api = {"url": "https://acme.example/api", "headers": BEARER}
    # With HTTP Basic, parameter names and keys are not sent.
    context = {
        *("client_id_name", "client_secret_name", "private_key", "key_id", "certificate_key"),
        *("certificate_password", "per_minute", "burst", "token_status", "revocation_url"),
        *(name for name in DATA if name.startswith("assertion_")),
        *(name for name in vars(ApiData) if name in DATA),
    }
    others = {"method": "GET", "scope": ["read"]}


class TestThirdParty(ProviderConformance):
    """The provider `acme` of the distribution keyturn-acme."""

    provider = third_party_provider()
    settings = {"tenant": "blue", **CREDENTIALS}
    request = {
        "method": "POST",
        "url": "https://blue.acme.example/oauth/token",
        "body": FORM,
    }
    response = HOUR
    lifetime = 3600
    errors = [INVALID_CLIENT]
    api = {"url": "https://blue.acme.example/api", "headers": BEARER}
