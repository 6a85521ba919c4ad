"""Lets threads start tracing one at a time; coverage traces threads to measure them.

CPython 3.11 fails to trace a thread while another one starts tracing, if an audit hook switches
between them (`_PyEval_SetTrace` sets a flag meanwhile). The thread then never runs, and a test
waits for it forever. The provider kit installs such a hook, and no hook can be removed.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
from typing import Any

_bootstrap: Any = vars(threading.Thread)["_bootstrap_inner"]
_lock = threading.Lock()
_trace: Any = None


def trace_threads_in_turn() -> None:
    """From now on, let threads start tracing in turn, in this process and its forks."""
    if sys.version_info >= (3, 12) or threading.settrace is _keep:
        return
    _keep(threading.gettrace())
    threading.settrace(None)
    threading.settrace = _keep  # type: ignore[assignment]
    threading.Thread._bootstrap_inner = _begin  # type: ignore[attr-defined]  # noqa: SLF001 - the only place
    os.register_at_fork(after_in_child=_renew)


def _keep(trace: Any) -> None:
    global _trace  # noqa: PLW0603 - as in threading
    _trace = trace


def _renew() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may hold the other lock
    _lock = threading.Lock()


def _begin(thread: threading.Thread) -> None:
    if trace := _trace:
        with _lock:
            trace(inspect.currentframe(), "call", None)
    _bootstrap(thread)
