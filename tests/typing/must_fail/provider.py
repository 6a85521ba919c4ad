"""Mistakes that both type checkers must report: each marked line, and no other line.

`test_typing.py` compares their reports with the markers.
"""

from __future__ import annotations

import keyturn
from keyturn_norce.commerce import CommerceSettings
from keyturn_orocommerce import OroSettings

secret = keyturn.Secret("made-up")


class AcmeSettings(keyturn.plugins.ConfidentialSettings):
    """Settings with a field of each declaration, correctly and incorrectly declared."""

    tenant: str = keyturn.plugins.label("Tenant")
    number: int = keyturn.plugins.setting("Number", default=2)
    region: str | None = keyturn.plugins.label("Region", default=None)
    scope: tuple[str, ...] = keyturn.plugins.setting("Scope", default=("read",))

    wrong_number: int = keyturn.plugins.setting("Number", default="two")  # error
    wrong_none: str = keyturn.plugins.setting("None", default=None)  # error
    wrong_label: str = keyturn.plugins.label("Label", default=7)  # error
    wrong_secret: keyturn.Secret = keyturn.plugins.setting("Secret", default="text")  # error
    wrong_url: str = keyturn.plugins.url("URL", default=None)  # error
    wrong_scope: tuple[str, ...] = keyturn.plugins.setting("Scope", default=7)  # error
    wrong_domain: str = keyturn.plugins.domain("Domain", default=b"acme.example")  # error
    wrong_choice: int = keyturn.plugins.choice("Choice", choices={"a": "b"}, default="a")  # error
    untitled: str = keyturn.plugins.setting(default="x")  # error


class ShopSettings(keyturn.plugins.ClientSettings):
    """Correctly declared settings."""

    tenant: str = keyturn.plugins.label("Tenant")
    number: int = keyturn.plugins.setting("Number", default=2)


class MixedSettings(ShopSettings, keyturn.plugins.KeySettings):
    """Settings of several bases."""

    region: str = keyturn.plugins.label("Region")


shop = ShopSettings(client_id="cid", tenant="blue", client_secret=secret)
ShopSettings(client_id="cid", tenant="blue", number=3, token_url="https://acme.example")
ShopSettings(client_id="cid")  # error
ShopSettings(tenant="blue")  # error
ShopSettings(client_id="cid", tenant="blue", tenat="red")  # error
ShopSettings(client_id="cid", tenant=7)  # error
ShopSettings(client_id="cid", tenant="blue", number="2")  # error
ShopSettings(client_id="cid", tenant="blue", client_secret="text")  # error
ShopSettings("cid", "blue")  # error
shop.tenant = "red"  # error
shop.tenat  # error  # noqa: B018 - the checkers must report it

MixedSettings(client_id="cid", tenant="blue", private_key=secret, region="eu")
MixedSettings(client_id="cid", tenant="blue", region="eu")  # error
MixedSettings(client_id="cid", tenant="blue", private_key=secret)  # error

OroSettings(url="https://shop.example", client_id="cid", client_secret=secret, side="storefront")
OroSettings(url="https://shop.example", client_id="cid")  # error
OroSettings(url="https://shop.example", client_id="cid", client_secret=secret, side="x")  # error
CommerceSettings(client="acme", client_id="cid", client_secret=secret, environment="stage")
CommerceSettings(client="acme", client_id="cid", client_secret=secret)  # error


class Acme(keyturn.plugins.Provider[ShopSettings]):
    """A provider with correctly and incorrectly typed data."""

    name = "acme"
    settings = ShopSettings
    token_url = "https://{tenant}.acme.example/token"
    missing_lifetime = 600.0
    rate_limit = keyturn.plugins.RateLimit(per_minute=3, burst=20)
    api_domains = ("acme.example",)
    error_codes = {"17": "invalid_client"}  # noqa: RUF012 - as authors write it
    client_authentication = "client_secret_basic"

    title = 7  # error
    method = "FETCH"  # error
    token_status = "200"  # error
    lifetime_format = 7  # error
    parameters = "a=1"  # error
    max_margin = None  # error

    def scope(self, settings: OroSettings) -> tuple[str, ...]:  # error
        """Return the scope of other settings."""
        return settings.scope or ()


keyturn.connect("acme", 7)  # error
keyturn.connect(7)  # error
keyturn.connect(Acme(), shop, store=7)  # error
keyturn.problems("acme", "x")  # error
keyturn.plugins.provider_from_data("acme")  # error
