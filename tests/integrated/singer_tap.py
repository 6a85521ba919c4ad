"""A tap of Meltano's Singer SDK for the emulator's users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import RESTStream, Tap
from singer_sdk.pagination import BasePageNumberPaginator

import keyturn
from keyturn.integrations.singer import TapAuthenticator

if TYPE_CHECKING:
    import requests

PAGES = 25


class Pages(BasePageNumberPaginator):
    """Has `PAGES` pages."""

    def has_more(self, response: requests.Response) -> bool:
        """Return whether another page follows."""
        del response
        return self.current_value < PAGES


class Users(RESTStream[int]):
    """The users of a shop."""

    name = "users"
    path = "/users"
    schema = {"properties": {"id": {"type": "string"}, "type": {"type": "string"}}}  # noqa: RUF012 - the SDK's
    records_jsonpath = "$.data[*]"
    # What the user writes:
    authenticator = TapAuthenticator("orocommerce")
    # End of what the user writes.

    @property
    def url_base(self) -> str:
        """The address of the API."""
        return f"{self.config['url']}/admin/api"

    def get_new_paginator(self) -> Pages:
        """Return a paginator."""
        return Pages(1)

    def get_url_params(self, context: Any, next_page_token: Any) -> dict[str, Any]:
        """Return the page's number."""
        del context
        return {"page": next_page_token}


class Admins(Users):
    """The users again, as another stream."""

    name = "admins"


class TapShop(Tap):
    """A tap for OroCommerce."""

    name = "tap-shop"
    config_jsonschema = keyturn.provider("orocommerce").settings_schema(
        dialect="draft-07", style="singer"
    )

    def discover_streams(self) -> list[Any]:
        """Return the streams."""
        return [Users(self), Admins(self)]


if __name__ == "__main__":
    TapShop.cli()
