"""urllib3 through a proxy."""

from __future__ import annotations

import pickle
import socket
import threading
from typing import Any
from urllib.parse import quote

import pytest
import urllib3

import keyturn
from keyturn.integrations.urllib3 import KeyturnProxyManager

CANARY = "made-up-token-canary"
# A name that only the proxy knows; the proxy of these tests is the API too.
API = "http://localhost:9"


@pytest.fixture
def http(connect: Any, api: Any) -> KeyturnProxyManager:
    """Yield a manager whose proxy is the `api` fixture."""
    return KeyturnProxyManager(connect(api_url=API), api.url, timeout=10)


def test_request_through_a_proxy_is_renewed(http: KeyturnProxyManager, api: Any) -> None:
    """A program behind a proxy could not call the API, or would get the 401."""
    with http:
        assert http.request("GET", f"{API}/x?a=b").data == b"fine: "
        api.forget_tokens()
        reply = http.request("POST", f"{API}/x", body=b"body")
    assert (reply.status, reply.data, api.token_requests) == (200, b"fine: body", 2)
    assert [each.path for each in api.api_requests] == [f"{API}/x?a=b", f"{API}/x", f"{API}/x"]
    assert api.api_requests[0].headers["applicationid"] == "1042"


def test_other_origins_are_rejected(http: KeyturnProxyManager, api: Any) -> None:
    """The proxy would send the token to another host."""
    with http, pytest.raises(keyturn.errors.ForeignOrigin):
        http.request("GET", "http://localhost:99/x")
    assert api.requests == []


def test_redirect_through_a_proxy_is_handled_like_any_other(
    http: KeyturnProxyManager, api: Any
) -> None:
    """The target of a redirect would get the token, or the API's own redirect would lack it."""
    with http:
        for to in ("http://elsewhere.example/open", f"{API}/x"):
            url = f"{API}/redirect?status=307&to={quote(to, safe='')}"
            assert http.request("GET", url).status == 200
    foreign = [each for each in api.api_requests if "elsewhere.example/" in each.path[:30]]
    assert len(foreign) == 1
    assert CANARY not in str(foreign)
    assert api.api_requests[-1].headers["authorization"] == f"Bearer {CANARY}-1"


def test_proxy_sees_no_token_in_a_tunnel(connect: Any) -> None:
    """The proxy would see the token of an API with https."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            client, _ = listener.accept()
            with client:
                received.append(client.recv(65536))
                client.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        connection = connect(api_url="https://shop.example")
        with (
            KeyturnProxyManager(connection, proxy, retries=False, timeout=10) as http,
            pytest.raises(urllib3.exceptions.ProxyError),
        ):
            http.request("GET", "https://shop.example/x")
        thread.join()
    assert received[0].startswith(b"CONNECT shop.example:443 ")
    assert CANARY.encode() not in received[0]
    assert b"pplication" not in received[0]


def test_forwarding_of_https_is_rejected(connect: Any) -> None:
    """The proxy would see the token of an API with https."""
    with pytest.raises(keyturn.errors.ConfigurationError, match="use_forwarding_for_https"):
        KeyturnProxyManager(connect(), "http://127.0.0.1:9", use_forwarding_for_https=True)


def test_copies_of_a_manager_made_from_a_name_work() -> None:
    """A worker could not copy the manager, or its copy would bypass the proxy."""
    made = KeyturnProxyManager("shop", "http://127.0.0.1:9", proxy_headers={"X-Who": "made-up"})
    copied = pickle.loads(pickle.dumps(made))  # noqa: S301 - pickled here
    assert (copied.proxy.url, copied.proxy_headers) == (made.proxy.url, {"X-Who": "made-up"})
