"""The reverse proxy of `keyturn serve`, with an API on loopback."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def test_request_gets_a_token(client: httpx.Client, api: Any) -> None:
    """A program without code for tokens could not call the API."""
    response = client.post("/shop/v1/echo?a=1&b=%2F", content=b"hello", headers={"X-Mine": "1"})
    assert (response.status_code, response.content) == (200, b"hello")
    [arrived] = api.arrived
    assert (arrived.method, arrived.path, arrived.body) == ("POST", "/v1/echo?a=1&b=%2F", b"hello")
    assert arrived.headers["authorization"].removeprefix("Bearer ") in api.valid
    assert arrived.headers["host"] == urlsplit(api.url).netloc
    assert arrived.headers["x-mine"] == "1"


def test_hop_by_hop_headers_are_removed(client: httpx.Client, api: Any) -> None:
    """A header for the agent, or the client's own token, would reach the API."""
    mine = {
        "Connection": "X-Hop, keep-alive",
        "X-Hop": "1",
        "TE": "trailers",
        "Proxy-Authorization": "Basic abc",
        "Authorization": "Bearer mine",
        "X-Keyturn-Refused": "nothing",
        "Expect": "100-continue",
        "X-End": "2",
    }
    response = client.get(
        "/shop/v1/hops",
        headers=[*mine.items(), ("Cookie", "a=1"), ("Cookie", "b=2"), ("X-End", "3")],
    )
    [arrived] = api.arrived
    passed = {name.lower() for name in mine} & {*arrived.headers}
    assert passed == {"authorization", "x-end"}
    assert "mine" not in arrived.headers["authorization"]
    assert (arrived.headers["cookie"], arrived.headers["x-end"]) == ("a=1; b=2", "2, 3")
    assert response.headers["x-api"] == "2"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert not {"x-hop", "keep-alive"} & {*response.headers}


def test_cookies_belong_to_the_client(served: Any, api: Any, client: httpx.Client) -> None:
    """One client's session at the API would be used by another client."""
    assert client.get("/shop/v1/hops").headers["set-cookie"] == "a=1"
    api.arrived.clear()
    with served.client() as other:
        other.get("/shop/v1/echo")
    assert "cookie" not in api.arrived[0].headers


@pytest.mark.parametrize(("name", "method"), [("a", "GET"), ("b", "POST")])
def test_rejected_token_is_replaced(client: httpx.Client, api: Any, name: str, method: str) -> None:
    """A token that was revoked would fail every request until it expires."""
    client.get(f"/{name}/v1/echo")
    api.revoke()
    api.arrived.clear()
    response = client.request(
        method, f"/{name}/v1/echo", content=b"again" if method == "POST" else None
    )
    assert response.status_code == 200
    assert [each.body for each in api.arrived] == [b"again" if method == "POST" else b""] * 2
    counted = f'keyturn_proxy_repeated_requests_total{{connection="{name}"}} 1.0'
    assert counted in client.get("/metrics").text


def parts(size: int) -> Iterator[bytes]:
    """Yield the parts of a body."""
    for _ in range(size // 65_536):
        yield b"a" * 65_536


@pytest.mark.parametrize(("size", "status"), [(131_072, 200), (2_097_152, 401)])
def test_streamed_body_is_repeated_up_to_a_limit(
    client: httpx.Client, api: Any, size: int, status: int
) -> None:
    """A body would be missing in the second request, or fill the memory."""
    client.get("/c/v1/echo")
    api.revoke()
    api.arrived.clear()
    response = client.post("/c/v1/echo", content=parts(size))
    assert response.status_code == status
    assert all(len(each.body) == size for each in api.arrived)
    assert ("x-keyturn-not-repeated" in response.headers) == (status == 401)
    # The token is renewed in both cases.
    assert client.get("/c/v1/echo").status_code == 200


def test_401_for_another_reason_renews_nothing(client: httpx.Client, api: Any) -> None:
    """Every forbidden request would renew the token."""
    assert client.get("/layer/v1/echo").status_code == 200
    issued = api.issued
    response = client.get("/layer/v1/forbidden")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (401, "UNAUTHORIZED")
    assert "does not refuse the token" in response.headers["x-keyturn-not-repeated"]
    assert api.issued == issued


@pytest.mark.parametrize("what", ["broken", "long"])
def test_second_401_is_returned(client: httpx.Client, api: Any, what: str) -> None:
    """A request would be repeated forever, or a response that can't be decoded would fail."""
    api.arrived.clear()
    with client.stream("GET", f"/d/v1/{what}") as response:
        length = len(b"".join(response.iter_raw()))
    assert (response.status_code, length) == (401, {"broken": 7, "long": 1_200_000}[what])
    assert "already repeated once" in response.headers["x-keyturn-not-repeated"]
    assert len(api.arrived) == 2


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/x", "/@evil.example/", "/%2F%2Fevil.example/", "/a%2Fb", "/:1/x",
        "/http://evil.example/",
        "/\\evil.example/", "/x?url=http://evil.example/../", "/x/", "/", "/%zz", "/a;b=c",
    ],
)  # fmt: skip
def test_targets_stay_at_the_origin_unchanged(
    client: httpx.Client, served: Any, api: Any, target: str
) -> None:
    """A path could send the token to another host, or be changed."""
    client.get("/shop/v1/echo")
    api.arrived.clear()
    response = _get(served, f"/shop{target}")
    assert b" 200 " in response
    assert [each.path for each in api.arrived] == [target]


@pytest.mark.parametrize(
    "target",
    ["/a/../b", "/..", "/./a", "/%2e%2E/a", "/a/..%2fb", "/a\\..\\b", "/.%2e", "/..;a/b", "/..%3B"],
)
def test_dot_segments_in_a_path_are_rejected(served: Any, api: Any, target: str) -> None:
    """A path could mean another connection for a server that resolves it."""
    api.arrived.clear()
    assert b" 400 " in _get(served, f"/shop{target}")
    assert not api.arrived


def _get(served: Any, target: str) -> bytes:
    """Return the head of the response to a GET request with an unchanged target."""
    address = urlsplit(served.url)
    fields = [f"Host: {address.netloc}", f"X-Keyturn-Secret: {served.secret}", "Connection: close"]
    head = "\r\n".join([f"GET {target} HTTP/1.1", *fields, "", ""])
    with socket.create_connection((address.hostname, address.port), 20) as connection:
        connection.sendall(head.encode())
        return connection.makefile("rb").readline()


def test_websocket_is_rejected(client: httpx.Client, api: Any) -> None:
    """A program would wait for a protocol that the agent does not forward."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    response = client.get("/shop/v1/echo", headers=upgrade)
    assert response.status_code == 501
    assert "WebSocket is not supported" in response.text
    assert not api.arrived
    other = client.get("/shop/v1/echo", headers={"Connection": "Upgrade", "Upgrade": "h2c"})
    assert other.status_code == 200


def test_response_is_streamed(client: httpx.Client, api: Any) -> None:
    """A stream of events would arrive only at its end."""
    with client.stream("GET", "/shop/v1/parts") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"first"
        api.gate.set()
        assert b"".join(chunks) == b"second"


def test_request_is_streamed(client: httpx.Client, api: Any) -> None:
    """A large upload would be held in memory."""
    response = client.put("/shop/v1/echo", content=parts(4_194_304))
    assert len(response.content) == 4_194_304
    assert api.arrived[-1].headers["transfer-encoding"] == "chunked"


def test_client_that_disconnects_ends_its_request(
    served: Any, client: httpx.Client, api: Any, wait_until: Callable[..., None]
) -> None:
    """A request would continue at the API after its client has disconnected."""
    with client.stream("GET", "/f/v1/parts") as response:
        next(response.iter_raw())
    counted = 'keyturn_proxy_requests_total{connection="f",status="200"} 1.0'
    # The API has not finished its response yet.
    wait_until(lambda: counted in client.get("/metrics").text)
    address = urlsplit(served.url)
    fields = [f"Host: {address.netloc}", f"X-Keyturn-Secret: {served.secret}", "Content-Length: 9"]
    head = "\r\n".join(["POST /shop/v1/echo HTTP/1.1", *fields, "", "only"])
    with socket.create_connection((address.hostname, address.port), 20) as connection:
        connection.sendall(head.encode())
    api.gate.set()
    assert client.get("/shop/v1/echo").status_code == 200


def test_response_that_ends_early_is_cut_off(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A client would take a part of a response for the whole, or the agent would be blamed."""
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("GET", "/shop/v1/short") as response,
    ):
        response.read()
    assert "the API did not complete a response" in caplog.text
    assert "please report" not in caplog.text


@pytest.mark.parametrize(
    ("method", "drops", "status"),
    [("GET", 1, 200), ("GET", 2, 502), ("POST", 1, 502), ("PUT", 1, 200)],
)
def test_request_is_repeated_on_a_closed_connection_only_if_safe(
    client: httpx.Client, api: Any, method: str, drops: int, status: int
) -> None:
    """A repeatable request would be lost, or a request that changes data would be sent twice."""
    client.get("/shop/v1/echo")
    api.arrived.clear()
    api.drop = drops
    response = client.request(method, "/shop/v1/echo", content=b"x" if method != "GET" else None)
    assert response.status_code == status
    assert len(api.arrived) == (1 if method == "POST" else 2)


def test_response_to_head_has_no_body(client: httpx.Client) -> None:
    """A client would wait for a body."""
    assert client.head("/shop/v1/echo").status_code == 200


def test_many_rejected_requests_renew_the_token_once(
    client: httpx.Client, served: Any, api: Any
) -> None:
    """Each of several requests with a rejected token would renew it."""
    client.get("/e/v1/echo")
    api.revoke()
    issued, statuses = api.issued, []

    def get() -> None:
        with served.client() as one:
            statuses.append(one.get("/e/v1/echo").status_code)

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert api.issued == issued + 1


def test_requests_are_signed_over_their_body(
    tmp_path: Path, api: Any, serve: Callable[..., Any]
) -> None:
    """A signature would be of another body, or a large body would fill the memory."""
    api.arrived.clear()
    digest = "{request.method} {request.path} {request.body}."
    extra = f'api_headers = {{ "X-Digest" = "{digest}" }}\n'
    agent = serve(tmp_path / "keyturn.toml", "shop", extra=extra)
    with agent.client() as client:
        assert client.post("/shop/v1/echo", content=b"abc").content == b"abc"
        assert client.get("/shop/v1/echo").status_code == 200
        assert client.post("/shop/v1/echo", content=parts(2_097_152)).status_code == 413
        forward = client.get("/-/auth/shop")
    assert forward.status_code == 500
    assert "reverse proxy" in forward.text
    signed = [each.headers["x-digest"] for each in api.arrived]
    assert signed == ["POST /v1/echo abc.", "GET /v1/echo ."]


def test_token_in_the_query_is_sent_and_renewed(
    tmp_path: Path, api: Any, serve: Callable[..., Any]
) -> None:
    """A token would be sent where the API does not read it, or not be renewed."""
    api.arrived.clear()
    extra = 'authorization_query = "t"\nrejected_status = [403]\nrejected_codes = ["expired"]\n'
    agent = serve(tmp_path / "keyturn.toml", "shop", extra=extra)
    with agent.client() as client:
        client.get("/shop/v1/codes?a=1")
        assert client.get("/shop/v1/codes").json() == {"fine": True}
        api.revoke()
        response = client.get("/shop/v1/codes")
        assert response.json() == {"fine": True}
        assert "x-keyturn-not-repeated" not in response.headers
    assert api.arrived[0].path.startswith("/v1/codes?a=1&t=made-up-token-")
    assert len(api.arrived) == 4
