"""The adapters with the emulator: each provider's own API and its own 401."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import keyturn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def emulator() -> Iterator[Any]:
    """Yield one emulator for all tests, because generating its key is slow."""
    with keyturn.testing.Emulator() as running:
        yield running


@pytest.mark.parametrize(
    "provider", ["norce-commerce", "norce-storm", "orocommerce", "commercelayer"]
)
def test_adapter_calls_the_api_and_renews_a_revoked_token(
    emulator: Any, client_class: type[Any], provider: str
) -> None:
    """The adapter would not work with this provider's API, or not recognize its 401."""
    store = keyturn.stores.from_url("memory://")
    before = emulator.token_requests(provider)
    with keyturn.connect(provider, store=store, **emulator.settings(provider)) as connection:
        client = client_class(connection)
        url = f"{connection.api_url}{emulator.resource(provider)}"
        assert client.send("GET", url).status == 200
        emulator.revoke_tokens(provider)
        assert client.send("GET", url).status == 200
    assert emulator.token_requests(provider) == before + 2
