"""The data of a provider: each is declared once, here or in a module that this one gathers.

`keyturn.plugins.Provider` has them as class attributes, a description in TOML has them as keys, and
the provider `generic` has them as settings. Their JSON Schema and the reference page follow too.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping  # noqa: TC003 - the annotations are read at run time
from typing import Any, ClassVar

from keyturn._providers import checks
from keyturn._providers.datum import DATA, NO_TABLE, Datum, TemplateUse, datum
from keyturn._providers.request_data import RequestData
from keyturn._providers.response_data import TokenResponseMapping

__all__ = [
    "DATA",
    "ApiData",
    "Datum",
    "RequestData",
    "TemplateUse",
    "TokenResponseMapping",
    "datum_types",
]


class ApiData:
    """The data of a token's use."""

    max_margin: ClassVar[float] = datum(
        "Seconds before the end; the server issues no new token earlier. By default no cap.",
        default=float("inf"),
        check=checks.positive,
    )
    api_url: ClassVar[str] = datum(
        "Where the API is, a template; empty when a setting or the token says it.",
        default="",
        check=checks.address,
        template="address",
    )
    api_url_field: ClassVar[str] = datum(
        "The path of the API's address in the token's response; empty when it has none.",
        default="",
        check=checks.optional_path,
    )
    api_domains: ClassVar[tuple[str, ...]] = datum(
        "The domains below which that address must lie; none for the token endpoint's own host.",
        default=(),
        check=checks.domains,
    )
    authorization_header: ClassVar[str] = datum(
        "The header of an API request that carries the token.",
        default="Authorization",
        check=checks.header_name,
    )
    authorization_scheme: ClassVar[str] = datum(
        "What stands before the token in that header (RFC 6750 section 2.1); may be empty.",
        default="Bearer",
        check=checks.matches(r"[\x21-\x7e]*", "must be one word, or empty"),
    )
    api_headers: ClassVar[Mapping[str, str]] = datum(
        "Further headers of each API request, templates.",
        default=NO_TABLE,
        check=checks.headers,
        template="api_request",
    )
    revocation_url: ClassVar[str] = datum(
        "The revocation endpoint (RFC 7009), a template; empty when there is none.",
        default="",
        check=checks.address,
        template="address",
    )


@functools.cache
def datum_types() -> Mapping[str, Any]:
    """Return the type of each datum by its name."""
    hints = typing.get_type_hints(type("", (RequestData, TokenResponseMapping, ApiData), {}))
    return {name: typing.get_args(hints[name])[0] for name in DATA}
