"""Adapters that let HTTP clients take their tokens from a connection.

Each is a module named after its client, imported when it is first used:
`keyturn.integrations.aiohttp`, `.httpx`, `.httpx2` and `.requests`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keyturn.integrations import aiohttp, httpx, httpx2, requests

__all__ = ["aiohttp", "httpx", "httpx2", "requests"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"keyturn.integrations.{name}")
    message = f"module 'keyturn.integrations' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
