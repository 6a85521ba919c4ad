"""Access to `keyturn serve`: the session secret, `Host` and `Origin`."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

ENDPOINTS = (
    "/", "/metrics", "/shop/v1/echo", "/-/token/shop", "/-/auth/shop", "/-/azure/shop",
    "/-/azure?resource=shop", "/-/google/shop/computeMetadata/v1/instance/service-accounts/default",
    "/-/exec-credential/shop", "/-/nothing", "/nothing/x", "/-/token/nothing", "/shop",
    "/-/auth/nothing/x",
)  # fmt: skip


def raw(url: str, head: bytes) -> bytes:
    """Return the response to a raw request, which no HTTP client would send."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), 20) as connection:
        connection.sendall(head)
        response = b""
        while chunk := connection.recv(65_536):
            response += chunk
    return response


@pytest.mark.parametrize("secret", [None, "", "wrong", "made-up-session-secre", "ü"])
def test_names_cannot_be_enumerated(served: Any, api: Any, secret: str | None) -> None:
    """A caller without the secret could find out which connections exist."""
    sent = (
        {} if secret is None else {"X-Keyturn-Secret": secret.encode(), "Authorization": "Bearer x"}
    )
    issued = api.issued
    with served.client(has_secret=False) as client:
        responses = [client.get(path, headers=sent) for path in ENDPOINTS]
        responses += [
            client.post(p, headers=sent) for p in ("/-/refused/shop", "/-/refused/no", "/-/do")
        ]
        responses += [client.get(f"/{secret or 'wrong'}/shop/v1/echo")]
    assert {(each.status_code, each.text, str(each.headers)) for each in responses} == {
        (404, responses[0].text, str(responses[0].headers))
    }
    assert api.issued == issued


def test_an_unknown_connection_looks_like_a_wrong_secret(client: httpx.Client, served: Any) -> None:
    """The response would show that the secret was right, or that the name exists."""
    with served.client(has_secret=False) as other:
        wrong = other.get("/nothing/x")
    for path in (
        "/nothing/x",
        "/-/token/nothing",
        "/-/auth/nothing",
        "/-/azure/nothing",
        "/-/nothing",
    ):
        known = client.get(path)
        assert (known.status_code, known.content) == (wrong.status_code, wrong.content)


@pytest.mark.parametrize(
    "present",
    [
        lambda s: ("", {"X-Keyturn-Secret": s}),
        lambda s: ("", {"Authorization": f"Bearer {s}"}),
        lambda s: ("", {"X-IDENTITY-HEADER": s}),
        lambda s: (f"/{s}", {}),
        lambda s: (f"/{s}", {"Authorization": "Bearer the-user's-own"}),
    ],
)
def test_secret_is_accepted_in_each_documented_place(
    served: Any, api: Any, present: Callable[[str], tuple[str, dict[str, str]]]
) -> None:
    """A program that can set only headers, or only a URL, could not use the agent."""
    prefix, headers = present(served.secret)
    api.arrived.clear()
    with served.client(has_secret=False, headers=headers) as client:
        assert client.get(f"{prefix}/-/token/shop").status_code == 200
        assert client.get(f"{prefix}/shop/v1/echo").status_code == 200
        assert client.get(f"{prefix}/").status_code == 200
    [arrived] = api.arrived
    assert arrived.path == "/v1/echo"
    assert served.secret not in str(arrived.headers)


def test_secret_alone_leads_to_the_status_page(served: Any) -> None:
    """A URL without a trailing slash would show a page with broken links."""
    with served.client(has_secret=False, follow_redirects=True) as client:
        response = client.get(f"/{served.secret}")
    assert response.url.path == f"/{served.secret}/"
    assert "<table>" in response.text


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", ""]
)
def test_foreign_host_header_is_rejected(client: httpx.Client, served: Any, host: str) -> None:
    """A web page could read tokens by DNS rebinding to 127.0.0.1."""
    port = urlsplit(served.url).port
    for path in ENDPOINTS:
        response = client.get(path, headers={"Host": host.format(port=port)})
        assert response.status_code == 421


def test_localhost_is_accepted_as_host(client: httpx.Client, served: Any) -> None:
    """A program with the URL http://localhost:… could not use the agent."""
    headers = {"Host": f"LOCALHOST:{urlsplit(served.url).port}"}
    assert client.get("/-/token/shop", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_web_pages_of_other_origins_are_rejected(
    client: httpx.Client, api: Any, headers: dict[str, str]
) -> None:
    """A web page in the user's browser could use a leaked URL."""
    for path in ENDPOINTS:
        assert client.get(path, headers=headers).status_code == 403
    assert client.post("/-/do", headers=headers).status_code == 403
    assert not api.arrived


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://127.0.0.1/shop/v1/echo HTTP/1.1",
        b"GET http://evil.example/shop/v1/echo HTTP/1.1",
        b"CONNECT evil.example:443 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET shop/v1/echo HTTP/1.1",
    ],
)
def test_target_that_is_not_a_path_is_rejected(served: Any, api: Any, line: bytes) -> None:
    """A request in absolute form could send the token to another origin."""
    api.arrived.clear()
    host = urlsplit(served.url).netloc.encode()
    head = b"%s\r\nHost: %s\r\nX-Keyturn-Secret: %s\r\nConnection: close\r\n\r\n"
    response = raw(served.url, head % (line, host, served.secret.encode()))
    assert response.split()[1] == b"400"
    assert not api.arrived


def test_head_that_is_too_large_is_rejected(served: Any) -> None:
    """A client could fill the memory with headers."""
    response = raw(served.url, b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 70_000)
    assert response.split()[1] == b"400"


def test_body_that_is_too_large_is_rejected(client: httpx.Client) -> None:
    """A client could fill the memory with a body for the agent's own pages."""
    for path in ("/-/refused/shop", "/-/credential-helper/shop", "/-/do"):
        assert client.post(path, content=b"a" * 70_000).status_code == 413


def test_method_of_each_path_is_checked(client: httpx.Client) -> None:
    """A link could renew or revoke a token."""
    for path in ("/-/do", "/-/refused/shop", "/-/credential-helper/shop"):
        assert client.get(path).status_code == 405
