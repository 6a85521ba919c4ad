"""A fork by the C library, which runs no hook of Python's, as under uWSGI.

The child inherits the lock of the interpreter (GIL) in its current state. If a thread of the parent
waits for the lock at the fork, the child's threads may never get it. This is a limit of CPython,
which the page Deploy describes. So the fork waits for a moment at which no other thread wants to
run, as in a master process between two requests.
"""

BARE_FORK = """
import ctypes as _ctypes, os as _os, time as _time

def _threads():
    seen = []
    for task in _os.listdir("/proc/self/task"):
        if int(task) != _os.getpid():
            with open(f"/proc/self/task/{task}/status") as file:
                seen += [line for line in file if line.startswith(("State", "voluntary"))]
    return seen

def bare_fork():
    "Fork without a hook of Python's, when all other threads sleep and were not woken meanwhile."
    before = None
    while before != (before := _threads()) or "(running)" in str(before):
        _time.sleep(0.02)
    # PyDLL keeps the interpreter's lock.
    return _ctypes.PyDLL(None).fork()
"""
