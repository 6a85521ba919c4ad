"""The counts of a cold call, of which the table shows calls, files and threads."""

from __future__ import annotations

import importlib.util
import threading
from typing import TYPE_CHECKING, Any

from bench.measure.cold_call import Counter

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
import threading
def leaf(): pass
def call():
    leaf()
    thread = threading.Thread(target=leaf)
    thread.start()
    thread.join()
"""


def load(directory: Path, name: str) -> Any:
    """Return a module with that source in a directory."""
    path = directory / f"{name}.py"
    path.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_calls_of_all_threads_in_the_package_are_counted(tmp_path: Path) -> None:
    """Work that is moved to a background thread, or to another file, would not be counted."""
    package, other = tmp_path / "package", tmp_path / "other"
    package.mkdir()
    other.mkdir()
    ours, foreign = load(package, "ours"), load(other, "foreign")
    counter = Counter(package)
    start = threading.Thread.start

    with counter.installed():
        ours.call()  # before the count
        figures = counter.count(lambda: (ours.call(), foreign.call()))

    assert figures == {"calls": 3, "files": 1, "threads": 2}
    assert threading.Thread.start is start
