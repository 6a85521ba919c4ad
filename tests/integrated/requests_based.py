"""The tests of all adapters, for an adapter that is used through requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.integrated.shared import shared_tests
from tests.integrations import conftest, walkers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keyturn


def all_tests(auth: Any) -> dict[str, Any]:
    """Return the tests of all adapters, with their fixtures for a class of authentication."""

    @pytest.fixture
    def client_class() -> type[conftest.Client]:
        return _client(auth)

    @pytest.fixture
    def walker() -> Iterator[walkers.Walker]:
        made = _walker(auth)
        yield made
        made.close()

    return {**shared_tests(), "client_class": client_class, "walker": walker}


def _client(auth: Any) -> type[conftest.Client]:
    """Return a client that uses a class of authentication with `requests.Session`."""

    class Client(conftest.Requests):
        def __init__(self, connection: keyturn.Connection | str) -> None:
            self.auth = auth(connection)

    return Client


def _walker(auth: Any) -> walkers.Walker:
    """Return a walker that uses a class of authentication with `requests.Session`."""

    class Walked(walkers.Requests):
        def auth(self, connection: keyturn.Connection) -> Any:
            return auth(connection)

    return Walked()
