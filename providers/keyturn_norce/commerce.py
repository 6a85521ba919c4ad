"""Norce Commerce, with a separate host for each client, region and environment."""

from __future__ import annotations

from typing import Literal

import keyturn
from keyturn_norce import Norce, NorceSettings

# One label of the host is `api-` and the region.
_REGION_PATTERN = "[a-z0-9](?:[a-z0-9-]{0,57}[a-z0-9])?"


class CommerceSettings(NorceSettings):
    """The settings of `norce-commerce`."""

    client: str = keyturn.plugins.label("Client", "Your name at Norce, the first part of the host.")
    region: str = keyturn.plugins.setting(
        "Region",
        "The region in the host, as in api-se.",
        default="se",
        check=keyturn.plugins.matches(
            _REGION_PATTERN, "must be one host label: 1 to 59 of a-z, 0-9 and inner hyphens"
        ),
    )
    environment: Literal["playground", "stage", "prod"] = keyturn.plugins.setting(
        "Environment",
        "The environment, which is part of the host (except for production) and the default scope.",
    )
    scope: tuple[str, ...] | None = keyturn.plugins.setting(
        "Scope",
        "One or several environment names, if they differ from the environment's name: older "
        "accounts have `lab` and `production`.",
        default=None,
    )

    @property
    def host(self) -> str:
        """The host of the token endpoint and the API; for production, without the environment."""
        environment = "" if self.environment == "prod" else f".{self.environment}"
        return f"{self.client}.api-{self.region}{environment}.norce.tech"


class NorceCommerce(Norce[CommerceSettings]):
    """Norce Commerce (Norce's page «Accessing APIs with OAuth2 accounts»)."""

    name = "norce-commerce"
    title = "Norce Commerce"
    settings = CommerceSettings
    token_url = "https://{host}/identity/1.0/connect/token"
    api_url = "https://{host}"

    def scope(self, settings: CommerceSettings) -> tuple[str, ...]:
        """Return the environment's name, unless the user gave a scope."""
        return settings.scope or (settings.environment,)


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[CommerceSettings]:
    """Return the provider `norce-commerce`."""
    return NorceCommerce()
