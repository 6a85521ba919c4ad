"""`keyturn token --refused -` and `--format headers`, which scripts use after a 401."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from keyturn._token import Token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.testing import Emulator

    from .conftest import Result

    Keyturn = Callable[..., Result]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, keyturn: Keyturn) -> Keyturn:
    """Return a function that reports a rejected token on standard input."""

    def call(token: str, *options: str) -> Result:
        monkeypatch.setattr("sys.stdin", io.StringIO(token))
        return keyturn("token", "shop", "--refused", "-", *options)

    return call


@pytest.mark.usefixtures("shop")
def test_current_token_is_replaced_and_an_older_one_is_not(
    emulator: Emulator, keyturn: Keyturn, refused: Keyturn
) -> None:
    """Each script affected by one revocation would make its own token request."""
    first = keyturn("token", "shop").out
    emulator.revoke_tokens("orocommerce")

    printed = [refused(first).out for _ in range(5)]

    assert set(printed) == {keyturn("token", "shop").out}
    assert printed[0] != first
    assert emulator.token_requests("orocommerce") == 2


@pytest.mark.usefixtures("shop")
def test_unknown_token_is_no_reason_to_renew(
    emulator: Emulator, keyturn: Keyturn, refused: Keyturn
) -> None:
    """A script could use up the rate limit with any input."""
    first = keyturn("token", "shop").out

    assert refused("another-token").out == first
    assert emulator.token_requests("orocommerce") == 1


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("token", "options", "problem"),
    [
        ("", (), "in visible ASCII characters"),
        ("Authorization: Bearer x", (), "in visible ASCII characters"),
        ("tök", (), "in visible ASCII characters"),
        ("token", ("--renew",), "can't be combined with --renew"),
        ('{"uri": "x"}', ("--format", "credential-helper"), "--format credential-helper"),
    ],
)
def test_input_without_a_token_is_an_error(
    emulator: Emulator, refused: Keyturn, token: str, options: tuple[str, ...], problem: str
) -> None:
    """A script with a mistake would get the rejected token again, and not learn why."""
    result = refused(token, *options)

    assert (result.code, result.out) == (2, "")
    assert problem in result.err
    assert emulator.token_requests("orocommerce") == 0


def test_token_is_not_read_from_the_arguments(shop: Path, keyturn: Keyturn) -> None:
    """Every user of the machine could read it in the list of processes."""
    del shop
    assert keyturn("token", "shop", "--refused", "s3cr3t").code == 2


def test_headers_format_has_all_headers_of_an_api_request(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn
) -> None:
    """A request would lack a required header: Norce's API rejects one without ApplicationId."""
    settings = emulator.settings("norce-commerce") | {"application_id": "1042"}
    configure(shop={"provider": "norce-commerce", **settings})

    token = keyturn("token", "shop").out.rstrip()
    lines = keyturn("token", "shop", "--format", "headers").out.splitlines()

    assert lines[0] == f"Authorization: Bearer {token}"
    assert "ApplicationId: 1042" in lines


@pytest.mark.usefixtures("shop")
def test_token_with_a_space_is_accepted(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, keyturn: Keyturn, refused: Keyturn
) -> None:
    """A script could not report the token of a platform whose tokens have spaces."""
    keyturn("token", "shop")
    current = Token("QSDK made-up", "Bearer", expires_at=2e9, issued_at=1.9e9)
    monkeypatch.setattr("keyturn._cli.tokens.current_token", lambda _: current)

    assert refused("QSDK older").code == 0
    assert emulator.token_requests("orocommerce") == 1


@pytest.mark.parametrize("form", ["header", "headers"])
def test_token_of_a_query_is_not_a_header(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn, form: str
) -> None:
    """A script would send API requests without a token."""
    url = emulator.settings("orocommerce")["url"]
    own = {"provider": "generic", "token_url": f"{url}/oauth2-token", "api_url": url}
    account = {n: emulator.settings("orocommerce")[n] for n in ("client_id", "client_secret")}
    configure(shop=own | account | {"authorization_query": "key", "body_format": "json"})

    result = keyturn("token", "shop", "--format", form)

    assert (result.code, result.out) == (2, "")
    assert "in the query of API requests" in result.err
