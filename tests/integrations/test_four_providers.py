"""The adapters against the emulator: each provider's own API and its own 401."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import keyturn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def emulator() -> Iterator[Any]:
    """One emulator for all of them, since making its key takes a while."""
    with keyturn.testing.Emulator() as running:
        yield running


@pytest.mark.parametrize(
    "provider", ["norce-commerce", "norce-storm", "orocommerce", "commercelayer"]
)
def test_calls_the_api_and_heals_a_revoked_token(
    emulator: Any, client_class: type[Any], provider: str
) -> None:
    """Else the adapter would not work with this provider's API, or not know its 401."""
    store = keyturn.stores.from_url("memory://")
    before = emulator.token_requests(provider)
    with keyturn.connect(provider, store=store, **emulator.settings(provider)) as connection:
        client = client_class(connection)
        url = f"{connection.api_url}{emulator.resource(provider)}"
        assert client.send("GET", url).status == 200
        emulator.revoke_tokens(provider)
        assert client.send("GET", url).status == 200
    assert emulator.token_requests(provider) == before + 2
