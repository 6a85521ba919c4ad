"""Fixtures of the tests of token stores: a clock, stores that are closed, and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keyturn.stores._disk import DiskStore
from keyturn.stores._encrypted import EncryptedStore
from keyturn.stores._memory import MemoryStore

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from keyturn.stores._base import TokenStore


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory that doesn't exist yet."""
    return tmp_path / "store"


@pytest.fixture
def disk(directory: Path) -> Iterator[DiskStore]:
    """Return a disk store whose clock stays at 1000."""
    store = DiskStore(directory, now=lambda: 1000.0)
    yield store
    store.close()


@pytest.fixture(params=["memory", "disk", "encrypted"])
def store(request: pytest.FixtureRequest) -> TokenStore:
    """Return each kind of store, whose clock stays at 1000."""
    if request.param == "memory":
        return MemoryStore(now=lambda: 1000.0)
    disk: DiskStore = request.getfixturevalue("disk")
    return (
        EncryptedStore(disk, EncryptedStore.generate_key())
        if request.param == "encrypted"
        else disk
    )


@pytest.fixture
def start(
    spawn: Callable[..., subprocess.Popen[str]], forking_python: list[object]
) -> Callable[..., subprocess.Popen[str]]:
    """Yield a function that runs Python code in its own process, which ends with the test."""

    def start_process(code: str, *arguments: object) -> subprocess.Popen[str]:
        return spawn([*forking_python, "-W", "ignore", "-c", code, *arguments])

    return start_process


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Return a function that runs Python code in its own process and returns its output."""

    def run_process(code: str, *arguments: object) -> str:
        output, errors = start(code, *arguments).communicate(timeout=30)
        assert errors == ""
        return output.strip()

    return run_process
