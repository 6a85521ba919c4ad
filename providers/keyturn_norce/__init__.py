"""Norce: the providers `norce-commerce` and `norce-storm`.

Both take a form with the credentials in the body, name the environment in the scope, allow three
token requests a minute, and need an `ApplicationId` on each API request.
"""

from __future__ import annotations

from typing import TypeVar

import keyturn

S = TypeVar("S", bound="NorceSettings")


class NorceSettings(keyturn.plugins.ConfidentialSettings):
    """The settings that both Norce providers share."""

    application_id: int | None = keyturn.plugins.setting(
        "Application ID",
        "The number of your application, which API requests send; the token does not depend on it.",
        default=None,
        check=keyturn.plugins.between(1),
    )


class Norce(keyturn.plugins.Provider[S]):
    """The data that both Norce providers share, from Norce's page on OAuth2 accounts."""

    # "Max 3 requests per minute per IP address, with a possibility to burst 20 more".
    rate_limit = keyturn.plugins.RateLimit(per_minute=3, burst=20)
    # The page says 3600 in its text, 600 in its example, and that it might change: use the shorter.
    missing_lifetime = 600.0
    # Every API request needs it.
    api_headers = {"ApplicationId": "{application_id}"}
