"""The adapters for niquests: for its sessions, and for its sessions of asyncio."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, cast

import attrs
from niquests import AsyncResponse, PreparedRequest
from niquests.auth import AsyncAuthBase, AuthBase
from niquests.exceptions import UnrewindableBodyError
from niquests.utils import arewind_body, rewind_body

from keyturn import errors
from keyturn.integrations._authorized_request import is_sent
from keyturn.integrations._request_auth import Adapter

if TYPE_CHECKING:
    from collections.abc import Generator

    from niquests import Response

    from keyturn.integrations._authorized_request import AuthorizedRequest


class _Request(PreparedRequest):
    """A prepared request that loses keyturn's headers when another URL is set.

    To follow a redirect, niquests copies a request, and then sets the URL of the copy. It calls the
    hook `pre_request` for the copy, which may then add keyturn's headers again.
    """

    authorized: AuthorizedRequest | None = None
    has_left = False

    @property
    def url(self) -> str | None:
        """The URL to send it to."""
        return cast("str | None", self.__dict__["url"])

    @url.setter
    def url(self, value: str | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self.replace_headers(None)
        self.__dict__["url"] = value

    def replace_headers(self, sent: AuthorizedRequest | None) -> None:
        """Replace keyturn's headers with others, or remove them."""
        for name, value in self.authorized.added if self.authorized else ():
            if self.headers.get(name) == value:
                del self.headers[name]
        self.headers.update(sent.added if sent else ())
        self.authorized = sent
        if sent:
            self.__dict__["url"] = sent.url

    def copy(self) -> PreparedRequest:
        """Return a copy to the same URL."""
        copied = _own(super().copy())
        copied.authorized, copied.has_left = self.authorized, self.has_left
        return copied


def _own(request: Any) -> _Request:
    request.__class__ = _Request
    return cast("_Request", request)


class _Base(Adapter):
    """The common base of both adapters, which differ in how they wait."""

    _client = "niquests"

    def _owned(self, request: Any) -> _Request:
        if not isinstance(request, PreparedRequest):
            self._refuse(request)
        return _own(request)

    def _may_mean_token(self, response: Response | AsyncResponse) -> AuthorizedRequest | None:
        """Return the sent request, if its response may refuse the token."""
        request = response.request
        sent: AuthorizedRequest | None = getattr(request, "authorized", None)
        # A hook of the caller may have replaced the token.
        if (
            sent
            and self._auth.needs_body(sent, response.status_code, response.headers)
            and is_sent(sent, request.headers, request.url or "")
        ):
            return sent
        return None


class KeyturnAuth(_Base, AuthBase):
    """Adds a connection's token, and the provider's own headers, to requests of `niquests.Session`.

    keyturn replaces a caller's `Authorization`, and `Accept: */*`, which niquests sends by
    default; it keeps all other headers of the caller. After a 401 for a refused token, keyturn
    renews the token and sends the request once more, and rewinds a file in its body. It returns the
    API's own response if the body can't be sent again, or if no other token is available.

    A redirected request has the added headers only if it leads to the API's origin, and no earlier
    redirect led elsewhere. This reads the whole body of a 401, also with `stream=True`.

    Args:
        connection: A connection, or the name of a configured one. An adapter made from a name can
            be pickled and copied.

    Raises:
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.ConfigurationError: Another library, or an `AsyncSession`, uses it.
        keyturn.errors.KeyturnError: No token can be acquired.
    """

    def __call__(self, r: PreparedRequest, *_: object) -> PreparedRequest:
        """Add the token to a request, and hooks for its redirects and responses."""
        request = self._owned(r)
        request.replace_headers(self._auth.authorize(*_arguments(request)))
        _register(request, self._sending, self._responded)
        return request

    def _sending(self, request: _Request) -> None:
        """Authorize a redirected request; niquests calls this before each request."""
        if request.authorized is None and not request.has_left:
            with _leaving(request):
                request.replace_headers(self._auth.authorize(*_arguments(request)))

    def _responded(self, response: Response, **options: Any) -> Response:
        """Return the response, or the response to the request with another token."""
        if isinstance(response, AsyncResponse):
            raise errors.ConfigurationError(
                "keyturn.integrations.niquests.KeyturnAuth is for niquests.Session, not for "
                "AsyncSession.",
                connection=self._auth.connection.name,
                hint="Use AsyncKeyturnAuth.",
            )
        if sent := self._may_mean_token(response):
            content = response.content or b""
            again = self._auth.reauthorize(sent, response.status_code, response.headers, content)
            if again and _rewound(response.request):
                _replace(response.request, again)
                response.close()
                retried: Response = response.connection.send(
                    response.request, **{**options, "multiplexed": False}
                )
                retried.history.append(response)
                return retried
        return response


class AsyncKeyturnAuth(_Base, AsyncAuthBase):
    """Adds a connection's token to requests of `niquests.AsyncSession`; see `KeyturnAuth`.

    Args:
        connection: A connection, or the name of a configured one. An adapter made from a name can
            be pickled and copied.

    Raises:
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.ConfigurationError: Another library uses it.
        keyturn.errors.KeyturnError: No token can be acquired.
    """

    async def __call__(self, r: PreparedRequest, *_: object) -> PreparedRequest:
        """Add the token to a request, and hooks for its redirects and responses."""
        request = self._owned(r)
        request.replace_headers(await self._auth.aauthorize(*_arguments(request)))
        _register(request, self._sending, self._responded)
        return request

    async def _sending(self, request: _Request) -> None:
        """Authorize a redirected request; niquests calls this before each request."""
        if request.authorized is None and not request.has_left:
            with _leaving(request):
                request.replace_headers(await self._auth.aauthorize(*_arguments(request)))

    async def _responded(self, response: AsyncResponse, **options: Any) -> AsyncResponse:
        """Return the response, or the response to the request with another token."""
        if sent := self._may_mean_token(response):
            content = await response.content or b""
            status, headers = response.status_code, response.headers
            again = await self._auth.areauthorize(sent, status, headers, content)
            if again and await _arewound(response.request):
                _replace(response.request, again)
                await response.close()
                retried: AsyncResponse = await response.connection.send(
                    response.request, **{**options, "multiplexed": False}
                )
                retried.history.append(response)
                return retried
        return response


def _arguments(request: _Request) -> tuple[str, str, dict[str, str], bytes | None]:
    """Return the arguments of `RequestAuth.authorize` for a request, without keyturn's headers."""
    request.replace_headers(None)
    body = request.body
    content = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else None
    given = b"" if body is None else content
    return request.method or "", request.url or "", dict(request.headers), given


def _register(request: _Request, sending: Any, responded: Any) -> None:
    for event, hook in (("pre_request", sending), ("response", responded)):
        if hook not in request.hooks[event]:
            request.register_hook(event, hook)


@contextlib.contextmanager
def _leaving(request: _Request) -> Generator[None]:
    try:
        yield
    except errors.ForeignOrigin:
        # Another host must not control requests with the token, so it is not added again.
        request.has_left = True


def _replace(request: Any, sent: AuthorizedRequest) -> None:
    # niquests calls no hook for a response to an adapter's `send`. A prepared request that is
    # sent once more by the caller may be renewed again.
    request.replace_headers(attrs.evolve(sent, is_renewed=False))


def _is_in_memory(request: PreparedRequest) -> bool:
    return isinstance(request.body, (bytes, str, type(None)))


def _rewound(request: PreparedRequest) -> bool:
    """Return whether the body can be sent again; this rewinds a file."""
    try:
        if not _is_in_memory(request):
            rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True


async def _arewound(request: PreparedRequest) -> bool:
    if inspect.iscoroutinefunction(getattr(request.body, "seek", None)):
        try:
            await arewind_body(request)
        except UnrewindableBodyError:
            return False
        return True
    return _rewound(request)
