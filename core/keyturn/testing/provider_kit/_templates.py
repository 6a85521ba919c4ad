"""The templates of a provider's data that name a setting, and the methods that use them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from keyturn._http.steps import STEP_NAMES
from keyturn._providers.data import DATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyturn._providers.provider import Provider

FORGETFUL = {
    "token_url": "token_request",
    "parameters": "token_request",
    "token_headers": "token_request",
    "api_url": "api_url_for",
    "api_headers": "api_request_headers",
    "revocation_url": "revocation_request",
}
"""The method that uses each datum."""


def templates_with(provider: Provider[Any], setting: str) -> Iterator[str]:
    """Yield the data in which a template names a setting."""
    pattern = re.compile(rf"\{{(?:[^{{}}]*\|)?{re.escape(setting)}(?:[\[|:][^{{}}]*)?\}}")
    for name in FORGETFUL:
        if any(map(pattern.search, strings_in(getattr(provider, name, "")))):
            yield name


def strings_in(value: Any) -> Iterator[str]:
    """Yield every string in a datum, at any depth."""
    if isinstance(value, str):
        yield value
    elif hasattr(value, "values"):
        for each in value.values():
            yield from strings_in(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from strings_in(each)


def every_template(provider: Provider[Any], *, of_steps: bool = False) -> Iterator[str]:
    """Yield every string in the provider's data, and in those of the steps before it."""
    for name in STEP_NAMES if of_steps else ():
        step = getattr(provider, name)
        if step is not None:
            yield from every_template(step, of_steps=True)
    for name in DATA:
        yield from strings_in(getattr(provider, name, ""))
