"""The adapter for Scrapy: a downloader middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self
from weakref import WeakKeyDictionary

from scrapy.downloadermiddlewares.httpcompression import HttpCompressionMiddleware
from scrapy.settings.default_settings import DEFAULT_REQUEST_HEADERS
from scrapy.utils.asyncio import is_asyncio_available
from scrapy.utils.conf import build_component_list
from scrapy.utils.misc import load_object

from keyturn import errors
from keyturn.integrations._request_auth import RequestAuth, aapi_for

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Headers, Response

    from keyturn._connection import Connection
    from keyturn.integrations._authorized_request import AuthorizedRequest

# The keys of a request's `meta`.
_CONNECTION, _IS_RENEWED = "keyturn_connection", "keyturn_is_renewed"


class _Sent(NamedTuple):
    auth: RequestAuth
    authorized: AuthorizedRequest
    headers: Headers
    url: str


class KeyturnMiddleware:
    """Adds a connection's token, and the provider's own headers, to requests for its API.

    `DOWNLOADER_MIDDLEWARES = {"keyturn.integrations.scrapy.KeyturnMiddleware": 1000}` adds it. The
    setting `KEYTURN_CONNECTION` is the connection of all requests that lead to its API; all others
    are sent without it. `Request.meta["keyturn_connection"]` is the connection of one request,
    which must lead to its API, or None. Each is a connection, or the name of a configured one; a
    request with a name can be written to the disk.

    keyturn replaces a caller's `Authorization`, and the `Accept` of Scrapy's default settings; it
    keeps all other headers of the caller. After a 401 for a refused token, keyturn renews the token
    and schedules the request once more.

    The added headers are in the request only while it is sent: not when Scrapy copies it to
    redirect or retry it, logs it, or writes it to the HTTP cache or the job directory. A redirected
    request has them only if it leads to the API's origin, and no earlier redirect led elsewhere.

    Args:
        crawler: The crawler whose requests it authorizes.

    Raises:
        keyturn.errors.ConfigurationError: Another middleware is between it and the downloader,
            Scrapy does not use asyncio, or the setting is not a connection.
        keyturn.errors.ForeignOrigin: A request with its own connection does not lead to the
            API's origin (RFC 6454); it isn't sent.
        keyturn.errors.KeyturnError: No token can be acquired.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._auths: dict[Connection | str, RequestAuth] = {}
        self._sent: WeakKeyDictionary[Request, _Sent] = WeakKeyDictionary()
        self._decoder = HttpCompressionMiddleware(crawler=crawler)
        self._default: Connection | str | None = crawler.settings.get("KEYTURN_CONNECTION")
        if self._default is not None:
            self._auth(self._default)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Return the middleware of a crawler; Scrapy calls it.

        Raises:
            keyturn.errors.ConfigurationError: See the class.
        """
        if not is_asyncio_available():
            raise errors.ConfigurationError(
                "keyturn.integrations.scrapy needs asyncio, but Scrapy runs another reactor.",
                hint="Remove the setting TWISTED_REACTOR.",
            )
        known = crawler.settings.get_component_priority_dict_with_base("DOWNLOADER_MIDDLEWARES")
        listed = build_component_list(known)
        after = listed[[load_object(each) for each in listed].index(cls) + 1 :]
        if after:
            raise errors.ConfigurationError(
                f"the downloader middleware {after[-1]} comes after {cls.__name__}, and would get "
                "requests with a token.",
                hint="Give KeyturnMiddleware the highest number of DOWNLOADER_MIDDLEWARES.",
            )
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Add the token to a request that may have it.

        Raises:
            keyturn.errors.KeyturnError: See the class.
        """
        chosen = request.meta.get(_CONNECTION, self._default)
        if chosen is None:
            return
        auth, given = self._auth(chosen), request.headers
        redirected_from: list[str] = request.meta.get("redirect_urls", [])
        try:
            # Another host must not control requests with the token, so it is not added again.
            for url in redirected_from:
                await aapi_for(auth, url)
            authorized = await auth.aauthorize(
                request.method, request.url, _plain(given), request.body
            )
        except errors.ForeignOrigin:
            if _CONNECTION in request.meta and not redirected_from:
                raise
            return
        self._sent[request] = _Sent(auth, authorized, given, request.url)
        request.headers = given.copy()
        request.headers.update(authorized.added)
        if authorized.query:
            _set_url(request, authorized.url)

    async def process_response(self, request: Request, response: Response) -> Request | Response:
        """Return a response, or after a 401 for a refused token the request once more."""
        sent = self._restore(request)
        is_renewed = request.meta.pop(_IS_RENEWED, False)
        if sent is None:
            return response
        if sent.authorized.query:
            response = response.replace(url=request.url)
        status, headers = response.status, _plain(response.headers)
        if not is_renewed and sent.auth.needs_body(sent.authorized, status, headers):
            decoded = self._decoder.process_response(request, response.copy())
            if await sent.auth.areauthorize(sent.authorized, status, headers, decoded.body):
                meta = {**request.meta, _IS_RENEWED: True}
                return request.replace(dont_filter=True, meta=meta)
        return response

    def process_exception(self, request: Request, exception: Exception) -> None:  # noqa: ARG002 - Scrapy's
        """Remove the added headers of a request that failed; Scrapy may send it again."""
        self._restore(request)

    def _auth(self, connection: Connection | str) -> RequestAuth:
        if connection not in self._auths:
            self._auths[connection] = RequestAuth(connection)
        return self._auths[connection]

    def _restore(self, request: Request) -> _Sent | None:
        """Remove the added headers of a request; return None if there are none."""
        sent = self._sent.pop(request, None)
        if sent:
            request.headers = sent.headers
            if sent.authorized.query:
                _set_url(request, sent.url)
        return sent


def _plain(headers: Headers) -> dict[str, str]:
    """Return headers as strings, without the `Accept` of Scrapy's default settings."""
    plain = {str(name): str(value) for name, value in headers.to_unicode_dict().items()}
    if plain.get("Accept") == DEFAULT_REQUEST_HEADERS["Accept"]:
        plain["Accept"] = "*/*"
    return plain


def _set_url(request: Request, url: str) -> None:
    # A request that a middleware returns instead is scheduled, logged and written to the disk.
    request._set_url(url)  # noqa: SLF001 - no public way changes the request that is sent
