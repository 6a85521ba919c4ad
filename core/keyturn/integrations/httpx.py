"""The adapter for httpx, for `httpx.Client` and `httpx.AsyncClient` alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from keyturn.integrations._attachment import Attachment
from keyturn.response import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, ItemsView, KeysView, ValuesView

    from keyturn.connection import Connection
    from keyturn.token import Token

# httpx itself strips the one where a redirect leaves the origin; the other tells nobody anything.
_ORDINARY = ("Authorization", "Accept")


class KeyturnAuth(httpx.Auth):
    """Puts a connection's token, and the provider's own headers, on requests for its API.

    A caller's `Authorization` is replaced, and so is `Accept: */*`, which httpx sends by itself;
    all other headers of the caller's stay. After a 401 that means the token, the token is renewed
    and the request sent once more; when its body is a stream (a form with files is one), or there
    is no other token to be had, the API's own answer is returned. What is added here doesn't
    follow a redirect to another origin. Like httpx' own authentication, it reads the whole body
    of a 401.

    Args:
        connection: Where the tokens come from.

    Raises:
        keyturn.errors.ForeignOrigin: A request doesn't lead to the API's origin (RFC 6454); it
            isn't sent.
        keyturn.errors.KeyturnError: There is no token to be had.

    Example:
        >>> import httpx, keyturn
        >>> connection = keyturn.connect(
        ...     "orocommerce",
        ...     url="https://shop.example",
        ...     client_id="made-up",
        ...     client_secret="made-up",
        ... )
        >>> client = httpx.Client(
        ...     base_url=connection.api_url,
        ...     auth=keyturn.integrations.httpx.KeyturnAuth(connection),
        ... )
    """

    def __init__(self, connection: Connection) -> None:
        self._attachment = Attachment(connection)
        self._connection = connection
        # The parts of an address that decide where it leads, of one that has been checked: to
        # compare these costs less than to look at the text of each request's address.
        self._home: tuple[str, bytes, int | None, bytes] | None = None

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request with a token, and once more with another if need be."""
        url = request.url
        place = (url.scheme, url.raw_host, url.port, url.userinfo)
        if place != self._home:
            self._attachment.token(str(url))
            self._home = place
        token = self._connection.token()
        response = yield self._with_token(request, token)
        if response.status_code < 400:
            return
        if self._lost_headers(response, token):
            response = yield self._with_token(response.request, token)
        if self._may_mean_token(response, token):
            response.read()
            other = self._attachment.renewed(token, _answer(response))
            if other is not None and _replayable(response.request):
                yield self._with_token(response.request, other)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same as `sync_auth_flow`, without blocking the event loop."""
        url = request.url
        place = (url.scheme, url.raw_host, url.port, url.userinfo)
        if place != self._home:
            await self._attachment.atoken(str(url))
            self._home = place
        token = await self._connection.atoken()
        response = yield self._with_token(request, token)
        if response.status_code < 400:
            return
        if self._lost_headers(response, token):
            response = yield self._with_token(response.request, token)
        if self._may_mean_token(response, token):
            await response.aread()
            other = await self._attachment.arenewed(token, _answer(response))
            if other is not None and _replayable(response.request):
                yield self._with_token(response.request, other)

    def _with_token(self, request: httpx.Request, token: Token) -> httpx.Request:
        headers = self._connection.header_items(token)
        name, value = headers[0]
        if len(headers) > 1 or name not in _ORDINARY:
            return self._with_more(request, token)
        request.headers[name] = value
        return request

    def _with_more(self, request: httpx.Request, token: Token) -> httpx.Request:
        """Add the provider's own headers too, as far as the caller has not chosen them."""
        added: dict[str, str] = {}
        for name, value in self._attachment.headers(token, request.headers):
            if name in _ORDINARY:
                request.headers[name] = value
            else:
                request.headers.pop(name, None)
                added[name] = value
        if added:
            request.headers = _Headers(request.headers, added)
        return request

    def _lost_headers(self, response: httpx.Response, token: Token) -> bool:
        """Tell whether a refusal after a redirect within the API is for want of our headers.

        httpx has followed it by itself, without the headers that are not copied.
        """
        return (
            bool(response.history)
            and response.status_code < 500
            and _replayable(response.request)
            and self._carried(response, token)
            and any(
                name not in _ORDINARY
                for name, _ in self._attachment.headers(token, response.request.headers)
            )
        )

    def _may_mean_token(self, response: httpx.Response, token: Token) -> bool:
        return response.status_code == 401 and self._carried(response, token)

    def _carried(self, response: httpx.Response, token: Token) -> bool:
        request = response.request
        return self._attachment.carries(token, str(request.url), request.headers)


def _replayable(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)


class _Headers(httpx.Headers):
    """Headers with some added that go with one request only.

    To follow a redirect, httpx copies a request's headers and strips `Authorization` alone when
    the origin changes. Those added here can be read like any other but are not copied.
    """

    def __init__(self, headers: httpx.Headers, added: dict[str, str]) -> None:
        super().__init__(headers)
        self._added = httpx.Headers(added)

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        return [*super().raw, *self._added.raw]

    def keys(self) -> KeysView[str]:
        return httpx.Headers(self.raw).keys()

    def values(self) -> ValuesView[str]:
        return httpx.Headers(self.raw).values()

    def items(self) -> ItemsView[str, str]:
        return httpx.Headers(self.raw).items()

    def multi_items(self) -> list[tuple[str, str]]:
        return [*super().multi_items(), *self._added.multi_items()]

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:  # noqa: FBT001, FBT002 - httpx's
        return httpx.Headers(self.raw).get_list(key, split_commas)

    def __getitem__(self, key: str) -> str:
        return self._added[key] if key in self._added else super().__getitem__(key)

    def __setitem__(self, key: str, value: str) -> None:
        self._added.pop(key, None)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        if self._added.pop(key, None) is None:
            super().__delitem__(key)

    def __contains__(self, key: object) -> bool:
        return key in self._added or super().__contains__(key)

    def __len__(self) -> int:
        return super().__len__() + len(self._added)


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, dict(response.headers), response.content)
