"""Providers, and a way to check one, that the tests of the conformance kit share."""

from __future__ import annotations

from typing import Any, Literal

import keyturn
from keyturn.testing.provider_kit._examples import CheckFailed, Examples
from keyturn.testing.provider_kit._run import check
from keyturn.testing.provider_kit._subject import opened

PLAIN = {"token_url": "https://acme.example/token"}
REQUEST = {"method": "POST", "url": "https://acme.example/token"}


def provider_from_data(**data: Any) -> keyturn.plugins.Provider[Any]:
    """Return a provider declared as data, with the given changes."""
    return keyturn.plugins.provider_from_data(PLAIN | data, name="acme")


def failure(
    name: str, provider: keyturn.plugins.Provider[Any], **examples: Any
) -> CheckFailed | None:
    """Return the failure of one check of a provider, or None."""
    with opened(provider, {}, Examples(**examples)) as subject:
        return check(name, subject)


class ManySettings(keyturn.plugins.ConfidentialSettings):
    """Settings of every kind, all required."""

    label: str = keyturn.plugins.label("Label")
    address: str = keyturn.plugins.url("Address")
    kind: Literal["b", "a"] = keyturn.plugins.setting("Kind")
    selector: str = keyturn.plugins.setting("Selector", schema={"pattern": "^(id|code):.+$"})
    number: int = keyturn.plugins.setting("Number", schema={"minimum": 7})
    share: float = keyturn.plugins.setting("Share")
    is_live: bool = keyturn.plugins.setting("Live")
    scope: tuple[str, ...] = keyturn.plugins.setting("Scope")
    side: str = keyturn.plugins.choice("Side", choices={"front": "f", "back": "b"})


class Many(keyturn.plugins.Provider[ManySettings]):
    """A provider with settings of every kind."""

    name = "many"
    title = "Many"
    settings = ManySettings
    token_url = "https://{label}.acme.example/token"
