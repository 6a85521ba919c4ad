"""HTTP clients whose requests are answered at once, without any network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    import requests
    from requests.adapters import HTTPAdapter

    from bench.peers._peer import AsyncCall, Call, Endpoint

STATIC = {"Authorization": "Bearer made-up"}


def httpx_calls(endpoint: Endpoint, auth: httpx.Auth) -> tuple[Call, Call]:
    """Return an httpx request with `auth`, and one with a static header."""
    import httpx

    transport, url = instant_transport(), endpoint.api_url
    client = httpx.Client(transport=transport, auth=auth)
    static = httpx.Client(transport=transport, headers=STATIC)
    return lambda: client.get(url), lambda: static.get(url)


def async_httpx_calls(endpoint: Endpoint, auth: httpx.Auth) -> tuple[AsyncCall, AsyncCall]:
    """Return the same as `httpx_calls`, for `httpx.AsyncClient`."""
    import httpx

    transport, url = instant_transport(), endpoint.api_url
    client = httpx.AsyncClient(transport=transport, auth=auth)
    static = httpx.AsyncClient(transport=transport, headers=STATIC)
    return lambda: client.get(url), lambda: static.get(url)


def instant_transport() -> httpx.MockTransport:
    """Return an httpx transport that responses 200 at once."""
    import httpx

    return httpx.MockTransport(lambda _: httpx.Response(200))


def requests_calls(endpoint: Endpoint, session: requests.Session) -> tuple[Call, Call]:
    """Return a request of a prepared `requests.Session`, and one with a static header."""
    import requests

    static = requests.Session()
    static.headers.update(STATIC)
    for each in (session, static):
        # A .netrc or a proxy of the environment is looked up at every request otherwise.
        each.trust_env = False
        each.mount(endpoint.api_url, _instant_adapter())
    url = endpoint.api_url
    return lambda: session.get(url), lambda: static.get(url)


def _instant_adapter() -> HTTPAdapter:
    import io

    import urllib3
    from requests.adapters import HTTPAdapter

    class Instant(HTTPAdapter):
        """Answers 200 at once."""

        def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
            response = urllib3.HTTPResponse(io.BytesIO(b""), status=200, preload_content=False)
            return self.build_response(request, response)

    return Instant()
