"""The API of a connection: the origin for its tokens, and the responses that refuse them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from keyturn._http import urls
from keyturn._http.response import Response, has_json_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._tokens.manager import TokenManager
    from keyturn.integrations._api_address import ApiAddress

# Bytes of a response with an error's code.
_LONGEST_ERROR = 1_000_000


class Api(NamedTuple):
    """The API of a connection.

    Args:
        manager: Manages the tokens. A connection of `keyturn.Connections` gets another with its
            successor.
        origin: The API's origin.
        address: The API's host, under a policy that restricts addresses.
        rejections: The statuses that refuse the token.
        has_codes: Whether a response of another status may refuse it, by its error code.
    """

    manager: TokenManager
    origin: str
    address: ApiAddress | None
    rejections: frozenset[int]
    has_codes: bool

    def is_at(self, url: str) -> bool:
        """Return whether a URL leads to the API's origin, for every URL parser."""
        return url.startswith(f"{self.origin}/") or origin_of(url) == self.origin

    def may_mean_token(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether a response may refuse the token, so that its body must be read."""
        if status in self.rejections or not self.has_codes:
            return status in self.rejections
        lower = {name.lower(): value for name, value in headers.items()}
        length = lower.get("content-length", "")
        is_long = length.isdecimal() and int(length) > _LONGEST_ERROR
        return not is_long and has_json_type(Response(status, lower, b""))


def origin_of(url: str) -> str | None:
    """Return the origin of a URL, or None if it has none."""
    try:
        return urls.origin(url)
    except ValueError:
        return None
