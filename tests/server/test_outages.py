"""Requests while the token endpoint is unavailable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn._server import reverse_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def agent(tmp_path: Path, api: Any, serve: Callable[..., Any]) -> Iterator[Any]:
    """Return an agent that tries each token request once."""
    api.arrived.clear()
    api.token_failure = None
    yield serve(tmp_path / "keyturn.toml", "shop", timeout=0.4)
    api.token_failure = None


@pytest.fixture
def pauses(api: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses between attempts; the token endpoint works again after the third."""
    taken: list[float] = []

    async def pause(seconds: float) -> None:
        taken.append(seconds)
        if len(taken) == 3:
            api.token_failure = None
        await asyncio.sleep(0)

    monkeypatch.setattr(reverse_proxy, "_pause", pause)
    return taken


def test_first_request_waits_for_the_token_endpoint(
    agent: Any, api: Any, pauses: list[float]
) -> None:
    """A restart of the token endpoint would fail requests that the API would accept."""
    api.token_failure = 503, b"{}"
    with agent.client() as client:
        assert client.get("/shop/v1/echo").status_code == 200
    assert pauses == [0.5, 1.0, 2.0]


def test_request_with_a_rejected_token_waits_for_the_token_endpoint(
    agent: Any, api: Any, pauses: list[float]
) -> None:
    """A client would get a 401 although a new token would be accepted."""
    with agent.client() as client:
        assert client.get("/shop/v1/echo").status_code == 200
        api.revoke()
        api.token_failure = 503, b"{}"
        response = client.post("/shop/v1/echo", content=b"body")
    assert (response.status_code, response.content) == (200, b"body")
    assert pauses == [0.5, 1.0, 2.0]


def test_wait_for_the_token_endpoint_is_limited(
    agent: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests would accumulate while the token endpoint is unavailable."""
    monkeypatch.setattr(reverse_proxy, "OUTAGE", 0.0)
    with agent.client() as client:
        assert client.get("/shop/v1/echo").status_code == 200
        api.revoke()
        api.token_failure = 503, b"{}"
        refused = client.get("/shop/v1/echo")
        assert refused.status_code == 401
        reason = "no other token was acquired: EndpointUnavailable"
        assert refused.headers["x-keyturn-not-repeated"] == reason


def test_permanent_error_is_returned_at_once(agent: Any, api: Any, pauses: list[float]) -> None:
    """A wrong secret would delay each request."""
    api.token_failure = 400, b'{"error": "invalid_client"}'
    with agent.client() as client:
        response = client.get("/shop/v1/echo")
    assert response.headers["x-keyturn-error"] == "InvalidClient"
    assert pauses == []


def test_token_renewed_before_the_rejection_is_used(
    tmp_path: Path, api: Any, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests would fail after a revocation, although another process has renewed the token."""
    config = tmp_path / "keyturn.toml"
    agent = serve(config, "shop", store=f"disk://{tmp_path}/store")
    monkeypatch.setenv("KEYTURN_CONFIG", str(config))
    with agent.client() as client, keyturn.load_connection("shop") as other:
        assert client.get("/shop/v1/echo").status_code == 200
        other.token(stale=other.token())
        api.revoke()
        api.arrived.clear()
        issued = api.issued
        assert client.get("/shop/v1/echo").status_code == 200
    assert len(api.arrived) == 3
    assert api.issued == issued + 1
