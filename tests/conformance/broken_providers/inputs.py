"""Providers that read, reach or change something other than their arguments."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
import warnings
from pathlib import Path

import attrs
import httpx

import keyturn

from .base import Acme, at_top, broken


def _in_request(work):
    """Return a provider that does something while it makes the token request."""

    def token_request(self, settings):
        with contextlib.suppress(Exception):
            work(settings)
        return Acme.token_request(self, settings)

    return at_top(__name__, type("Working", (Acme,), {"token_request": token_request}))


def _send():
    with socket.socket(type=socket.SOCK_DGRAM) as made:
        made.sendto(b"a", _LOCAL)


_LOCAL = ("127.0.0.1", 9)
_IN_REQUEST = {
    "an environment variable": (lambda _: os.environ.get("ACME_REGION"), "variable ACME_REGION"),
    "os.getenv": (lambda _: os.getenv("ACME_REGION", "eu"), "variable ACME_REGION"),
    "a membership of os.environ": (lambda _: "ACME" in os.environ, "variable ACME"),
    "a file": (lambda _: Path("/etc/hostname").read_text(encoding="utf-8"), "opens a file"),
    "os.open": (lambda _: os.open("/etc/hostname", os.O_RDONLY), "opens a file"),
    "a directory": (lambda _: os.listdir("/"), "reads a directory"),
    "a temporary file": (lambda _: tempfile.mkstemp(), "opens a file"),
    "a database": (lambda _: sqlite3.connect(":memory:").close(), "opens a database"),
    "a socket": (lambda _: socket.create_connection(_LOCAL, 1).close(), "resolves a host name"),
    "a datagram": (lambda _: _send(), "sends to another host"),
    "a host name": (lambda _: socket.gethostbyname("acme.invalid"), "resolves a host name"),
    "urllib": (lambda _: urllib.request.urlopen("http://127.0.0.1:9", timeout=1), "token_request"),
    "httpx": (
        lambda _: httpx.post("http://127.0.0.1:9", timeout=1, trust_env=False),
        "token_request",
    ),
    "a process": (lambda _: subprocess.run(["true"], check=False), "starts a process"),
    "a shell": (lambda _: os.system("true"), "starts a process"),
    "a thread": (lambda _: threading.Thread(target=print).start(), "starts a thread"),
    "a pause": (lambda _: time.sleep(0.01), "sleeps"),
    "the host's name": (lambda _: socket.gethostname(), "reads the host's name"),
}
for _what, (_work, _message) in _IN_REQUEST.items():
    broken(f"{_what} while the token request is made", "no_input_or_output", _message)(
        _in_request(_work)
    )


def _always(method, work):
    """Return a provider whose method does something first."""

    def changed(self, *arguments):
        with contextlib.suppress(Exception):
            work(*arguments)
        return getattr(Acme, method)(self, *arguments)

    return at_top(__name__, type("Doing", (Acme,), {method: changed}))


broken("a request to an API while a token is read", "no_input_or_output", "read_token")(
    _always("read_token", lambda *_: socket.create_connection(_LOCAL, 1).close())
)
broken("a file of errors", "no_input_or_output", "read_error opens a file")(
    _always("read_error", lambda *_: Path("/etc/hostname").read_bytes())
)
broken("a variable in warnings", "no_input_or_output", "warnings reads the environment variable")(
    _always("warnings", lambda *_: os.environ.get("ACME_QUIET"))
)
broken("a changed environment", "no_input_or_output", "changes an environment variable")(
    _always("token_request", lambda *_: os.environ.update(ACME="1"))
)
broken("a changed log", "nothing_changed", "changes the logger root, which")(
    _always("token_request", lambda *_: logging.getLogger().setLevel(logging.CRITICAL))
)
broken("changed warnings", "nothing_changed", "changes the warning filters")(
    _always("api_request_headers", lambda *_: warnings.simplefilter("always", ResourceWarning))
)
broken("a changed timeout of all sockets", "nothing_changed", "socket's default timeout")(
    _always("token_request", lambda *_: socket.setdefaulttimeout(99.0 + random.random()))
)


def _patch(*_):
    usual = json.dumps
    json.dumps = lambda *arguments, **options: usual(*arguments, **options)


broken("a changed module", "nothing_changed", "changes json.dumps")(_always("scope", _patch))


def _patch_keyturn(*_):
    keyturn.plugins.TokenRequest.redacted = lambda self: attrs.evolve(self)


broken("a changed keyturn", "nothing_changed", "TokenRequest.redacted")(
    _always("authorization", _patch_keyturn)
)


def _trust(*_):
    ssl.SSLContext.verify_mode = property(lambda _: ssl.CERT_NONE)


broken("all certificates trusted", "nothing_changed", "changes ssl.SSLContext.verify_mode")(
    _always("scope", _trust)
)
broken("a file that may be read", "no_input_or_output", "api_url_for reads the permissions")(
    _always("api_url_for", lambda *_: os.access("/etc/acme", os.R_OK))
)
