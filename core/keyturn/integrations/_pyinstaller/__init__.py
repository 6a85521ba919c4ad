"""keyturn's hooks for PyInstaller, which finds them by the entry point `pyinstaller40`.

https://pyinstaller.org/en/stable/hooks.html#providing-pyinstaller-hooks-with-your-package
"""

from __future__ import annotations

from pathlib import Path


def hook_directories() -> list[str]:
    """Return the directory of keyturn's hook for PyInstaller."""
    return [str(Path(__file__).parent)]
