"""A spider that sends eight API requests at once, twice; tokens are revoked between."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

import scrapy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CALLS = 8


class Users(scrapy.Spider):
    """Yields an item for each response."""

    name = "users"
    custom_settings: ClassVar[dict[str, Any]] = {
        # What the user writes:
        "DOWNLOADER_MIDDLEWARES": {"keyturn.integrations.scrapy.KeyturnMiddleware": 1000},
        "KEYTURN_CONNECTION": "shop",
        # End of what the user writes.
        "CONCURRENT_REQUESTS_PER_DOMAIN": CALLS,
        "HTTPERROR_ALLOW_ALL": True,
    }

    async def start(self) -> AsyncIterator[Any]:
        """Call the API eight times."""
        self.left = CALLS
        for number in range(CALLS):
            yield scrapy.Request(f"{os.environ['SHOP_API']}/users?before={number}")

    def parse(self, response: Any) -> Iterator[Any]:
        """Count a response; after the last one, revoke all tokens."""
        yield {"status": response.status}
        self.left -= 1
        if self.left == 0:
            yield scrapy.Request(os.environ["SHOP_REVOKE"], self.again, method="POST")

    def again(self, _: object) -> Iterator[Any]:
        """Send eight API requests with a revoked token."""
        for number in range(CALLS):
            url = f"{os.environ['SHOP_API']}/users?after={number}"
            yield scrapy.Request(url, lambda response: {"status": response.status})
