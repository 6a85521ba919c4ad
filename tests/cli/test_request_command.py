"""`keyturn request`: an API request with a token."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING

import pytest

from keyturn._cli import main

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import RawServer

    from keyturn.testing import Emulator

    from .conftest import Result

    Keyturn = Callable[..., Result]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "provider", ["norce-commerce", "norce-storm", "orocommerce", "commercelayer"]
)
def test_path_is_relative_to_the_api(
    emulator: Emulator,
    configure: Callable[..., Path],
    keyturn: Keyturn,
    provider: str,
    slash: str,
) -> None:
    """Other output would be mixed with the body, and `| jq` would fail."""
    configure(x={"provider": provider, **emulator.settings(provider)})

    result = keyturn("request", "x", "get", slash + emulator.resource(provider).lstrip("/"))

    assert result.code == 0, result.err
    assert result.err == "HTTP 200 OK\n"
    assert json.loads(result.out)


@pytest.mark.usefixtures("shop")
def test_absolute_url_of_the_api_is_accepted(emulator: Emulator, keyturn: Keyturn) -> None:
    """A next-page link, which is an absolute URL, could not be requested."""
    url = emulator.settings("orocommerce")["url"]

    assert keyturn("request", "shop", "GET", f"{url}/admin/api/users?page=2").code == 0


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "url",
    ["https://evil.example/", "http://127.0.0.1:1/x", "ftp://x/", "http://[", "https://x:99999/"],
)
def test_url_of_another_origin_is_rejected(emulator: Emulator, keyturn: Keyturn, url: str) -> None:
    """A link that an attacker put into the data would get the token."""
    result = keyturn("request", "shop", "GET", url)

    assert (result.code, result.out) == (2, "")
    assert "the token was not attached" in result.err
    assert emulator.token_requests("orocommerce") == 0


@pytest.mark.usefixtures("shop")
def test_data_and_headers_are_sent(emulator: Emulator, keyturn: Keyturn) -> None:
    """A request that changes data would lack its body or its content type."""
    arguments = ["-d", '{"a": 1}', "-H", "Content-Type: text/x", "-H", "Accept:text/y"]

    keyturn("request", "shop", "POST", "users", *arguments)

    received = emulator.requests("orocommerce")[-1]
    assert (received.method, received.body) == ("POST", b'{"a": 1}')
    headers = {name.lower(): value for name, value in received.headers.items()}
    assert (headers["content-type"], headers["accept"]) == ("text/x", "text/y")


@pytest.mark.usefixtures("shop")
def test_data_comes_from_a_file_or_from_standard_input(
    emulator: Emulator, keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Large or secret data would have to be in the arguments, or have a wrong content type."""
    file = tmp_path / "order.json"
    file.write_bytes(b'{"a": 1}\n')
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a=\xff\r\n")))

    for data in f"@{file}", "@-", "[]", "plain":
        keyturn("request", "shop", "POST", "users", "--data", data)
    keyturn("request", "shop", "POST", "users", "-d", "{}", "-H", "content-type: text/x")

    received = [
        (each.body, dict(each.headers).get("content-type"))
        for each in emulator.requests("orocommerce")
        if b"grant_type" not in each.body
    ]
    assert received == [
        (b'{"a": 1}\n', "application/json"),
        (b"a=\xff\r\n", None),
        (b"[]", "application/json"),
        (b"plain", None),
        (b"{}", "text/x"),
    ]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("name", ["nonesuch", "x\0", ""])
def test_data_that_cannot_be_read_is_reported(
    emulator: Emulator, keyturn: Keyturn, name: str
) -> None:
    """A request would be sent without its body."""
    result = keyturn("request", "shop", "POST", "users", "-d", f"@{name}")

    assert (result.code, result.out) == (2, "")
    assert "of --data can't be read" in result.err
    assert not emulator.requests("orocommerce")


@pytest.mark.usefixtures("shop")
def test_error_of_the_api_is_an_error_of_the_command(keyturn: Keyturn) -> None:
    """A script would not notice the failure, or would not see the API's response."""
    result = keyturn("request", "shop", "GET", "no/such/thing")

    assert (result.code, result.err) == (1, "HTTP 404 Not Found\n")


@pytest.mark.parametrize("path", ["users", "users?\x00"])
def test_api_that_cannot_be_reached_is_reported(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn, path: str
) -> None:
    """A user would check the credentials, not the network; or an error would show the token."""
    settings = emulator.settings("orocommerce") | {"api_url": "http://127.0.0.1:1/api"}
    configure(x={"provider": "orocommerce", **settings})

    result = keyturn("request", "x", "GET", path)

    assert (result.code, result.out) == (5, "")
    assert "keyturn: x: the API request failed: " in result.err


@pytest.mark.parametrize("header", ["Accept", ":x", "a: \n", "ä: x"])
def test_malformed_header_is_a_usage_error(keyturn: Keyturn, header: str) -> None:
    """A request would be sent without the header."""
    result = keyturn("request", "x", "GET", "users", "-H", header)

    assert result.code == 2
    assert "argument -H/--header" in result.err


def test_reason_phrase_of_a_server_cannot_control_a_terminal_or_show_a_token(
    serve: Callable[..., RawServer],
    http_response: Callable[..., bytes],
    configure: Callable[..., Path],
    keyturn: Keyturn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An API could clear the screen, or get the token into a recording of the terminal.

    The shell's prompt would follow a body without a line break at its end.
    """
    token = "the-token-itself"

    def response(server: RawServer, connection: socket.socket) -> None:
        if b"/token" in server.read_request(connection).split()[1]:
            fields = {"access_token": token, "token_type": "Bearer", "expires_in": 60}
            connection.sendall(http_response(fields))
        else:
            reason = f"\x1b[2J {base64.b64encode(token.encode()).decode()}"
            body = "a\x1b[2J\u202e\né"
            length = len(body.encode())
            head = f"HTTP/1.1 200 {reason}\r\nContent-Length: {length}\r\n\r\n"
            connection.sendall((head + body).encode())

    origin = f"http://127.0.0.1:{serve(response).port}"
    settings = {"url": origin, "client_id": "x", "client_secret": "made-up"}
    configure(x={"provider": "orocommerce", **settings, "token_url": f"{origin}/token"})
    result = keyturn("request", "x", "GET", "users")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = keyturn("request", "x", "GET", "users")

    assert result.err == shown.err == "HTTP 200 \\x1b[2J [hidden]==\n"
    assert result.out == "a\x1b[2J\u202e\né"
    assert shown.out == "a\\x1b[2J\\u202e\né\n"


@pytest.mark.usefixtures("shop")
def test_invalid_arguments_are_reported_without_values_and_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A secret header value would be shown, or an argument could control the terminal."""
    for arguments in (["-H", "X-Key: s3cret\x1b[2J"], ["\x1b[2J"]):
        with pytest.raises(SystemExit):
            main(["request", "shop", "GET", "users", *arguments])
        shown = capsys.readouterr().err
        assert "s3cret" not in shown
        assert "\x1b" not in shown
