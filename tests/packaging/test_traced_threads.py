"""Coverage measurement lets each thread of the tests run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = """
import sys, threading, coverage
measured = coverage.Coverage(data_file=None, source=["."])
measured.start()
from traced_threads import trace_threads_in_turn
trace_threads_in_turn()
trace_threads_in_turn()

def hook(event, arguments):  # which lets threads take turns
    for _ in range(3):
        pass

sys.addaudithook(hook)
sys.setswitchinterval(1e-5)
ran = []
for _ in range(100):
    threads = [threading.Thread(target=ran.append, args=(1,), daemon=True) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
measured.stop()
print(len(ran))
"""


def test_each_thread_runs_under_coverage(
    run_new_python: Callable[..., str],
) -> None:
    """A thread that coverage fails to trace would never run, and a test would wait forever."""
    assert run_new_python(THREADS) == "1000"
