"""Checks of Python and the system, for `keyturn doctor`."""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import os
import platform
import threading
import time
from typing import TYPE_CHECKING, Literal
from urllib.request import getproxies

import attrs

from keyturn import errors
from keyturn._cli.secret_places import keyring_problem
from keyturn._config.directories import user_directory
from keyturn._http.proxies import proxy_for
from keyturn._http.tls import trust_source, trusted_context
from keyturn._plugins.discovery import own_release

if TYPE_CHECKING:
    from collections.abc import Iterator


@attrs.frozen
class Finding:
    """The result of one check of `keyturn doctor`.

    Args:
        subject: The checked part.
        result: `ok`; `limited` if keyturn works, but something is missing; or `failed`.
        found: The state or the mistake; never a secret.
        fix: What to change, unless the result is `ok`.
        code: The exit code of a command that needs the subject.
    """

    subject: str
    result: Literal["ok", "limited", "failed"]
    found: str
    fix: str = ""
    code: int = 0


def surroundings() -> Iterator[Finding]:
    """Yield a finding for each used part of Python and the system; no request is sent."""
    release = own_release()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield Finding("python", "ok", f"{python} on {platform.system()}, keyturn {release}")
    yield from _user()
    yield from _modules()
    yield _hashes()
    yield _threads()
    has_hooks = hasattr(os, "register_at_fork")
    hooks = "os.register_at_fork" if has_hooks else "none: keyturn detects a fork by the process id"
    yield Finding("fork hooks", "ok", hooks)
    yield _clock()
    yield _keyring()
    yield _authorities()
    yield _proxy()


def _user() -> Iterator[Finding]:
    user_id = getattr(os, "geteuid", None)
    if user_id:
        yield Finding("user", "ok", f"{user_id()} ({_user_name(user_id())})")
    for kind, instead in ("config", "KEYTURN_CONFIG"), ("cache", "KEYTURN_STORE"):
        directory = user_directory(kind)
        if directory:
            yield Finding(f"{kind} directory", "ok", str(directory))
            continue
        yield Finding(
            f"{kind} directory",
            "limited",
            "none, because this user has no home directory",
            f"Set {instead}, or HOME or XDG_{kind.upper()}_HOME to an absolute path.",
        )


def _user_name(user_id: int) -> str:
    try:
        return str(importlib.import_module("pwd").getpwuid(user_id).pw_name)
    except (ImportError, KeyError):
        return "no passwd entry"


def _modules() -> Iterator[Finding]:
    try:
        import sqlite3
    except ImportError as error:
        instead = "Set KEYTURN_STORE to memory:// or redis://, or install a Python with sqlite3."
        yield Finding("sqlite3", "limited", f"no disk store: {error}", instead)
        return
    yield Finding("sqlite3", "ok", f"SQLite {sqlite3.sqlite_version}")
    by = (
        "flock (fcntl)" if importlib.util.find_spec("fcntl") else "SQLite, because fcntl is missing"
    )
    yield Finding("locks of the disk store", "ok", by)


def _hashes() -> Finding:
    try:
        hmac.new(b"key", b"", hashlib.sha256).digest()
    except ValueError as error:
        fix = "Allow SHA-256 and HMAC in the configuration of OpenSSL."
        return Finding("hash functions", "failed", f"HMAC with SHA-256: {error}", fix, 1)
    return Finding("hash functions", "ok", "HMAC with SHA-256")


def _threads() -> Finding:
    thread = threading.Thread(target=bool, name="keyturn-doctor")
    try:
        thread.start()
    except RuntimeError as error:
        found = f"none: {error}; token requests run in their caller's thread"
        fix = "Raise the limit of processes (ulimit -u, pids.max, TasksMax)."
        return Finding("threads", "limited", found, fix)
    thread.join()
    return Finding("threads", "ok", f"{threading.active_count()} in this process; more can start")


def _clock() -> Finding:
    """Check whether the clock for token expiry counts suspended time."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return Finding("clock", "ok", "CLOCK_BOOTTIME, which counts suspended time")
    if platform.system() in {"Darwin", "Windows"}:
        return Finding("clock", "ok", "the monotonic clock, which counts suspended time")
    fix = "No change is needed: if an API refuses a token after a suspension, keyturn renews it."
    return Finding("clock", "limited", "a monotonic clock that may not count suspended time", fix)


def _keyring() -> Finding:
    problem = keyring_problem()
    found = f"none ({problem}); keep secrets in files, variables or commands"
    return Finding("keyring", "ok", found if problem else "can store the secrets of connections")


def _authorities() -> Finding:
    name, path = trust_source()
    source = f"{path} ({name})" if path else name
    try:
        found = trusted_context().cert_store_stats()["x509_ca"]
    except errors.KeyturnError as error:
        return Finding("certificate authorities", "failed", error.message, error.hint, 2)
    # OpenSSL reads the certificates of a directory only when it needs them.
    count = f"{found} in {source}" if found or name != "SSL_CERT_DIR" else source
    return Finding("certificate authorities", "ok", count)


def _proxy() -> Finding:
    try:
        proxy = proxy_for("https://token-endpoint.invalid/")
    except errors.KeyturnError as error:
        return Finding("proxy", "failed", error.message, error.hint, 2)
    exceptions = getproxies().get("no")
    found = f"{proxy}, not for {exceptions}" if proxy and exceptions else str(proxy or "none")
    return Finding("proxy", "ok", found)
