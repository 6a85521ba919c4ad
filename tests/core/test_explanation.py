"""The transcripts of `explain`, compared with golden files that the documentation also shows.

`python tests/core/test_explanation.py` rewrites the files after an intended change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import keyturn
from keyturn._clock import Clock
from keyturn._connection import Connection, make_connection
from keyturn._providers.settings import read
from keyturn._tokens.options import Specification
from keyturn.stores._memory import MemoryStore

TRANSCRIPTS = Path(__file__).parents[2] / "docs" / "reference" / "transcripts"
NOW = 1_800_000_000.0
SECRET = "s3cret-for-tests"
TOKEN = "t0ken-for-tests"
JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain"}

SETTINGS: dict[str, dict[str, Any]] = {
    "norce-commerce": {
        "client": "acme",
        "environment": "stage",
        "application_id": 1042,
        "client_secret": SECRET,
    },
    "norce-storm": {"scope": "lab production", "client_secret": SECRET},
    "orocommerce": {"url": "https://shop.example/b2b", "client_secret": SECRET},
    "commercelayer": {"kind": "sales_channel", "market": "code:europe", "organization": "acme"},
}
TOKEN_RESPONSE = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600, "new": "x"}
ERROR_RESPONSE = {"error": "invalid_client", "error_description": f"not {SECRET}"}
ERRORS = {
    "errors": [{"title": "invalid_client", "detail": "no", "code": "UNAUTHORIZED", "status": 401}]
}
RESPONSES: dict[str, keyturn.plugins.Response | None] = {
    "token": keyturn.plugins.Response(200, JSON, json.dumps(TOKEN_RESPONSE).encode(), NOW),
    "refused": keyturn.plugins.Response(400, JSON, json.dumps(ERROR_RESPONSE).encode(), NOW),
    "limited": keyturn.plugins.Response(429, {**TEXT, "retry-after": "7"}, b"slow down", NOW),
    "errors": keyturn.plugins.Response(401, JSON, json.dumps(ERRORS).encode(), NOW),
    "empty": keyturn.plugins.Response(401, TEXT, b"", NOW),
    "unreachable": None,
}
CASES = [(name, "token") for name in SETTINGS] + [
    ("norce-commerce", kind) for kind in ("refused", "limited", "empty", "unreachable")
]
CASES.append(("commercelayer", "errors"))


class OneResponse:
    """A transport without network: each token request gets the same response, or an error."""

    def __init__(self, response: keyturn.plugins.Response | None) -> None:
        self.response = response
        self.sent = 0

    def send(self, *_: object) -> keyturn.plugins.Response:
        """Return the response."""
        self.sent += 1
        if self.response is None:
            raise keyturn.errors.EndpointUnavailable("the token endpoint failed: No route to host.")
        return self.response


def clock_at(now: float) -> Clock:
    """Return a stopped clock."""
    return Clock(time=lambda: now, monotonic=lambda: now - NOW, sleep=lambda _: None)


def new_store() -> MemoryStore:
    """Return a store with a stopped clock, so that its entries don't expire."""
    clock = clock_at(NOW)
    return MemoryStore(clock.time, clock.monotonic)


def connect(name: str, transport: OneResponse, store: MemoryStore, now: float = NOW) -> Connection:
    """Return a connection with a stopped clock."""
    provider = keyturn.provider(name)
    settings, problems = read(provider.settings, {"client_id": "cid", **SETTINGS[name]})
    assert settings is not None, problems
    return make_connection(
        Specification(provider, settings),
        store,
        clock=clock_at(now),
        transport=transport,  # type: ignore[arg-type]  # only `send` is used
    )


def transcript(name: str, kind: str) -> str:
    """Return the transcript of one case, without what differs in each process."""
    connection = connect(name, OneResponse(RESPONSES[kind]), new_store())
    fingerprint = connection.token_request().fingerprint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keyturn._tokens.acquisition.jitter", lambda _: 0.0)
        return connection.explain().replace(fingerprint, "(64 hexadecimal digits)")


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_transcript_is_the_golden_one(name: str, kind: str) -> None:
    """A transcript would change, or show a secret, without a failing test."""
    golden = (TRANSCRIPTS / f"{name}-{kind}.txt").read_text()
    assert transcript(name, kind) == golden


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_transcript_holds_no_secret(name: str, kind: str) -> None:
    """A transcript pasted into a ticket would reveal a secret or a token."""
    shown = transcript(name, kind)
    assert SECRET not in shown
    assert TOKEN not in shown


def test_nothing_is_sent_while_the_store_holds_a_token() -> None:
    """Each `explain` would send a token request."""
    transport = OneResponse(RESPONSES["token"])
    connection = connect("orocommerce", transport, new_store())
    connection.token()
    shown = connection.explain()
    assert "keyturn sends no request: the MemoryStore has a token for this fingerprint" in shown
    assert "it is renewed before its expiry, in" in shown
    assert transport.sent == 1


def test_transcript_shows_that_a_token_is_stale() -> None:
    """A user could not see that the next call renews the token."""
    transport, store = OneResponse(RESPONSES["token"]), new_store()
    connect("orocommerce", transport, store).token()
    later = connect("orocommerce", transport, store, now=NOW + 3590)

    assert "renewed in the background by the next call" in later.explain()


def test_cached_error_response_is_shown_without_a_response() -> None:
    """A cached error response would be shown as if the server had just responded."""
    transport, store = OneResponse(RESPONSES["refused"]), new_store()
    connect("orocommerce", transport, store).explain()
    shown = connect("orocommerce", transport, store).explain()

    assert "no request was sent" in shown
    assert "response:" not in shown
    assert "InvalidClient" in shown
    assert transport.sent == 1


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ({"token_field": "", "token_type": "", "missing_lifetime": 60}, TOKEN),
        ({"token_field": "message"}, json.dumps({**TOKEN_RESPONSE, "message": TOKEN})),
    ],
)
def test_token_is_hidden_wherever_it_stands(
    platform: Any, world: Any, data: dict[str, Any], body: str
) -> None:
    """Support tickets would show the tokens of a platform with its own response format."""
    content_type = TEXT if body == TOKEN else JSON
    world.endpoint.responses.append(
        keyturn.plugins.Response(200, content_type, body.encode(), world.clock.now)
    )
    transcript = platform(data).explain()

    assert "outcome: a Bearer token" in transcript
    assert TOKEN not in transcript


if __name__ == "__main__":
    for case in CASES:
        (TRANSCRIPTS / f"{case[0]}-{case[1]}.txt").write_text(transcript(*case))
