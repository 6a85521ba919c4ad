"""The token manager's interface over today's `Connection`; delete at the merge.

`_request_auth` then imports `manager_of` from `keyturn._connection`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn._tokens.snapshot import TokenSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn._connection import Connection
    from keyturn._http.response import Response
    from keyturn._token import Token


class TokenManager:
    """What adapters need of a connection.

    Args:
        connection: The connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.now: Callable[[], float] = connection.renewal.clock.time

    @property
    def snapshot(self) -> TokenSnapshot:
        """The current token, with its headers."""
        held: TokenSnapshot = vars(self._connection)["_manager"].held
        return held

    def get(self, stale: Token | None = None) -> TokenSnapshot:
        """Return a usable snapshot."""
        return self._snapshot(self._connection.token(stale))

    async def aget(self, stale: Token | None = None) -> TokenSnapshot:
        """Return a usable snapshot, without blocking the event loop."""
        return self._snapshot(await self._connection.atoken(stale))

    def token_rejected(self, response: Response) -> bool:
        """Return whether an API's 401 response means the token."""
        return self._connection.token_rejected(response)

    def api_url(self, token: Token | None) -> str | None:
        """Return the API's URL, as far as settings and token determine it."""
        return self._connection.api_url_for(token)

    def _snapshot(self, token: Token) -> TokenSnapshot:
        held = self.snapshot
        if held.token is token:
            return held
        return TokenSnapshot(token, self._connection.header_items(token))


def manager_of(connection: Connection) -> TokenManager:
    """Return the token manager of a connection."""
    return TokenManager(connection)
