"""The APIs of the four providers, with the headers that their pages require on each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bench.peers._credentials import CLIENT_ID, CLIENT_SECRET

if TYPE_CHECKING:
    from collections.abc import Mapping

_JSON_API = {"Accept": "application/vnd.api+json"}
_CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
}


class Api(NamedTuple):
    """One provider's API.

    Args:
        provider: The provider's name in keyturn.
        settings: Its settings, credentials excepted.
        url: The URL of an API request.
        headers: The headers that each API request needs beside the token.
        body: How httpx sends the token request: `json` or `data`.
        scope: The scope of the token request; empty when it has none.
    """

    provider: str
    settings: Mapping[str, Any]
    url: str
    headers: Mapping[str, str]
    body: str
    scope: str = ""

    def token_request(self) -> dict[str, Any]:
        """Return the arguments with which httpx sends the provider's token request."""
        return {self.body: _CREDENTIALS | ({"scope": self.scope} if self.scope else {})}


APIS = {
    api.provider: api
    for api in (
        Api(
            "norce-commerce",
            {"client": "acme", "environment": "stage", "application_id": 1},
            "https://acme.api-se.stage.norce.tech/commerce/query/3.0/products",
            {"ApplicationId": "1"},
            "data",
            "stage",
        ),
        Api(
            "norce-storm",
            {"scope": "lab", "application_id": 1},
            "https://api.lab.storm.io/application/1.1/ApplicationService.svc/rest/GetApplication",
            {"ApplicationId": "1"},
            "data",
            "lab",
        ),
        Api(
            "orocommerce",
            {"url": "https://shop.example"},
            "https://shop.example/admin/api/products",
            _JSON_API,
            "json",
        ),
        Api(
            "commercelayer",
            {"organization": "acme", "kind": "integration"},
            "https://acme.commercelayer.io/api/skus",
            _JSON_API,
            "json",
        ),
    )
}
