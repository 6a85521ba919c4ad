"""Credentials and scopes that are changed before they are sent; values that hide inputs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import itertools
import time
import warnings
from datetime import datetime
from time import perf_counter
from urllib.parse import quote, unquote

import attrs

import keyturn
from keyturn import Secret

from .base import Acme, broken

_NUMBERS = itertools.count()


def _sending(change):
    """Return a provider that changes the client secret before it is sent."""

    def token_request(self, settings):
        request = Acme.token_request(self, settings)
        pairs = tuple(
            (name, Secret(change(value.reveal())) if name == "client_secret" else value)
            for name, value in request.parameters
        )
        return attrs.evolve(request, parameters=pairs)

    return type("Sending", (Acme,), {"token_request": token_request, "__module__": __name__})


for _what, _change in {
    "in lower case": str.lower,
    "in upper case": str.upper,
    "with its case folded": str.casefold,
    "cut after 72 characters": lambda secret: secret[:72],
    "cut after 256 characters": lambda secret: secret[:256],
    "without its backslashes": lambda secret: secret.replace("\\", ""),
    "for a page": html.escape,
    "in Latin 1": lambda secret: secret.encode("latin-1", "replace").decode("latin-1"),
    "stripped of slashes": lambda secret: secret.rstrip("/"),
    "stripped of its padding": lambda secret: secret.strip("="),
    "stripped of zeros": lambda secret: secret.lstrip("0"),
    "decoded": unquote,
    "without its last character": lambda secret: secret[:-1] + "x",
    "with + for spaces": lambda secret: secret.replace(" ", "+").replace("+", " "),
}.items():
    broken(f"a secret {_what}", "exact_credentials", "token_request")(_sending(_change))

broken("a secret encoded twice", "exact_credentials", "encoded twice")(
    _sending(lambda secret: quote(secret, safe=""))
)


class _Value(keyturn.plugins.DynamicValue):
    """A correct value, for the settings that it is computed from."""

    def __init__(self, settings) -> None:
        self.settings = settings

    def value(self, now):
        key = self.settings.client_secret.reveal().encode()
        text = f"{self.settings.tenant}:{int(now)}".encode()
        return hmac.new(key, text, "sha256").hexdigest()

    def inputs(self):
        return (self.settings.tenant, self.settings.client_secret)


def _signed(kind):
    """Return a provider that signs its token requests."""

    def token_request(self, settings):
        request = Acme.token_request(self, settings)
        header = ("X-Signature", kind(settings))
        return attrs.evolve(request, extra_headers=(*request.extra_headers, header))

    return type("Signed", (Acme,), {"token_request": token_request, "__module__": __name__})


Signed = _signed(_Value)


class _NoTenant(_Value):
    def value(self, now):
        return f"{self.settings.side}{super().value(now)}"


class _NoInputs(_Value):
    def inputs(self):
        return ()

    def value(self, now):
        return self.settings.side


class _Clock(_Value):
    def value(self, now):
        return f"{int(time.time())}"


class _Ticks(_Value):
    def value(self, now):
        return f"{perf_counter()}"


class _Utc(_Value):
    def value(self, now):
        with warnings.catch_warnings(action="ignore"):  # Python 3.12 deprecates it
            return f"{datetime.utcnow()}"


class _NoSecrets(_Value):
    def secrets(self):
        return ()

    def value(self, now):
        secret = self.settings.client_secret.reveal()
        return base64.b64encode(hashlib.sha256(f"pepper:{secret}".encode()).digest()).decode()


class _PlainInputs(_NoSecrets):
    def inputs(self):
        return (self.settings.tenant, self.settings.client_secret.reveal())

    def secrets(self):
        return [each for each in self.inputs() if isinstance(each, Secret)]


class _EmptiedInputs(_Value):
    def __init__(self, settings) -> None:
        super().__init__(settings)
        self._inputs = iter((settings.tenant, settings.client_secret))

    def inputs(self):
        return self._inputs


class _Bytes(_Value):
    def value(self, now):
        return super().value(now).encode()


class _Raises(_Value):
    def value(self, now):
        raise RuntimeError(self.settings.client_secret.reveal())


class _Counted(_Value):
    def inputs(self):
        return (*super().inputs(), str(next(_NUMBERS)))


class _TwoLines(_Value):
    def value(self, now):
        return f"{super().value(now)}\nX-Made-Up: 1"


broken("a value that does not name a setting", "dynamic_values", "_NoTenant.inputs")(
    _signed(_NoTenant)
)
broken("a value that names nothing", "dynamic_values", "_NoInputs.inputs")(_signed(_NoInputs))
broken("a value that reads the clock", "dynamic_values", "_Clock.value")(_signed(_Clock))
broken("a value that reads the processor's clock", "dynamic_values", "_Ticks.value of the header")(
    _signed(_Ticks)
)
broken("a value that reads the date", "dynamic_values", "_Utc.value of the header")(_signed(_Utc))
broken("a value that hides no secret", "dynamic_values", "_NoSecrets.secrets")(_signed(_NoSecrets))
broken("a value of a plain secret", "dynamic_values", "_PlainInputs.secrets")(_signed(_PlainInputs))
broken("a value whose inputs end", "dynamic_values", "_EmptiedInputs.inputs")(
    _signed(_EmptiedInputs)
)
broken("a value of bytes", "dynamic_values", "_Bytes.value")(_signed(_Bytes))
broken("a value that raises", "dynamic_values", "RuntimeError was raised")(_signed(_Raises))
broken("a value of another number each time", "repeatable_request", "X-Signature")(
    _signed(_Counted)
)
broken("a value of two lines", "well_formed_request", "X-Signature")(_signed(_TwoLines))


@broken("a scope in lower case", "scope_values_sent", "'Made-Up' of scope is not sent")
class LowerScope(Acme):
    def scope(self, settings):
        return tuple(each.lower() for each in super().scope(settings))


@broken("one value of scope", "scope_values_sent", "of scope is not sent")
class OneScope(Acme):
    def scope(self, settings):
        return super().scope(settings)[:1]


@broken("an ignored scope", "scope_values_sent", "of scope is not sent")
class NoScope(Acme):
    def scope(self, settings):
        return ()


@broken("a wider scope", "scope_values_sent", "scope adds 'admin'")
class WiderScope(Acme):
    def scope(self, settings):
        given = super().scope(settings)
        return (*given, "admin") if len(given) > 1 else given


@broken("a scope that is a string", "scope_values_sent", "scope returns str")
class StringScope(Acme):
    def scope(self, settings):
        return " ".join(super().scope(settings))


@broken("a secret as a plain string", "secret_strings", "pass_code")
def plain_secret():
    class CodeSettings(Acme.settings):
        pass_code: str = keyturn.plugins.setting("Pass code", default="made-up-code")

    def token_request(self, settings):
        request = Acme.token_request(self, settings)
        code = ("code", Secret(settings.pass_code))
        return attrs.evolve(request, parameters=(*request.parameters, code))

    return type("Coded", (Acme,), {"settings": CodeSettings, "token_request": token_request})()
