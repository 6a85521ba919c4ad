"""Workday's client credentials, from https://nango.dev/docs/api-integrations/workday-cc/connect.

The credentials of HTTP Basic have another scheme there, `ID`, which no data expresses.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

import keyturn


class WorkdaySettings(keyturn.plugins.ConfidentialSettings):
    """The settings of `workday`."""

    host: str = keyturn.plugins.setting(
        "Host",
        "The host of the token endpoint, such as wd2-impl-services1.workday.com.",
        check=keyturn.plugins.domain_problem,
    )
    tenant: str = keyturn.plugins.setting("Tenant")


class Workday(keyturn.plugins.Provider[WorkdaySettings]):
    """Workday, as an API client that acts for an integration system user."""

    name = "workday"
    title = "Workday"
    settings = WorkdaySettings
    token_url = "https://{host}/ccx/oauth2/{tenant}/token"
    api_url = "https://{host}/ccx/api"
    client_authentication = "client_secret_basic_raw"
    parameters: ClassVar = {"tenant_alias": "{tenant}"}

    def token_request(self, settings: WorkdaySettings) -> keyturn.plugins.TokenRequest:
        """Return the token request with Workday's own scheme."""
        request = super().token_request(settings)
        credentials = request.headers["Authorization"].removeprefix("Basic ")
        headers = (("Authorization", keyturn.Secret(f"ID {credentials}")),)
        return attrs.evolve(request, extra_headers=headers)


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[WorkdaySettings]:
    """Return the provider `workday`."""
    return Workday()
