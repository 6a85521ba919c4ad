"""The public API in use: read by type checkers, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, assert_type

import aiohttp
import httpx
import httpx2
import requests
import urllib3

import keyturn
import keyturn.integrations.aiohttp
import keyturn.integrations.httpx
import keyturn.integrations.httpx2
import keyturn.integrations.requests
import keyturn.integrations.urllib3
import keyturn.stores
import keyturn.testing
from keyturn import errors
from keyturn_orocommerce import OroSettings

# Connections, without an event loop.
with keyturn.connect(
    "orocommerce",
    url="https://shop.example",
    client_id="id",
    client_secret=keyturn.Secret("s3cret-for-tests"),
    store="disk:///var/cache/keyturn",
) as connection:
    assert_type(connection, keyturn.Connection)
    token = connection.token()
    assert_type(token, keyturn.Token)
    assert_type(connection.token(stale=token), keyturn.Token)
    assert_type(connection.headers(), dict[str, str])
    assert_type(connection.api_url, str)
    assert_type(connection.explain(), str)
    connection.invalidate(token)
    connection.revoke()
    connection.close()

assert_type(token.access_token, str)
assert_type(token.token_type, str)
assert_type(token.expires_at, float)
assert_type(token.scope, str | None)
assert_type(token.extra, Mapping[str, Any])

request = connection.token_request()
assert_type(request, keyturn.plugins.TokenRequest)
assert_type(request.method, str)
assert_type(request.url, str)
assert_type(request.headers, dict[str, str])
assert_type(request.body, bytes)
assert_type(request.fingerprint, str)

assert_type(keyturn.load_connection("norce-stage"), keyturn.Connection)


# The settings as one object, and a provider as an object.
row: dict[str, Any] = {"client_id": "id", "client_secret": "s3cret-for-tests"}
assert_type(keyturn.connect("norce-storm", row, name="tenant-17"), keyturn.Connection)
shop = OroSettings(url="https://shop.example", client_id="id", client_secret=keyturn.Secret("x"))
assert_type(keyturn.connect("orocommerce", shop, timeout=3.0), keyturn.Connection)
assert_type(shop.client_secret, keyturn.Secret)
described = keyturn.plugins.provider_from_data({"name": "acme", "token_url": "https://a.example"})
assert_type(described, keyturn.plugins.Provider[Any])
assert_type(keyturn.plugins.provider_from_file("acme.toml"), keyturn.plugins.Provider[Any])
assert_type(keyturn.connect(described, row), keyturn.Connection)
(problem,) = keyturn.problems("orocommerce", row)
assert_type(problem, keyturn.Problem)
assert_type((problem.path, problem.message), tuple[str, str])
policy = keyturn.NetworkPolicy(domains=("*.shop.example",), private_addresses=True)
assert_type(policy.domains, tuple[str, ...] | None)
assert_type(keyturn.connect("orocommerce", row, policy=policy), keyturn.Connection)


# The same, in an event loop.
async def use_async() -> None:
    """Use a connection and an adapter in an event loop."""
    async with keyturn.connect("norce-storm", scope="lab", client_id="id") as connection:
        assert_type(connection, keyturn.Connection)
        assert_type(await connection.atoken(), keyturn.Token)
        assert_type(await connection.atoken(stale=token), keyturn.Token)
        assert_type(await connection.aheaders(), dict[str, str])
        auth = keyturn.integrations.httpx.KeyturnAuth(connection)
        async with httpx.AsyncClient(auth=auth, base_url=connection.api_url) as client:
            await client.get("/")
        middleware: aiohttp.ClientMiddlewareType = keyturn.integrations.aiohttp.KeyturnAuth(
            connection
        )
        async with aiohttp.ClientSession(middlewares=[middleware]) as session:
            await session.get("https://shop.example/admin/api")
        await connection.aclose()


# Adapters.
httpx_auth = keyturn.integrations.httpx.KeyturnAuth(connection)
assert_type(httpx.get("https://shop.example/admin/api", auth=httpx_auth), httpx.Response)
httpx2_auth = keyturn.integrations.httpx2.KeyturnAuth(connection)
assert_type(httpx2.get("https://shop.example/admin/api", auth=httpx2_auth), httpx2.Response)
requests_auth = keyturn.integrations.requests.KeyturnAuth(connection)
requests.get("https://shop.example/admin/api", auth=requests_auth, timeout=5)
manager: urllib3.PoolManager = keyturn.integrations.urllib3.KeyturnPoolManager(connection)
assert_type(manager.request("GET", "https://shop.example/"), urllib3.BaseHTTPResponse)

# Providers.
info = keyturn.providers()[0]
assert_type(info, keyturn.ProviderInfo)
assert_type((info.name, info.distribution, info.version), tuple[str, str, str])
assert_type(keyturn.provider("commercelayer").settings_schema(), dict[str, Any])

# Stores.
store = keyturn.stores.from_url("memory://")
assert_type(store, keyturn.stores.TokenStore)
assert_type(store.read("key"), str | None)
store.write("key", "entry", 1_700_000_000.0)
store.delete("key")
with store.lock("key", 30.0):
    pass
keyturn.connect("acme", store=store)

# The emulator.
with keyturn.testing.Emulator() as emulator:
    assert_type(emulator, keyturn.testing.Emulator)
    keyturn.connect("norce-commerce", **emulator.settings("norce-commerce"))
    assert_type(emulator.token_requests("norce-commerce"), int)
    assert_type(emulator.policy, keyturn.NetworkPolicy)

# Errors.
try:
    connection.token()
except errors.RateLimited as limited:
    assert_type(limited.retry_after, float)
except (errors.InvalidClient, errors.InvalidScope) as refused:
    root: errors.TokenRequestRefused = refused
except (errors.ProviderNotFound, errors.ProviderConflict, errors.ProviderLoadError) as unusable:
    configuration: errors.ConfigurationError = unusable
    assert_type(configuration.problems, tuple[keyturn.Problem, ...])
except (errors.EndpointUnavailable, errors.InvalidTokenResponse, errors.ForeignOrigin) as other:
    assert_type(other.connection, str | None)
except errors.KeyturnError as error:
    assert_type(error.message, str)


# A custom provider.
class AcmeSettings(keyturn.plugins.ConfidentialSettings):
    """The settings of a made-up provider."""

    tenant: str = keyturn.plugins.label("Tenant")
    region: Literal["eu", "us"] = keyturn.plugins.setting("Region", default="eu")
    domain: str = keyturn.plugins.domain("Domain", default="acme.example")
    scope: tuple[str, ...] | None = keyturn.plugins.setting("Scope", default=None)
    share: float | None = keyturn.plugins.setting("Share", default=1)
    bundle: str | None = keyturn.plugins.file("Bundle", default=None)
    plan: str = keyturn.plugins.choice("Plan", choices={"free": "f", "paid": "p"})


class MixedSettings(AcmeSettings, keyturn.plugins.KeySettings):
    """Settings of two bases, one of which is narrowed."""

    client_secret: keyturn.Secret = keyturn.plugins.setting("Client secret")
    client: str = keyturn.plugins.label("Client")


secret = keyturn.Secret("made-up")
MixedSettings(
    client_id="id", client_secret=secret, private_key=secret, tenant="a", plan="free", client="b"
)


class Acme(keyturn.plugins.Provider[AcmeSettings]):
    """A provider that overrides methods with the type of its own settings."""

    name = "acme"
    settings = AcmeSettings
    token_url = "https://{tenant}.acme.example/oauth/token"
    rate_limit = keyturn.plugins.RateLimit(per_minute=3, burst=20)

    api_headers: ClassVar[Mapping[str, str]] = {"Tenant": "{tenant}"}

    def api_request_headers(
        self, settings: AcmeSettings, token: keyturn.Token
    ) -> Mapping[str, str]:
        """Return a header made from a setting and the token's response."""
        return {
            **super().api_request_headers(settings, token),
            "Site": str(token.extra.get("site")),
        }


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[AcmeSettings]:
    """Return the made-up provider."""
    return Acme()


assert_type(keyturn_provider(), keyturn.plugins.Provider[AcmeSettings])
