"""Which addresses a token is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._http.urls import origin

if TYPE_CHECKING:
    from keyturn._connection import Connection


def require_own_origin(connection: Connection, url: str) -> None:
    """Refuse an address that is not of the connection's API.

    Raises:
        keyturn.errors.ForeignOrigin: The token is not for that address.
    """
    own = connection.api_origin
    try:
        foreign = origin(url) != own
    except ValueError:
        foreign = True
    if foreign:
        raise errors.ForeignOrigin(
            f"the token is for {own} and goes nowhere else.",
            connection=connection.name,
            hint="Check the address, or set api_url.",
        )
