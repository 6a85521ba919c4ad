"""Values that differ from one process to the next."""

from __future__ import annotations

import datetime
import os
import platform
import random
import time
import uuid
from pathlib import Path

import attrs

import keyturn

from .base import Acme, broken

_RUN = uuid.uuid4()
_STARTED = time.strftime("%Y-%m-%d %H:%M")
_NUMBER = random.random()
_TODAY = datetime.date.today()
_KINDS = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"}


def _with_header(request, value):
    return attrs.evolve(request, extra_headers=(*request.extra_headers, ("X-Made-Up", value)))


class ManyScopes(Acme.settings):
    """Settings whose scope has some values by default."""

    scope: tuple[str, ...] = keyturn.plugins.setting(
        "Scope", default=("read", "write", "list", "open", "close", "send", "take")
    )


@broken("a scope through a set", "other_process", "scope")
class ScopeThroughSet(Acme):
    settings = ManyScopes

    def scope(self, settings):
        return tuple(set(super().scope(settings)))


@broken("a UUID of the import in a header", "other_process", "header X-Made-Up")
class ImportedUuid(Acme):
    def token_request(self, settings):
        return _with_header(super().token_request(settings), str(_RUN))


@broken("the process's number in a header", "other_process", "header X-Made-Up")
class ProcessNumber(Acme):
    def token_request(self, settings):
        return _with_header(super().token_request(settings), f"acme/{os.getpid()}")


@broken("the time of the import in a header", "other_process", "header X-Made-Up")
class ImportedTime(Acme):
    def token_request(self, settings):
        return _with_header(super().token_request(settings), _STARTED)


@broken("the day of the import in the partition", "other_process", "partition")
class ImportedDay(Acme):
    def token_request(self, settings):
        return attrs.evolve(super().token_request(settings), partition=str(_TODAY))


@broken("a random number of the import in a parameter", "other_process", "parameter nonce")
class ImportedNumber(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        return attrs.evolve(request, parameters=(*request.parameters, ("nonce", str(_NUMBER))))


@broken("a hash in the partition", "other_process", "partition")
class HashedTenant(Acme):
    def token_request(self, settings):
        partition = str(hash(settings.tenant))
        return attrs.evolve(super().token_request(settings), partition=partition)


@broken("an address of the memory in the partition", "other_process", "partition")
class MemoryAddress(Acme):
    def token_request(self, settings):
        return attrs.evolve(super().token_request(settings), partition=str(id(type(self))))


@broken("the host's name in a header", "other_process", "header X-Made-Up")
class HostName(Acme):
    def token_request(self, settings):
        return _with_header(super().token_request(settings), platform.node() or "none")


@broken("parameters in a set's order", "other_process", "order of parameters")
class ParametersOfSet(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        further = tuple((name, "1") for name in _KINDS)
        return attrs.evolve(request, parameters=(*request.parameters, *further))


@broken("the working directory in API requests", "other_process", "api_request_headers")
class WorkingDirectory(Acme):
    def api_request_headers(self, settings, token):
        return {**super().api_request_headers(settings, token), "X-From": str(Path.cwd())}


@broken("the day in the address of the API", "other_process", "api_url_for")
class DayInAddress(Acme):
    def api_url_for(self, settings, token):
        year = datetime.datetime.now().year
        return settings.api_url or f"https://{settings.tenant}.acme.example/{year}"


@broken("a lifetime that depends on the day", "other_process", "assumed_lifetime")
class LifetimeByDay(Acme):
    def assumed_lifetime(self, settings):
        return 600 + time.localtime().tm_yday


@broken("a random number in API requests", "isolation", "api_request_headers")
class RandomHeader(Acme):
    def api_request_headers(self, settings, token):
        number = str(random.random())
        return {**super().api_request_headers(settings, token), "X-Request": number}
