"""What every adapter decides, and none for itself: where a token may go, and what a 401 means."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._http import urls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keyturn._connection import Connection
    from keyturn._http.response import Response
    from keyturn._token import Token
    from keyturn._tokens.snapshot import Headers

# User information and a backslash are what URL parsers disagree on: neither is in an origin.
_ORIGIN_REGEX = re.compile(r"[A-Za-z]+://[^/?#\\@]*(?=[/?#]|$)")
_NOT_CHOSEN = (None, "*/*")

_logger = logging.getLogger("keyturn.integrations")


class Attachment:
    """Attaches the tokens of one connection to requests for its API, and to no others.

    Args:
        connection: Where the tokens come from.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._home: str | None = None

    def token(self, url: str) -> Token:
        """Return the token for a request to `url`.

        Raises:
            keyturn.errors.ForeignOrigin: It doesn't lead to the API's origin.
            keyturn.errors.KeyturnError: There is no token to be had.
        """
        self._check(url)
        return self.connection.token()

    async def atoken(self, url: str) -> Token:
        """Return the token for a request to `url`, without blocking the event loop; see `token`."""
        if self._home is None and self.connection.api_url_for(None) is None:
            await self.connection.atoken()  # only a token tells where the API is
        self._check(url)
        return await self.connection.atoken()

    def is_home(self, url: str) -> bool:
        """Tell whether `url` leads to the API's origin (RFC 6454): scheme, host and port."""
        if self._home is None:
            self._home = f"{self.connection.api_origin}/"
        return url.startswith(self._home) or f"{_origin(url)}/" == self._home

    def headers(
        self, token: Token, given: Mapping[str, object], former: Token | None = None
    ) -> Headers:
        """Return the headers to set on a request, names and values.

        Args:
            token: The token to attach.
            given: The request's headers, found in any case. The token's is replaced; other
                headers are the caller's if there are any. `Accept: */*` is no choice of the
                caller's, since the clients put it on every request.
            former: A token that was attached before; what came with it isn't the caller's.
        """
        first, *others = self.connection.header_items(token)
        ours = self.connection.headers_for(former) if former is not None else {}
        free = [
            (name, value)
            for name, value in others
            if given.get(name) in (*_NOT_CHOSEN, ours.get(name))
        ]
        return (first, *free)

    def carries(self, token: Token, url: str, given: Mapping[str, object]) -> bool:
        """Tell whether a request took `token` to the API; one redirected elsewhere didn't."""
        name, value = self.connection.header_items(token)[0]
        return given.get(name) == value and self.is_home(url)

    def renewed(self, token: Token, response: Response) -> Token | None:
        """Return another token to try once more with, after an API's 401 response.

        Returns:
            None when the 401 doesn't mean the token, or there is no other one to be had; the
            caller then gets the API's own response.
        """
        try:
            if not self.connection.token_rejected(response):
                return None
            return _other(token, self.connection.token(stale=token))
        except errors.KeyturnError as error:
            self._warn(error)
            return None

    async def arenewed(self, token: Token, response: Response) -> Token | None:
        """Return another token, without blocking the event loop; see `renewed`."""
        try:
            if not self.connection.token_rejected(response):
                return None
            return _other(token, await self.connection.atoken(stale=token))
        except errors.KeyturnError as error:
            self._warn(error)
            return None

    def _check(self, url: str) -> None:
        if not self.is_home(url):
            raise errors.ForeignOrigin(
                f"{_origin(url) or 'an odd address'} is not the API's origin "
                f"{self.connection.api_origin}, so the token stays here.",
                connection=self.connection.name,
                hint="Send this request without keyturn, or through that host's own connection.",
            )

    def _warn(self, error: errors.KeyturnError) -> None:
        name = self.connection.name
        _logger.warning("%s: the API refused the token, and no other came: %s", name, error)


class _Unshown(str):
    """A header's value that no `repr` gives away.

    The clients' frames and errors hold all headers, and so does a crash report with local
    variables.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'********'"


def unshown(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the same headers with values that no `repr` gives away."""
    return [(name, _Unshown(value)) for name, value in headers]


def _other(token: Token, found: Token) -> Token | None:
    return None if found.access_token == token.access_token else found


def _origin(url: str) -> str | None:
    match = _ORIGIN_REGEX.match(url)
    try:
        return urls.origin(match[0]) if match else None
    except ValueError:
        return None
