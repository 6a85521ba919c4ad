"""The correct provider that the broken ones vary, and the list of broken providers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

import keyturn

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = {
    "tenant": "blue",
    "client_id": "made-up-client",
    "client_secret": "s3cret-for-tests",
}


class AcmeSettings(keyturn.plugins.ConfidentialSettings):
    """The settings of the correct provider."""

    tenant: str = keyturn.plugins.label("Tenant", "Your name at Acme.")
    side: str = keyturn.plugins.setting("Side", "A side of the shop.", default="front")
    scope: tuple[str, ...] | None = keyturn.plugins.setting(
        "Scope", "What it is for.", default=None
    )


class Acme(keyturn.plugins.Provider[Any]):
    """A provider without a mistake."""

    name = "acme"
    title = "Acme"
    settings = AcmeSettings
    token_url = "https://{tenant}.acme.example/oauth/token"
    api_url = "https://{tenant}.acme.example/api"
    api_headers: ClassVar = {"X-Side": "{side}"}


@attrs.frozen(kw_only=True)
class Broken:
    """A broken provider.

    Args:
        what: What is wrong with it.
        check: The check that must catch it.
        message: What the message must name.
        provider: The provider.
        kind: The kind of its defect: the module's name.
        settings: The settings to try it with.
    """

    what: str
    check: str
    message: str
    provider: keyturn.plugins.Provider[Any]
    kind: str
    settings: dict[str, Any]


BROKEN: list[Broken] = []


def at_top(module: str, cls: type) -> type:
    """Put a class at the top level of a module, where a second process finds it."""
    number = len(vars(sys.modules[module]))
    cls.__module__, cls.__qualname__ = module, f"{cls.__name__}{number}"
    setattr(sys.modules[module], cls.__qualname__, cls)
    return cls


def broken(what: str, check: str, message: str, **settings: Any) -> Callable[[Any], Any]:
    """Add a class, or the class that a function returns, to the list."""

    def add(made: Any) -> Any:
        kind = made.__module__.rpartition(".")[2]
        listed = {"what": what, "check": check, "message": message, "kind": kind}
        BROKEN.append(Broken(**listed, provider=made(), settings=SETTINGS | settings))
        return made

    return add
