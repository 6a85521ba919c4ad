"""Settings whose checks and choices are wrong in some cases."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import attrs

import keyturn
from keyturn.plugins import choice, setting

from .base import Acme, at_top, broken

_USED = set()
_HOSTS = {}
for _region in ("eu", "us", "ap"):
    _HOSTS[_region] = lambda tenant: f"https://{tenant}.{_region}.acme.example"  # noqa: B023 - the mistake


def _unused_so_far(value):
    if value in _USED:
        return "is used already"
    _USED.add(value)
    return None


def _any(look):
    def check(value):
        with contextlib.suppress(OSError):
            look(value)

    return check


def _checked(check):
    """Return a provider with a setting that has its own check."""

    class ShopSettings(Acme.settings):
        shop: str = setting("Shop", default="a", check=check)

    data = {"settings": ShopSettings, "parameters": {"shop": "{shop}"}, "__module__": __name__}
    return type("Checked", (Acme,), data)


broken("a check that remembers", "settings_alone", "the setting shop is valid or not")(
    _checked(_unused_so_far)
)
broken("a check that reads a file", "no_input_or_output", "the check of a setting, opens a file")(
    _checked(_any(lambda _: Path("/etc/hostname").read_bytes()))
)
broken("a check that reads a variable", "no_input_or_output", "environment variable ACME_SHOPS")(
    _checked(lambda _: os.environ.get("ACME_SHOPS"))
)


def _with_problems(problems):
    """Return a provider whose settings are checked together."""
    namespace = {"problems": problems, "__module__": __name__}
    cls = type("OtherSettings", (Acme.settings,), namespace)
    return type("Other", (Acme,), {"settings": cls, "__module__": __name__})


def _raising(own):
    if own.side == "back":
        raise ValueError("side")
    return ()


def _lowering(own):
    object.__setattr__(own, "side", own.side.lower())
    return ()


def _of_scopes(own):
    if own.scope and len(own.scope) > 1:
        yield "scopes: only one"


broken("problems that raise for one value", "settings_alone", "ValueError was raised in _raising")(
    _with_problems(_raising)
)
broken("problems that change the settings", "plugin_messages", "problems changes the settings")(
    _with_problems(_lowering)
)
broken("problems of no setting, for several values", "plugin_messages", "problems names scopes")(
    _with_problems(_of_scopes)
)
broken("problems that may be nothing", "plugin_messages", "problems returns NoneType, not strings")(
    _with_problems(lambda own: () if own.side == "front" else None)
)
broken("problems as a string", "plugin_messages", "problems returns a string")(
    _with_problems(lambda own: "side: is wrong" if own.side == "back" else "")
)
broken("a variable in problems", "no_input_or_output", "the environment variable ACME_STRICT")(
    _with_problems(lambda _: filter(None, [os.environ.get("ACME_STRICT", "")]))
)


class SameSettings(Acme.settings):
    """Settings that are one object for all connections."""

    _one = []

    def __new__(cls, **_):
        cls._one = cls._one or [object.__new__(cls)]
        return cls._one[0]


@broken("settings that are one object", "settings_alone", "SameSettings returns the same object")
class Same(Acme):
    settings = SameSettings


class RegionSettings(Acme.settings):
    """Settings with a choice."""

    region: str = choice("Region", choices={"eu": "eu", "us": "us", "ap": "ap"}, default="eu")


def _regional(method, make):
    """Return a provider with a region, and its own method."""
    namespace = {"settings": RegionSettings, method: make}
    return at_top(__name__, type("Regional", (Acme,), namespace))


broken("a choice without a host", "isolation", "api_url_for raises KeyError for region as 'ap'")(
    _regional(
        "api_url_for",
        lambda _, settings, __: (
            settings.api_url
            or {"eu": "https://eu.acme.example", "us": "https://us.acme.example"}[settings.region]
        ),
    )
)
broken("a choice of one host", "forgotten_settings", "whatever the setting region is")(
    _regional(
        "api_url_for",
        lambda _, settings, __: (
            settings.api_url
            or {"eu": "https://eu.acme.example"}.get(settings.region, "https://eu.acme.example")
        ),
    )
)
broken("hosts of the last of a loop", "forgotten_settings", "whatever the setting region is")(
    _regional(
        "api_url_for",
        lambda _, settings, __: settings.api_url or _HOSTS[settings.region](settings.tenant),
    )
)
broken("http in one region", "well_formed_request", "not https for region as 'ap'")(
    _regional(
        "api_url_for",
        lambda _, settings, __: (
            settings.api_url
            or f"http{'' if settings.region == 'ap' else 's'}://{settings.region}.acme.example"
        ),
    )
)


def _of_one_scope(self, settings):
    if len(settings.scope or ()) > 1:
        raise ValueError("one scope")
    return Acme.token_request(self, settings)


broken("several scopes that raise", "isolation", "token_request raises ValueError for several")(
    at_top(__name__, type("OfOne", (Acme,), {"token_request": _of_one_scope}))
)


@broken("a number as a header", "well_formed_request", "the header 'X-Version' as int")
class NumberInHeader(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        return attrs.evolve(request, extra_headers=(*request.extra_headers, ("X-Version", 7)))


@broken("no value for a parameter", "well_formed_request", "the parameter 'resource' as NoneType")
class NoParameter(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        return attrs.evolve(request, parameters=(*request.parameters, ("resource", None)))


@broken("a setting as a header's name", "hostile_strings", "of API requests holds")
def setting_as_name():
    class NameSettings(Acme.settings):
        header: str = setting("Header", default="X-Shop")

    def api_request_headers(self, settings, token):
        return {"X-Side": settings.side, settings.header: "1"}

    namespace = {"settings": NameSettings, "api_request_headers": api_request_headers}
    return type("Named", (Acme,), namespace)()


@broken("a print", "no_input_or_output", "token_request prints")
class Prints(Acme):
    def token_request(self, settings):
        print("requesting for", settings.tenant)  # noqa: T201 - this is the defect
        return super().token_request(settings)


@broken("the names of the networks", "other_process", "header X-Made-Up")
class Networks(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        names = "-".join(name for _, name in socket.if_nameindex())
        return attrs.evolve(request, extra_headers=(*request.extra_headers, ("X-Made-Up", names)))


@broken("the user's number", "other_process", "header X-Made-Up")
class UserNumber(Acme):
    def token_request(self, settings):
        request = super().token_request(settings)
        number = ("X-Made-Up", str(os.getuid()))
        return attrs.evolve(request, extra_headers=(*request.extra_headers, number))


class _OfficeSettings(Acme.settings):
    region: str = choice("Region", choices={"eu": "eu", "us": "us"}, default="eu")
    office: str | None = setting("Office", default=None)


@broken("a required setting of another region, checked late", "isolation", "of its own")
class LateCheck(Acme):
    settings = _OfficeSettings
    parameters = {"office": "{office}", "region": "{region}"}

    def token_request(self, settings):
        if settings.region == "us" and settings.office is None:
            raise keyturn.errors.ConfigurationError("office is required in the region us.")
        return super().token_request(settings)
