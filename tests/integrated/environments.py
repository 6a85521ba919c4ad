"""The virtual environments of the platforms, which `install` creates, and their programs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def binaries(name: str) -> Path:
    """Return the directory of an environment's programs."""
    return ROOT / f".cache/integrated-{name}/bin"


def in_environment(
    name: str, directory: Path, *command: Any, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a Python module in an environment, and return its output.

    Args:
        name: The environment's name.
        directory: Its home and working directory.
        command: The module and its arguments.
        variables: Further environment variables.
    """
    usual = {"HOME": str(directory), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [binaries(name) / "python", "-m", *command],
        check=False,
        capture_output=True,
        text=True,
        cwd=directory,
        env=usual | variables,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def version(name: str, distribution: str) -> str:
    """Return the version of a distribution in an environment."""
    code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return subprocess.run(
        [binaries(name) / "python", "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
