"""What the adapters for httpx and httpx2 share; it imports neither.

Both libraries have the same interface, and neither accepts the other's classes. What comes from
them is `Any` here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from keyturn._http.response import Response
from keyturn.integrations._request_auth import Attachment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, ItemsView, KeysView, ValuesView

    from httpx import Headers

    from keyturn._connection import Connection
    from keyturn._token import Token
else:
    Headers = object

# The libraries strip the one where a redirect leaves the origin; the other tells nobody anything.
_ORDINARY = ("Authorization", "Accept")


class OwnHeaders(Headers):
    """Headers with some added that go with one request only; stands before a library's `Headers`.

    To follow a redirect, the libraries copy a request's headers and strip `Authorization` alone
    when the origin changes. Those added here can be read like any other but are not copied.
    """

    plain: ClassVar[Any]
    """The library's `Headers`."""
    _added: Headers

    def __init__(self, headers: Headers, added: dict[str, str]) -> None:
        super().__init__(headers)
        if isinstance(headers, OwnHeaders):  # of a request that was sent before
            added = dict(headers._added) | added  # noqa: SLF001 - its own class's
        self._added = self.plain(added)

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        return [*super().raw, *self._added.raw]

    def keys(self) -> KeysView[str]:
        return self._all().keys()

    def values(self) -> ValuesView[str]:
        return self._all().values()

    def items(self) -> ItemsView[str, str]:
        return self._all().items()

    def multi_items(self) -> list[tuple[str, str]]:
        return self._all().multi_items()

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:  # noqa: FBT001, FBT002 - httpx's
        return self._all().get_list(key, split_commas)

    def __getitem__(self, key: str) -> str:
        value: str = self._added[key] if key in self._added else super().__getitem__(key)
        return value

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

    def _all(self) -> Headers:
        headers: Headers = self.plain(self.raw)
        return headers


class Flow:
    """The two flows of a library's `Auth`, before which it stands.

    Args:
        connection: Where the tokens come from.
    """

    _byte_stream: ClassVar[type]
    _own_headers: ClassVar[type[OwnHeaders]]

    def __init__(self, connection: Connection) -> None:
        self._attachment = Attachment(connection)
        self._connection = connection
        # The parts of an address that decide where it leads, of one that has been checked: to
        # compare these costs less than to look at the text of each request's address.
        self._home: tuple[bytes | None, str, int | None, bytes] = None, "", None, b""
        # Whether the libraries would take `Authorization` along from there to another origin:
        # from http to https, on the default ports of one host.
        self._upgradable = False

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send a request with a token, and once more with another if need be."""
        url, connection = request.url, self._connection
        host, scheme, port, userinfo = self._home
        if not (
            url.raw_host == host
            and url.scheme == scheme
            and url.port == port
            and url.userinfo == userinfo
        ):
            self._attachment.token(str(url))
            self._remember(url)
        held = connection.ready()
        # What most providers need is done right here: a call would cost as much as the rest.
        if held is not None and held.authorization is not None and not self._upgradable:
            token: Token = held.token  # type: ignore[assignment]  # nothing held is never ready
            request.headers["Authorization"] = held.authorization
        else:
            token = connection.token()
            self._add_headers(request, token)
        response = yield request
        if response.status_code < 400:
            return
        if self._lost_headers(response, token):
            response = yield self._with_token(response.request, token)
        if self._may_mean_token(response, token):
            response.read()
            other = self._attachment.renewed(token, _response(response))
            if other is not None and self._replayable(response.request):
                yield self._with_token(response.request, other, token)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Do the same as `sync_auth_flow`, without blocking the event loop."""
        url, connection = request.url, self._connection
        host, scheme, port, userinfo = self._home
        if not (
            url.raw_host == host
            and url.scheme == scheme
            and url.port == port
            and url.userinfo == userinfo
        ):
            await self._attachment.atoken(str(url))
            self._remember(url)
        held = connection.ready()
        if held is not None and held.authorization is not None and not self._upgradable:
            token: Token = held.token  # type: ignore[assignment]  # nothing held is never ready
            request.headers["Authorization"] = held.authorization
        else:
            token = await connection.atoken()
            self._add_headers(request, token)
        response = yield request
        if response.status_code < 400:
            return
        if self._lost_headers(response, token):
            response = yield self._with_token(response.request, token)
        if self._may_mean_token(response, token):
            await response.aread()
            other = await self._attachment.arenewed(token, _response(response))
            if other is not None and self._replayable(response.request):
                yield self._with_token(response.request, other, token)

    def _remember(self, url: Any) -> None:
        """Remember an address that has been checked; its default port is None."""
        self._upgradable = url.scheme == "http" and url.port is None
        self._home = url.raw_host, url.scheme, url.port, url.userinfo  # last, for other threads

    def _add_headers(self, request: Any, token: Token, former: Token | None = None) -> None:
        """Add the token and the provider's own headers, those that the caller chose excepted."""
        added: dict[str, str] = {}
        for name, value in self._attachment.headers(token, request.headers, former):
            if self._is_ordinary(name):
                request.headers[name] = value
            else:
                request.headers.pop(name, None)
                added[name] = value
        if added:
            request.headers = self._own_headers(request.headers, added)

    def _is_ordinary(self, name: str) -> bool:
        """Tell whether a header is one that a redirect may copy."""
        return name in _ORDINARY and not (self._upgradable and name == "Authorization")

    def _with_token(self, request: Any, token: Token, former: Token | None = None) -> Any:
        self._add_headers(request, token, former)
        return request

    def _lost_headers(self, response: Any, token: Token) -> bool:
        """Tell whether a refusal after a redirect within the API is for want of our headers.

        The library has followed it by itself, without the headers that are not copied.
        """
        return (
            bool(response.history)
            and response.status_code < 500
            and self._replayable(response.request)
            and (self._carried(response, token) or self._lost_token(response))
            and any(
                not self._is_ordinary(name)
                for name, _ in self._attachment.headers(token, response.request.headers)
            )
        )

    def _lost_token(self, response: Any) -> bool:
        """Tell whether a request came without the token, though it never left the API.

        One that was elsewhere on its way stays bare.
        """
        return (
            self._upgradable
            and "Authorization" not in response.request.headers
            and all(
                self._attachment.is_home(str(hop.request.url))
                for hop in (*response.history, response)
            )
        )

    def _may_mean_token(self, response: Any, token: Token) -> bool:
        return response.status_code == 401 and self._carried(response, token)

    def _carried(self, response: Any, token: Token) -> bool:
        request = response.request
        return self._attachment.carries(token, str(request.url), request.headers)

    def _replayable(self, request: Any) -> bool:
        return isinstance(request.stream, self._byte_stream)


def _response(response: Any) -> Response:
    return Response(response.status_code, dict(response.headers), response.content)
