"""The store conformance tests find defects, and name the fix."""

from __future__ import annotations

import importlib.util
import logging
import re
import sys
import threading
import unittest
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from keyturn.stores._memory import MemoryStore
from keyturn.testing import StoreConformance
from keyturn.testing.store_kit._helpers import Shown


def load_broken_stores() -> Any:
    """Return the package of the broken stores."""
    path = Path(__file__).with_name("broken_stores")
    spec = importlib.util.spec_from_file_location(
        "broken_stores", path / "__init__.py", submodule_search_locations=[str(path)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["broken_stores"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


broken_stores = load_broken_stores()
good = sys.modules["broken_stores.good"]
HANGS = ("has not ended", "raise a TimeoutError after `lease`", "wait for no longer than")
TESTS = [name for name in dir(StoreConformance) if name.startswith("test_")]


def case(broken: Any, directory: Path) -> StoreConformance:
    """Return the conformance tests of a store."""

    class Tests(StoreConformance):
        _patience = 0.5 if any(each in broken.message for each in HANGS) else 10.0
        takes_over = broken.takes_over
        shared = broken.shared

        def new_store(self) -> Any:
            return broken.opened(directory)

    return Tests()


def run(tests: StoreConformance, test: str) -> None:
    """Run one of the tests, as pytest does."""
    tests.setup_method()
    try:
        getattr(tests, test)()
    finally:
        tests.teardown_method()


@pytest.mark.sweep(kind=lambda row: row["broken"].test)
@pytest.mark.parametrize(
    "broken", broken_stores.BROKEN, ids=lambda each: f"{each.test}: {each.message[:40]}"
)
def test_broken_store_fails_its_test(broken: Any, tmp_path: Path) -> None:
    """An author would publish a store that costs its users tokens."""
    with pytest.raises(AssertionError, match=re.escape(broken.message)):
        run(case(broken, tmp_path), f"test_{broken.test}")


@pytest.mark.parametrize("where", [".", "..", "../sibling", "/", "a/deep/one"])
def test_relative_path_is_caught_in_any_directory(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An author would get no failure if the tests ran in a directory near the root."""
    (tmp_path / where).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / where)
    relative = next(each for each in broken_stores.BROKEN if each.opened.__name__ == "Relative")
    with pytest.raises(AssertionError, match="in another directory does not find an entry"):
        run(case(relative, tmp_path), "test_processes_may_differ")


@pytest.mark.parametrize("test", TESTS)
def test_correct_store_passes(test: str, tmp_path: Path) -> None:
    """The store that the broken ones vary would be broken itself, and they would prove nothing."""
    run(case(good.Broken(good.FileStore, test, "", takes_over=False), tmp_path), test)


def test_harmless_files_and_sockets_are_not_reported(tmp_path: Path) -> None:
    """An author would get a failure for a file that no other user can read."""
    harmless = sys.modules["broken_stores.files"].Harmless
    broken = good.Broken(harmless, "files_are_private", "", takes_over=False)
    run(case(broken, tmp_path), "test_files_are_private")


def test_every_test_fails_for_some_broken_store() -> None:
    """A test that catches no broken store would be useless."""
    assert set(TESTS) - {f"test_{each.test}" for each in broken_stores.BROKEN} == set()
    assert len(broken_stores.BROKEN) >= 60


def test_without_fork_only_one_process_is_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, an author could not use the kit."""
    monkeypatch.delattr("os.fork")
    for test in TESTS:
        run(case(good.Broken(good.FileStore, test, "", takes_over=False), tmp_path), test)


def test_a_cause_is_reported_once(tmp_path: Path) -> None:
    """An author would read twenty failures for one defect."""
    broken = sys.modules["broken_stores.entries"].BROKEN[-1]
    tests = case(broken._replace(opened=sys.modules["broken_stores.locks"].memory(int)), tmp_path)
    with pytest.raises(AssertionError, match="`write` raised AttributeError"):
        run(tests, "test_deletes")
    with pytest.raises(unittest.SkipTest, match="test_deletes reports the cause"):
        run(tests, "test_expires")
    with pytest.raises(AssertionError, match="`write` raised AttributeError"):
        run(tests, "test_deletes")


def test_missing_store_is_reported() -> None:
    """An author who forgot `new_store` would get no error."""
    with pytest.raises(AssertionError, match="override it, and return a store"):
        run(StoreConformance(), "test_deletes")


def test_one_object_may_serve_a_whole_process() -> None:
    """A store in memory would be accused of losing what it is closed with."""
    store = MemoryStore()

    class Tests(StoreConformance):
        shared = False

        def new_store(self) -> Any:
            return store

    for test in TESTS:
        run(Tests(), test)


def test_logs_of_a_server_in_the_same_process_are_not_the_stores() -> None:
    """The kit would accuse a store of what the server of its tests logs."""
    shown = Shown()
    with shown.gathered():
        for name in ("Thread-7 (process_request_thread)", "Thread-8 (run)"):
            log = partial(logging.getLogger(name).warning, "a canary of %s", name)
            thread = threading.Thread(target=log, name=name)
            thread.start()
            thread.join()

    assert shown.places("a canary") == ["the log 'Thread-8 (run)'"]
