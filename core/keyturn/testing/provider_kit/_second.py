"""The second process of the kit: it loads providers and writes their results; see `_elsewhere`."""

from __future__ import annotations

import ast
import contextlib
import datetime as dt
import functools
import importlib
import importlib.util
import io
import json
import logging
import os
import platform
import socket
import sys
import tempfile
import threading
import time
import traceback
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn._http.response import Response
from keyturn._plugins import loading as plugins
from keyturn._providers.provider import Provider
from keyturn.testing.provider_kit._audit import Watch, install, watched
from keyturn.testing.provider_kit._computed import varying
from keyturn.testing.provider_kit._global_state import changed, global_state
from keyturn.testing.provider_kit._outcomes import (
    Case,
    collect_across,
    first_request,
    parts_of,
)

if TYPE_CHECKING:
    from collections.abc import Generator

_MANY = 64
# An earlier time for values than that of `_computed`.
_NOW = 1_800_000_000.0
# Another day, month, year, hour and minute.
_LATER = dt.timedelta(days=401, hours=7, minutes=13)


def main() -> None:
    """Read the specifications of providers, and write the findings."""
    given = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    importlib.import_module("keyturn._plugins.events")  # it adds filters to keyturn's loggers
    move_clock()
    move_host()
    found = [found_of(each) for each in given["providers"]]
    Path(given["out"]).write_text(json.dumps(found), encoding="utf-8")


def _end_with_parent() -> None:
    """End this process with the one that waits for it, and so closes the pipe when it ends."""
    sys.stdin.read()
    os._exit(1)


def found_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the results of one provider, and the side effects of its import."""
    install()
    for name in _imported(given):
        with contextlib.suppress(Exception):
            importlib.import_module(name)  # changes by others are not the provider's
    watch = Watch(tuple(given["places"]), is_strict=True)
    before, modules = global_state(has_values=True), set(sys.modules)
    printed = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            watched(watch) as attempts,
        ):
            provider = _loaded(given)
    except Exception as raised:  # noqa: BLE001 - it is reported
        last = traceback.extract_tb(raised.__traceback__)[-1]
        what = f"raises {type(raised).__name__}" if _is_own(given, last.filename) else ""
        effects = [
            *watch.attempts,
            *([(what, f"{Path(last.filename).name}:{last.lineno}")] if what else []),
        ]
        return {"effects": effects, "problem": f"it can't be loaded ({type(raised).__name__})"}
    loaded = global_state(has_values=True)
    effects = [*attempts, *((f"changes {each}", "") for each in changed(before, loaded))]
    effects += [(each, "") for each in _additions(modules, printed.getvalue())]
    if provider is None:
        return {"effects": effects, "problem": "its class is not at the top level of its module"}
    cases = [Case(**each) for each in given["cases"]]
    reply, error = (_response(given[name]) for name in ("reply", "error"))
    # Nothing that a method sends may leave the machine: the settings have real secrets.
    with moved_platform(), watched(Watch(tuple(given["places"]))):
        first = first_request(provider, cases[-1])
        varying(provider, cases[-1].values, 1, _NOW)  # what keeps it keeps a wrong value
        # Before all else that makes values: a counter begins anew here.
        repeated = varying(provider, cases[-1].values, _MANY)
        outcomes = collect_across(provider, cases, reply, error)
    touched = changed(loaded, global_state(has_values=True))
    return {
        "effects": effects,
        "outcomes": outcomes,
        "touched": touched,
        "made": repeated,
        "first": parts_of(first),
    }


def _imported(given: dict[str, Any]) -> list[str]:
    """Return the modules that a provider's own module imports, without those of its package."""
    own = given["module"].partition(".")[0]
    return [each for each in _imports(given["file"]) if each.partition(".")[0] != own]


@functools.lru_cache(maxsize=64)
def _imports(file: str) -> list[str]:
    """Return the modules that a file imports."""
    found: list[str] = []
    for node in ast.walk(ast.parse(Path(file).read_bytes())):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module)
    return found


def _additions(modules: set[str], printed: str) -> list[str]:
    """Return the shared state that an import has added."""
    found = ["prints"] if printed else []
    for name in set(sys.modules) - modules:
        spec = getattr(sys.modules[name], "__spec__", None)
        if spec is not None and spec.name in modules:
            found.append(f"gives the module {spec.name} another name, {name}")
    return found


def _elsewhere(*_: object, **__: object) -> str:
    return "elsewhere"


def move_host() -> None:
    """Make this process appear to run on another host, as another user."""
    user: Any = os
    for name in ("node", "system", "release", "version", "machine", "processor", "platform"):
        setattr(platform, name, _elsewhere)
    platform.uname = lambda: platform.uname_result(*["elsewhere"] * 5)
    logging.root.setLevel(logging.DEBUG)
    uuid.getnode = lambda: 1
    tempfile.tempdir = str(Path.cwd())
    user.getuid = user.geteuid = user.getgid = lambda: 7
    user.cpu_count = lambda: 97
    socket.if_nameindex = lambda: [(1, "elsewhere")]
    for name in {"uname"} & vars(os).keys():  # Windows has none
        system, _, *others = user.uname()
        setattr(user, name, functools.partial(user.uname_result, (system, "elsewhere", *others)))


def _loaded(given: dict[str, Any]) -> Provider[Any] | None:
    """Import a provider's module, and return the provider; None if it can't be found in it."""
    if given["entry"]:
        return plugins.provider(given["entry"])
    module: Any = _module(given["module"], given["file"])
    found: Any = module
    for name in given["class"].split("."):
        found = getattr(found, name, None)
    if isinstance(found, type) and issubclass(found, Provider):
        return found()
    instances = (each for each in vars(module).values() if isinstance(each, Provider))
    own = (each for each in instances if each.name == given["name"])
    return next(own, None)


def _module(name: str, file: str) -> Any:
    """Import a module by its name, or by its file if the name finds another one."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        specification = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        specification = None
    if specification is not None and specification.origin == file:
        return importlib.import_module(name)
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None  # noqa: S101 - the file has been imported in the first process
    assert specification.loader is not None  # noqa: S101 - as above
    module = sys.modules[name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _is_own(given: dict[str, Any], file: str) -> bool:
    return any(file.startswith(each) for each in given["places"])


def _response(given: dict[str, Any]) -> Response:
    return Response(
        given["status"], given["headers"], given["body"].encode("latin-1"), given["sent_at"]
    )


@contextlib.contextmanager
def moved_platform() -> Generator[None]:
    """Let this process seem to be on another platform, and of another version of Python.

    Only what is imported by then works: modules differ by it.
    """
    usual = sys.version_info
    version = _Version(usual.major, usual.minor + 1, 7, usual.releaselevel, 7)
    text = sys.version.replace(platform.python_version(), "3.77.7", 1)
    with (
        _replaced(
            sys, platform="elsewhere", executable="/elsewhere", version=text, version_info=version
        ),
        _replaced(os, name="elsewhere"),
        _replaced(platform, python_version=lambda: "3.77.7"),
    ):
        yield


@contextlib.contextmanager
def _replaced(module: Any, **members: object) -> Generator[None]:
    with contextlib.ExitStack() as stack:
        for name, value in members.items():
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        yield


class _Version(NamedTuple):
    major: int
    minor: int
    micro: int
    releaselevel: str
    serial: int


def move_clock() -> None:
    """Set the wall clock of this process ahead, for modules imported from now on."""
    now, now_ns, ahead = time.time, time.time_ns, _LATER.total_seconds()
    local, utc, text = time.localtime, time.gmtime, time.strftime
    time.time, monotonic = lambda: now() + ahead, time.monotonic
    time.monotonic = lambda: monotonic() + ahead
    time.time_ns = lambda: now_ns() + int(ahead) * 10**9

    def strftime(form: str, *at: Any) -> str:
        return text(form, *(at or (time.localtime(),)))

    time.localtime = lambda seconds=None: local(time.time() if seconds is None else seconds)
    time.gmtime = lambda seconds=None: utc(time.time() if seconds is None else seconds)
    time.strftime = strftime

    real, real_date = dt.datetime, dt.date

    class AsBefore(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, real if cls.__name__ == "Later" else real_date)

    class Later(dt.datetime, metaclass=AsBefore):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return super().now(tz) + _LATER

        @classmethod
        def utcnow(cls) -> Any:
            return super().now(dt.UTC).replace(tzinfo=None) + _LATER

        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(time.time())

    class LaterDate(dt.date, metaclass=AsBefore):
        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(time.time())

    dt.datetime = Later  # type: ignore[misc]
    dt.date = LaterDate  # type: ignore[misc]


if __name__ == "__main__":
    main()
