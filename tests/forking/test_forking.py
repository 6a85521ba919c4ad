"""Processes of the fork server behave like those of `python`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    import pytest

    Spawn = Callable[..., subprocess.Popen[str]]

# Code whose output and exit status depend on how a process is started.
CODES = (
    "import os, sys; print(sys.argv, os.getcwd(), os.environ['MADE_UP'], __name__, input())",
    "import acme; print(acme.__file__, __builtins__.__name__, 'server' in globals())",
    "import atexit; atexit.register(print, 'end'); print('begun'); 1 / 0",
    "import sys; sys.exit('failed')",
    "import sys; sys.exit(7)",
    "import os; os.kill(os.getpid(), 15)",
    "raise KeyboardInterrupt",
    "import threading, time; threading.Thread(target=lambda: (time.sleep(0.05), print(1))).start()",
    "import os; print(sorted(os.listdir('/proc/self/fd'))[:3])",
)


def test_forked_process_behaves_like_a_new_one(
    spawn: Spawn, forking_python: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests would pass or fail because the fork server differs from Python."""
    (tmp_path / "acme.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MADE_UP", "of this test")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    for code in CODES:
        outcomes = []
        for python in ([sys.executable], forking_python):
            process = spawn([*python, "-c", code, "one", "two words"])
            output, trouble = process.communicate("input\n", timeout=30)
            outcomes.append((output, trouble.splitlines()[-1:], process.returncode))
        assert outcomes[0] == outcomes[1], code


def test_module_and_new_interpreter_run(spawn: Spawn, forking_python: list[object]) -> None:
    """A command would not run, or a variable that Python reads at startup would have no effect."""
    module = spawn([*forking_python, "-m", "keyturn", "--version"])
    variables = dict(os.environ) | {"PYTHONHASHSEED": "7"}
    new = spawn([*forking_python, "-c", "print(hash('a'))"], env=variables)

    assert module.communicate(timeout=30)[0].startswith("keyturn ")
    assert (
        new.communicate(timeout=30)[0]
        == (spawn([sys.executable, "-c", "print(hash('a'))"], env=variables).communicate()[0])
    )


def test_signals_reach_the_process(
    spawn: Spawn, forking_python: list[object], wait_until: Callable[[Callable[[], object]], None]
) -> None:
    """A test could not stop a process, and a signal would have no effect."""
    code = (
        "import os, signal, sys; signal.signal(15, lambda *_: sys.exit(9));"
        "print(os.getpid(), flush=True); signal.pause()"
    )
    for number, status in ((signal.SIGTERM, 9), (signal.SIGKILL, -9)):
        process = spawn([*forking_python, "-c", code])
        assert process.stdout is not None
        forked = Path("/proc", process.stdout.readline().strip())
        process.send_signal(number)

        assert process.wait(30) == status
        wait_until(lambda: not forked.exists())  # noqa: B023 - called before the loop continues
