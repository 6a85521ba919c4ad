"""Norce Storm, with one token endpoint for every environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keyturn
from keyturn_norce import Norce, NorceSettings

if TYPE_CHECKING:
    from keyturn import Token

_API_URLS = {
    "lab": "https://api.lab.storm.io",
    "production": "https://api.storm.io",
}


class StormSettings(NorceSettings):
    """The settings of `norce-storm`."""

    scope: tuple[str, ...] = keyturn.plugins.setting(
        "Scope",
        "One or several of lab (the stage environment), qa and production.",
        check=keyturn.plugins.each_matches(
            "lab|qa|production", "must be one or several of lab, qa, production"
        ),
    )


class NorceStorm(Norce[StormSettings]):
    """Norce Storm (Norce's page «Accessing API's with OAuth2 accounts», Storm)."""

    name = "norce-storm"
    title = "Norce Storm"
    settings = StormSettings
    token_url = "https://identity.storm.io/1.0/connect/token"

    def api_url_for(self, settings: StormSettings, token: Token | None) -> str | None:
        """Return the API of the only environment in the scope; the host of `qa` is unknown."""
        del token
        documented = _API_URLS.get(settings.scope[0]) if len(settings.scope) == 1 else None
        return settings.api_url or documented


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[StormSettings]:
    """Return the provider `norce-storm`."""
    return NorceStorm()
