"""The data of a provider: each is declared once, here or in a module that this one gathers.

`keyturn.plugins.Provider` has them as class attributes, a description in TOML has them as keys, and
the provider `generic` has them as settings. Their JSON Schema and the reference page follow too.
"""

from __future__ import annotations

import functools
import typing
from typing import TYPE_CHECKING, Any

from keyturn._providers.datum import DATA, Datum, TemplateUse
from keyturn._providers.request_data import RequestData
from keyturn._providers.response_data import TokenResponseMapping

# isort: split
# After the others, as on the reference page.
from keyturn._providers.api_data import ApiData

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DATA",
    "ApiData",
    "Datum",
    "RequestData",
    "TemplateUse",
    "TokenResponseMapping",
    "datum_types",
]


@functools.cache
def datum_types() -> Mapping[str, Any]:
    """Return the type of each datum by its name."""
    hints = typing.get_type_hints(type("", (RequestData, TokenResponseMapping, ApiData), {}))
    return {name: typing.get_args(hints[name])[0] for name in DATA}
