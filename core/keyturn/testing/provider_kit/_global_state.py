"""State that all code of a process shares, which a provider must not change."""

from __future__ import annotations

import atexit
import builtins
import decimal
import faulthandler
import gc
import json
import locale
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# The modules through which keyturn's requests go, besides its own.
_MODULES = (
    *("builtins", "codecs", "decimal", "http.client", "json", "json.decoder", "json.encoder"),
    *(
        "logging",
        "os",
        "random",
        "socket",
        "ssl",
        "threading",
        "time",
        "urllib.request",
        "warnings",
    ),
)
_CLIENTS = ("httpx", "httpcore", "requests", "aiohttp", "urllib3")
_CODE = (types.FunctionType, types.BuiltinFunctionType, type)
_KIT = "keyturn.testing"


def global_state() -> dict[str, object]:
    """Return the shared state, by names for messages."""
    state: dict[str, object] = {
        "the environment": dict(os.environ),
        "the working directory": str(Path.cwd()),
        "sys.path": tuple(sys.path),
        "sys.meta_path": tuple(map(id, sys.meta_path)),
        "sys.excepthook": id(sys.excepthook),
        "the recursion limit": sys.getrecursionlimit(),
        "the switch interval": sys.getswitchinterval(),
        "the garbage collector": (gc.isenabled(), gc.get_threshold()),
        "the umask": _umask(),
        "the names of builtins": frozenset(vars(builtins)) - {"_"},
        "sys.dont_write_bytecode": sys.dont_write_bytecode,
        "the priority of the process": getattr(os, "nice", int)(0),
        "the profile function of threads": id(threading.getprofile()),
        "the functions of atexit": getattr(atexit, "_ncallbacks", int)(),
        "faulthandler": faulthandler.is_enabled(),
        "sys.stdout": id(sys.stdout),
        "sys.stderr": id(sys.stderr),
        "socket's default timeout": socket.getdefaulttimeout(),
        "the warning filters": tuple(map(repr, warnings.filters)),
        "the locale": locale.setlocale(locale.LC_ALL),
        "logging.disable": logging.root.manager.disable,
        "json's default decoder": id(json.JSONDecoder.decode),
        "the time zone": time.tzname,
        "the decimal context": str(decimal.getcontext()),
        "the start method of processes": multiprocessing.get_start_method(allow_none=True),
    }
    state |= _loaded()
    for name in ("", "keyturn", "keyturn.plugins", "httpx", "httpcore", "urllib3"):
        logger = logging.getLogger(name)
        shown = f"the logger {name or 'root'}"
        state[shown] = (
            logger.level,
            tuple(map(id, logger.handlers)),
            tuple(map(id, logger.filters)),
        )
    for each in signal.Signals:
        state[f"the handler of {each.name}"] = str(signal.getsignal(each))
    for name, module in list(sys.modules.items()):
        if name in {*_MODULES, *_CLIENTS} or _is_keyturn(name):
            state |= _members(name, module)
    return state


def _loaded() -> dict[str, object]:
    """Return the shared state of modules that few programs import."""
    state: dict[str, object] = {}
    if "asyncio" in sys.modules:
        policy = getattr(sys.modules["asyncio.events"], "_event_loop_policy", None)
        state["asyncio's event loop policy"] = policy and id(policy)
    if "http.client" in sys.modules:
        state["http.client's debuglevel"] = sys.modules["http.client"].HTTPConnection.debuglevel
    return state


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Return the names of changed state; new names are not shared yet."""
    found: list[str] = []
    for name, one in before.items():
        other = after.get(name, one)
        if isinstance(one, _Members) and isinstance(other, _Members):
            found += [f"{name}.{key}" for key in one.replaced(other)]
        elif one != other:
            found.append(name)
    return found


class _Members(dict[str, Any]):
    """The attributes of a module or a class; functions and classes are compared by identity."""

    def replaced(self, other: _Members) -> Iterator[str]:
        """Yield the names of the functions and classes that were replaced."""
        for key, value in self.items():
            if other.get(key, value) is not value and isinstance(value, _CODE):
                yield key


def _is_keyturn(name: str) -> bool:
    return (name == "keyturn" or name.startswith("keyturn.")) and not name.startswith(_KIT)


def _members(name: str, module: Any) -> dict[str, object]:
    """Return the attributes of a module and of its classes, by their names."""
    members = _Members(vars(module))
    found: dict[str, object] = {name: members}
    for key, value in members.items():
        if isinstance(value, type) and value.__module__ == name:
            found[f"{name}.{key}"] = _Members(vars(value))
    return found
