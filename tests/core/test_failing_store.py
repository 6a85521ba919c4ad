"""A store that fails costs a warning and a token request, and nothing else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from keyturn.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import World


class BrokenStore(MemoryStore):
    """A store of which some operations fail, with an entry in the error's text."""

    def __init__(self, now: Callable[[], float], broken: set[str]) -> None:
        super().__init__(now)
        self.broken = broken

    def _check(self, operation: str, *values: object) -> None:
        if operation in self.broken:
            raise RuntimeError(repr(values))

    def read(self, key: str) -> str | None:
        """Read, or fail."""
        self._check("read", key)
        return super().read(key)

    def write(self, key: str, entry: str, expires_at: float) -> None:
        """Write, or fail."""
        self._check("write", key, entry, expires_at)
        super().write(key, entry, expires_at)

    def delete(self, key: str) -> None:
        """Delete, or fail."""
        self._check("delete", key)
        super().delete(key)

    @contextlib.contextmanager
    def lock(self, key: str, lease: float) -> Iterator[None]:
        """Lock, or fail before or after."""
        self._check("lock", key)
        with super().lock(key, lease):
            yield
        self._check("unlock", key)


OPERATIONS = ["read", "write", "delete", "lock", "unlock"]


@pytest.mark.parametrize(
    "broken", [*({each} for each in OPERATIONS), set(OPERATIONS)], ids=[*OPERATIONS, "all"]
)
def test_failing_store_costs_a_warning_and_no_token(
    world: World, caplog: pytest.LogCaptureFixture, broken: set[str]
) -> None:
    """A full disk would take the application down."""
    store = BrokenStore(lambda: world.clock.now, broken)
    connection = world.connect(store=store)
    first = connection.token()
    second = connection.token(stale=first)
    connection.invalidate(second)
    connection.forget()

    assert (first.access_token, second.access_token) == ("token-1", "token-2")
    # What can't be deleted is still there.
    expected = "token-2" if broken == {"delete"} else "token-3"
    assert connection.token().access_token == expected
    assert "BrokenStore failed to" in caplog.text
    assert "token-1" not in caplog.text
    assert "token-2" not in caplog.text


def test_store_that_returns_rubbish_is_a_miss(world: World) -> None:
    """A stranger's store could make keyturn crash, or use what isn't a token."""

    class RubbishStore(MemoryStore):
        def read(self, key: str) -> Any:
            return {"access_token": key}

    connection = world.connect(store=RubbishStore(lambda: world.clock.now))
    assert connection.token().access_token == "token-1"


def test_system_error_of_a_store_is_told_in_words(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The user would not learn why the store fails."""

    class FullStore(MemoryStore):
        def write(self, key: str, entry: str, expires_at: float) -> None:
            raise OSError(28, "No space left on device", "/somewhere/secret-name")

    world.connect(store=FullStore(lambda: world.clock.now)).token()
    assert "failed to write (OSError: No space left on device)" in caplog.text
