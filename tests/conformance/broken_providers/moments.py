"""What lasts for a moment only: state that is restored, lazy values, waits, a platform."""

from __future__ import annotations

import logging
import os
import platform
import select
import sys
import threading
import time
from pathlib import Path
from time import sleep
from types import SimpleNamespace

import attrs

import keyturn

from .base import Acme, at_top, broken

_CURRENT = []
_NOW = {}
_HELD = SimpleNamespace(side="")
_EVENT = threading.Event()


@broken("a list that holds the tenant for a moment", "isolation", "while another thread calls it")
class ListForAMoment(Acme):
    def token_request(self, settings):
        _CURRENT.append(settings.tenant)
        try:
            url = settings.token_url or f"https://{_CURRENT[-1]}.acme.example/oauth/token"
            return attrs.evolve(super().token_request(settings), url=url)
        finally:
            _CURRENT.pop()


@broken("a table that holds settings for a moment", "isolation", "api_url_for returns another")
class TableForAMoment(Acme):
    def api_url_for(self, settings, token):
        _NOW["settings"] = settings
        try:
            return self._address()
        finally:
            del _NOW["settings"]

    def _address(self):
        settings = _NOW["settings"]
        return settings.api_url or f"https://{settings.tenant}.acme.example/api"


@broken("a class attribute for a moment", "isolation", "api_request_headers returns another")
class ClassAttributeForAMoment(Acme):
    side_now = None

    def api_request_headers(self, settings, token):
        type(self).side_now = settings.side
        try:
            return {"X-Side": type(self).side_now}
        finally:
            type(self).side_now = None


@broken("an object's attribute for a moment", "isolation", "api_request_headers returns another")
class HeldForAMoment(Acme):
    def api_request_headers(self, settings, token):
        _HELD.side = settings.side
        headers = {"X-Side": _HELD.side}
        _HELD.side = ""
        return headers


@broken("a datum that is another for a moment", "isolation", "api_request_headers returns another")
class DatumForAMoment(Acme):
    def api_request_headers(self, settings, token):
        usual = type(self).api_headers
        type(self).api_headers = {"X-Side": settings.side, "X-Tenant": settings.tenant}
        try:
            return super().api_request_headers(settings, token)
        finally:
            type(self).api_headers = usual


@broken("a default argument that is empty again", "isolation", "api_url_for returns another")
class DefaultForAMoment(Acme):
    def api_url_for(self, settings, token, held={}):
        held["tenant"] = settings.tenant
        address = settings.api_url or f"https://{held['tenant']}.acme.example/api"
        held.clear()
        return address


@broken("a client that registers once", "isolation", "when it is called for the first time")
class RegistersOnce(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        if settings.client_id in _NOW:
            return request
        _NOW[settings.client_id] = True
        return attrs.evolve(request, parameters=(*request.parameters, ("register", "1")))


def _lazy(method, does):
    """Return a value one of whose methods does something."""
    usual = {"value": lambda self, now: "a", "inputs": lambda self: ()}
    members = usual | {method: lambda *_: (does(), usual.get(method, lambda *_: ())(0, 0))[1]}
    return type("Lazy", (keyturn.plugins.DynamicValue,), {"__module__": __name__, **members})


def _requested(value):
    """Return a provider whose token request has a header."""

    def token_request(self, settings):
        request = Acme.token_request(self, settings)
        return attrs.evolve(request, extra_headers=(*request.extra_headers, ("X-Made-Up", value())))

    return at_top(__name__, type("Requested", (Acme,), {"token_request": token_request}))


def _revoked(value):
    """Return a provider whose revocation request has a header."""

    def revocation_request(self, settings, token):
        address = self.expand("https://{tenant}.acme.example/out", settings)
        request = self.revocation_to(settings.revocation_url or address, settings, token)
        return attrs.evolve(request, extra_headers=(*request.extra_headers, ("X-Made-Up", value())))

    return at_top(__name__, type("Revoked", (Acme,), {"revocation_request": revocation_request}))


def _read():
    return Path("/etc/hostname").read_bytes()


for _what, _provider, _message in (
    ("a file in a value", _requested(_lazy("value", _read)), "Lazy.value of the header X-Made-Up"),
    ("a file in inputs", _requested(_lazy("secrets", _read)), "Lazy.secrets of the header"),
    ("a file in a revocation", _revoked(_lazy("value", _read)), "Lazy.value of the header"),
    (
        "a variable in a revocation",
        _revoked(_lazy("value", lambda: os.environ.get("ACME"))),
        "reads the environment variable ACME",
    ),
):
    broken(_what, "no_input_or_output", _message)(_provider)

for _what, _value in {
    "the platform": platform.platform,
    "the machine": platform.machine,
    "the name of the system": lambda: sys.platform,
    "the kind of the system": lambda: os.name,
    "the interpreter": lambda: sys.executable,
    "the version of Python": lambda: "python/{}.{}".format(*sys.version_info),
    "the level of the log": lambda: str(logging.getLogger("acme").getEffectiveLevel()),
}.items():
    broken(f"{_what} in a header", "other_process", "header X-Made-Up")(_requested(_value))


def _spins():
    end = time.monotonic() + 3600
    for _ in range(5000):  # or the other checks would never end
        if time.monotonic() > end:
            break


def _refusing(waits, is_waiting):
    """Return a provider that waits when it reads some errors."""

    def read_error(self, settings, response):
        if is_waiting(response):
            waits()
        return Acme.read_error(self, settings, response)

    return at_top(__name__, type("Refusing", (Acme,), {"read_error": read_error}))


for _what, _waits, _is_waiting, _message in (
    ("a pause after 429", lambda: time.sleep(0), lambda each: each.status == 429, "sleeps"),
    (
        "a pause that a header says",
        lambda: sleep(0),
        lambda r: "retry-after" in r.headers,
        "sleeps",
    ),
    ("a wait after 503", lambda: _EVENT.wait(0), lambda each: each.status == 503, "waits"),
    ("a loop after 503", _spins, lambda each: each.status == 503, "waits in a loop that reads"),
    ("a select after 500", lambda: select.select([], [], [], 0), lambda r: r.status > 499, "waits"),
):
    broken(_what, "no_input_or_output", f"read_error {_message}")(_refusing(_waits, _is_waiting))
