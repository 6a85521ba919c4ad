"""The troubleshooting page has the messages that keyturn shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import keyturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "troubleshooting.md"
ACCOUNT: dict[str, Any] = {"client_id": "made-up", "client_secret": "made-up"}


def messages() -> dict[str, re.Pattern[str]]:
    """Return each message on the page, and a pattern in which an ellipsis matches any text."""
    found = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        each: re.compile(".*".join(map(re.escape, each.split("…"))), re.DOTALL) for each in found
    }


@pytest.fixture(scope="module")
def emulator() -> Iterator[keyturn.testing.Emulator]:
    """Yield a running emulator."""
    with keyturn.testing.Emulator() as running:
        yield running


def _wrong_secret(emulator: Any, _port: int) -> None:
    keyturn.connect(
        "orocommerce", **emulator.settings("orocommerce", client_secret="wrong")
    ).token()


def _wrong_scope(emulator: Any, _port: int) -> None:
    account = emulator.settings("norce-storm")
    given = {name: account[name] for name in ("token_url", "client_id", "client_secret")}
    keyturn.connect("generic", **given, scope="nonesuch").token()


def _wrong_path(emulator: Any, _port: int) -> None:
    address = emulator.settings("norce-storm")["token_url"] + "/nonesuch"
    keyturn.connect("generic", token_url=address, **ACCOUNT).token()


def _fault(kind: str, **given: Any) -> Callable[[Any, int], None]:
    def call(emulator: Any, _port: int) -> None:
        emulator.fault("norce-storm", kind, **given)
        account = emulator.settings("norce-storm")
        keyturn.connect("norce-storm", **account, store="memory://").token()

    return call


def _nothing_listens(_emulator: Any, port: int) -> None:
    address = f"http://127.0.0.1:{port}/"
    keyturn.connect("generic", token_url=address, **ACCOUNT, timeout=0.3).token()


def _foreign_origin(emulator: Any, _port: int) -> None:
    connection = keyturn.connect("orocommerce", **emulator.settings("orocommerce"))
    adapter = keyturn.integrations.RequestAuth(connection)
    adapter.authorize("GET", "https://elsewhere.example/", {})


def _unknown_provider(_emulator: Any, _port: int) -> None:
    keyturn.connect("nonesuch")


def _unknown_connection(_emulator: Any, _port: int) -> None:
    keyturn.load_connection("nonesuch")


def _missing_settings(_emulator: Any, _port: int) -> None:
    keyturn.connect("orocommerce")


@pytest.mark.parametrize(
    "fail",
    [
        _wrong_secret,
        _wrong_scope,
        _wrong_path,
        _fault("rate-limit"),
        _fault("server-error", times=3),
        _fault("html"),
        _fault("redirect", location="http://127.0.0.1:9/"),
        _nothing_listens,
        _foreign_origin,
        _unknown_provider,
        _unknown_connection,
        _missing_settings,
    ],
)
def test_message_is_on_the_troubleshooting_page(
    fail: Callable[[Any, int], None], emulator: keyturn.testing.Emulator, refused_port: int
) -> None:
    """A user would search for the message that they see, and not find it."""
    with pytest.raises(keyturn.errors.KeyturnError) as caught:
        fail(emulator, refused_port)

    assert [each for each, pattern in messages().items() if pattern.search(str(caught.value))]
