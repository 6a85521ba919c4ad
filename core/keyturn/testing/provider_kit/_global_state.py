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

# Besides keyturn's own modules: those whose classes a request goes through.
_MODULES = (
    *("codecs", "contextlib", "decimal", "http.client", "http.cookiejar", "json.decoder"),
    *("json.encoder", "logging", "pathlib", "random", "socket", "ssl", "threading", "uuid"),
    *("urllib.request", "concurrent.futures.thread", "email.message", "http.cookies"),
)
_CLIENTS = ("attr", "attrs", "httpx", "httpcore", "requests", "aiohttp", "urllib3")
_WITH_CLASSES = {*_MODULES, *_CLIENTS}
# Modules of Python whose values change in the course of things.
_CHANGING = {"gc", "linecache", "mimetypes", "re", "sys", "tokenize", "warnings"}
_CODE = (types.FunctionType, types.BuiltinFunctionType, type, property)
_PLAIN = (str, int, types.NoneType)
_NULL = logging.NullHandler
_KIT = "keyturn.testing"
_FIRST = tuple(sys.modules)


def global_state(*, has_values: bool = False) -> dict[str, object]:
    """Return what is shared, by names that a message can show.

    Args:
        has_values: Whether to add the values of Python's modules, which takes a hundredth of a
            second.
    """
    state: dict[str, object] = {
        "the environment": dict(os.environ),
        "the working directory": str(Path.cwd()),
        "sys.path": tuple(sys.path),
        "sys.meta_path": tuple(map(id, sys.meta_path)),
        "sys.path_hooks": tuple(map(id, sys.path_hooks)),
        "the names of sys.modules": _first_names(),
        "the greatest number of digits": sys.get_int_max_str_digits(),
        "the profile function": id(sys.getprofile()),
        "the trace function of threads": id(threading.gettrace()),
        "the functions of the garbage collector": tuple(map(id, gc.callbacks)),
        "the signals that are blocked": _blocked(),
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
        "the handlers of loggers": _handlers(),
        "the names of log levels": logging.getLevelNamesMapping(),
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
            (logger.level, logger.propagate, logger.disabled),
            tuple(map(id, logger.handlers)),
            tuple(map(id, logger.filters)),
        )
    for each in signal.Signals:
        state[f"the handler of {each.name}"] = str(signal.getsignal(each))
    for name, module in list(sys.modules.items()):
        if not isinstance(module, types.ModuleType):  # what hides a module, and stand-ins
            continue
        is_python = name.partition(".")[0] in sys.stdlib_module_names and name != "__main__"
        is_plain, is_keyturn = has_values and is_python and name not in _CHANGING, _is_keyturn(name)
        if is_python or name in _CLIENTS or is_keyturn:
            state[name] = members = _Members(vars(module))
            members.has_values = is_plain
        if name in _WITH_CLASSES or is_keyturn:
            state |= _classes(name, module)
        if is_plain:
            state |= _containers(name, module)
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


def _handlers() -> dict[str, list[int]]:
    """Return the handlers of each logger that has some; those that do nothing change nothing."""
    found = {
        name: [id(each) for each in getattr(logger, "handlers", ()) if type(each) is not _NULL]
        for name, logger in logging.root.manager.loggerDict.items()
    }
    return {name: handlers for name, handlers in found.items() if handlers}


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def changed(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Return the names of changed state; new names are not shared yet."""
    found: list[str] = []
    for name, one in before.items():
        other = after.get(name, one)
        if one == other:
            continue
        if isinstance(one, _Members) and isinstance(other, _Members):
            found += [f"{name}.{key}" for key in one.replaced(other)]
        else:
            found.append(name)
    return found


class _Members(dict[str, Any]):
    """The attributes of a module or a class; functions and classes are compared by identity."""

    has_values = False
    """Whether the public strings and numbers are compared as well."""

    def replaced(self, other: _Members) -> Iterator[str]:
        """Yield the names of the functions, classes and values that were replaced."""
        has_values = self.has_values and other.has_values
        for key, value in self.items():
            new = other.get(key, value)
            if new is value:
                continue
            is_plain = isinstance(value, _PLAIN) and isinstance(new, _PLAIN) and new != value
            if isinstance(value, _CODE) or (has_values and is_plain and not key.startswith("_")):
                yield key


class _ClassMembers(_Members):
    """The attributes of a class: new ones are changes too, while a module gets some by imports."""

    def replaced(self, other: _Members) -> Iterator[str]:
        yield from (name for name in other.keys() - self.keys() if name[0] != "_")
        yield from super().replaced(other)


def _is_keyturn(name: str) -> bool:
    return (name == "keyturn" or name.startswith("keyturn.")) and not name.startswith(_KIT)


def _first_names() -> tuple[str, ...]:
    """Return the modules that were there before any provider, which are still there."""
    return tuple(name for name in _FIRST if sys.modules.get(name))


def _blocked() -> frozenset[int]:
    if sys.platform == "win32" or not hasattr(signal, "pthread_sigmask"):
        return frozenset()
    return frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def _containers(name: str, module: Any) -> dict[str, object]:
    """Return what the public containers of a module of Python contain, by their names."""
    return {
        f"{name}.{key}": _contained(value)
        for key, value in vars(module).items()
        if isinstance(value, (dict, list, set)) and not key.startswith("_")
    }


def _contained(container: Any) -> object:
    """Return what a container contains; `id` of each would be slow: audit hooks see its calls."""
    if isinstance(container, dict):
        return dict(container)
    return list(container) if isinstance(container, list) else frozenset(container)


def _classes(name: str, module: Any) -> dict[str, object]:
    """Return what the classes of a module have, by their names."""
    return {
        f"{name}.{key}": _ClassMembers(vars(value).copy())  # a view of them is slow to read
        for key, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == name
    }
