"""What tests of the provider interface share: connections to platforms described by data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

import keyturn
from keyturn._providers.settings import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

SECRET = "s3cret-for-tests"
CREDENTIALS = {"client_id": "cid", "client_secret": SECRET}


@pytest.fixture
def platform(world: World) -> Callable[..., keyturn.Connection]:
    """Give a function that connects to a platform described by data, without network.

    It is given the data that differ from the usual ones, and the settings besides the credentials.
    `real` connects to the network.
    """

    def connect(
        data: dict[str, Any] | None = None, /, *, real: bool = False, **settings: Any
    ) -> keyturn.Connection:
        usual = {"token_url": "https://login.acme.example/token"}
        provider = keyturn.plugins.provider_from_data(usual | (data or {}), name="acme")
        names = {field.name for field in attrs.fields(provider.settings)}
        credentials = {name: text for name, text in CREDENTIALS.items() if name in names}
        values, mistakes = read(provider.settings, credentials | settings)
        assert values is not None, mistakes
        faked = {} if real else {"clock": world.clock.clock, "transport": world.endpoint}
        return keyturn.Connection(provider, values, store=world.store, **faked)

    return connect
