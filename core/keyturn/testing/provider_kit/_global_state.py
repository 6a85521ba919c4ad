"""What all code of a process shares, and a provider must leave as it is."""

from __future__ import annotations

import json
import locale
import logging
import os
import signal
import socket
import sys
import time
import types
import warnings
from pathlib import Path
from typing import Any

# Besides keyturn's own modules: what its requests go through.
_MODULES = (
    "builtins",
    "json",
    "logging",
    "os",
    "random",
    "socket",
    "ssl",
    "time",
    "urllib.request",
)
_CLIENTS = ("httpx", "httpcore", "requests", "aiohttp")
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")
_KIT = "keyturn.testing"


def global_state() -> dict[str, object]:
    """Return what is shared, by names that a message can show."""
    state: dict[str, object] = {
        "the environment": dict(os.environ),
        "the working directory": str(Path.cwd()),
        "sys.path": tuple(sys.path),
        "sys.meta_path": tuple(map(id, sys.meta_path)),
        "sys.excepthook": id(sys.excepthook),
        "the recursion limit": sys.getrecursionlimit(),
        "socket's default timeout": socket.getdefaulttimeout(),
        "the warning filters": tuple(map(repr, warnings.filters)),
        "the locale": locale.setlocale(locale.LC_ALL),
        "logging.disable": logging.root.manager.disable,
        "json's default decoder": id(json.JSONDecoder.decode),
        "the time zone": time.tzname,
    }
    for name in ("", "keyturn", "keyturn.plugins", "httpx"):
        logger = logging.getLogger(name)
        shown = f"the logger {name or 'root'}"
        state[shown] = (
            logger.level,
            tuple(map(id, logger.handlers)),
            tuple(map(id, logger.filters)),
        )
    for name in _SIGNALS:
        if hasattr(signal, name):
            state[f"the handler of {name}"] = str(signal.getsignal(getattr(signal, name)))
    for name, module in list(sys.modules.items()):
        if name in {*_MODULES, *_CLIENTS} or _is_keyturn(name):
            state |= _functions(name, module)
    return state


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Return the names of what has changed; what is new is not shared yet."""
    return [name for name in before if name in after and before[name] != after[name]]


def _is_keyturn(name: str) -> bool:
    return (name == "keyturn" or name.startswith("keyturn.")) and not name.startswith(_KIT)


def _functions(name: str, module: Any) -> dict[str, object]:
    """Return the identity of each function of a module and of its classes."""
    found: dict[str, object] = {}
    for key, value in list(vars(module).items()):
        if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
            found[f"{name}.{key}"] = id(value)
        elif isinstance(value, type) and value.__module__ == name:
            found[f"{name}.{key}"] = id(value)
            methods = list(vars(value).items())
            found |= {
                f"{name}.{key}.{method}": id(each)
                for method, each in methods
                if isinstance(each, types.FunctionType)
            }
    return found
