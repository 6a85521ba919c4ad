"""HTTP clients whose requests get a response at once, without any network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bench.floors import Slot
from bench.peers._peer import AsyncRequests, Requests

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    import httpx
    import requests
    from requests.adapters import HTTPAdapter

    from bench.peers._apis import Api

TOKEN = {"Authorization": "Bearer made-up"}


def httpx_requests(api: Api, client: httpx.Client) -> Requests:
    """Return requests of a client that adds the token, and of clients with all headers set."""
    return Requests(*_httpx_requests(api, client))


def async_httpx_requests(api: Api, client: httpx.AsyncClient) -> AsyncRequests:
    """Return the same as `httpx_requests`, for `httpx.AsyncClient`."""
    return AsyncRequests(*_httpx_requests(api, client))


def _httpx_requests(api: Api, client: Any) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """Return the requests of a client of either kind, and those of others of the same kind."""
    import httpx

    kind = httpx.AsyncClient if isinstance(client, httpx.AsyncClient) else httpx.Client

    def new_client(**options: Any) -> Any:
        return kind(transport=instant_transport(), **options)

    headers, url = TOKEN | dict(api.headers), api.url
    on_client = new_client(headers=headers)
    plain = new_client()
    static, checked = (new_client(auth=auth) for auth in _auths(headers, httpx.URL(url)))
    return (
        lambda: client.get(url),
        (
            lambda: on_client.get(url),
            lambda: plain.get(url, headers=headers),
            lambda: static.get(url),
        ),
        (lambda: checked.get(url),),
    )


def instant_transport() -> httpx.MockTransport:
    """Return an httpx transport that responds 200 at once."""
    import httpx

    return httpx.MockTransport(lambda _: httpx.Response(200))


def requests_requests(api: Api, session: requests.Session) -> Requests:
    """Return requests of a session that adds the token, and of sessions with all headers set."""
    import requests

    headers, url = TOKEN | dict(api.headers), api.url
    on_session, plain, with_auth = requests.Session(), requests.Session(), requests.Session()
    session.headers.update(api.headers)
    on_session.headers.update(headers)
    with_auth.auth = _requests_auth(headers)
    for each in (session, on_session, plain, with_auth):
        # requests reads .netrc and the environment's proxies at every request otherwise.
        each.trust_env = False
        each.mount(url, _instant_adapter())
    return Requests(
        lambda: session.get(url),
        (
            lambda: on_session.get(url),
            lambda: plain.get(url, headers=headers),
            lambda: with_auth.get(url),
        ),
    )


def _auths(headers: Mapping[str, str], url: httpx.URL) -> tuple[httpx.Auth, httpx.Auth]:
    """Return an `Auth` that sets headers, and one that checks an origin and an expiry before."""
    import httpx

    class Static(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
            for name, value in headers.items():
                request.headers[name] = value
            yield request

    slot = Slot()
    home = url.scheme, url.host, url.port

    class Checked(httpx.Auth):
        def sync_auth_flow(
            self, request: httpx.Request
        ) -> Generator[httpx.Request, httpx.Response]:
            self._authorize(request)
            yield request

        async def async_auth_flow(
            self, request: httpx.Request
        ) -> AsyncGenerator[httpx.Request, httpx.Response]:
            self._authorize(request)
            yield request

        def _authorize(self, request: httpx.Request) -> None:
            url, snapshot = request.url, slot.snapshot
            at_home = (url.scheme, url.host, url.port) == home
            if at_home and time.monotonic() < snapshot.expires_at:
                for name, value in headers.items():
                    request.headers[name] = value

    return Static(), Checked()


def _requests_auth(headers: Mapping[str, str]) -> Callable[[Any], Any]:
    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(headers)
        return request

    return authorize


def _instant_adapter() -> HTTPAdapter:
    import io

    import urllib3
    from requests.adapters import HTTPAdapter

    class Instant(HTTPAdapter):
        """Responds 200 at once."""

        def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
            response = urllib3.HTTPResponse(io.BytesIO(b""), status=200, preload_content=False)
            return self.build_response(request, response)

    return Instant()
