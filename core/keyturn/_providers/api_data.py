"""The data of API requests: where the API is, and how its requests carry the token."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the annotations are read at run time
from typing import ClassVar

from keyturn._providers import checks
from keyturn._providers.datum import NO_TABLE, datum


class ApiData:
    """The data of API requests."""

    max_margin: ClassVar[float] = datum(
        "The maximum renewal margin in seconds: the server issues no new token earlier before the "
        "expiry. By default unlimited.",
        default=float("inf"),
        check=checks.positive,
    )
    api_url: ClassVar[str] = datum(
        "A template of the API's address; empty if it comes from a setting or the token.",
        default="",
        check=checks.address,
        template="address",
    )
    api_url_field: ClassVar[str] = datum(
        "The path of the API's address in the token response; empty if the response has none.",
        default="",
        check=checks.optional_path,
    )
    api_domains: ClassVar[tuple[str, ...]] = datum(
        "The domains that the address at `api_url_field` must be in; by default the token "
        "endpoint's own host.",
        default=(),
        check=checks.domains,
    )
    authorization_header: ClassVar[str] = datum(
        "The header of an API request with the token.",
        default="Authorization",
        check=checks.header_name,
    )
    authorization_scheme: ClassVar[str] = datum(
        "The scheme before the token in that header (RFC 6750 section 2.1); may be empty.",
        default="Bearer",
        check=checks.matches(r"[\x21-\x7e]*", "must be one word, or empty"),
    )
    authorization_value: ClassVar[str] = datum(
        "A template of the whole value of that header, with `{token}` or `{token.PATH}`, such as "
        "`SESSION={token}`; empty for the scheme and the token.",
        default="",
        check=checks.header_value_template,
        template="api_request",
    )
    authorization_query: ClassVar[str] = datum(
        "The query parameter of an API request with the token, instead of a header.",
        default="",
        check=checks.matches(r"[\x21-\x7e]*", "must be one word, or empty"),
    )
    api_query: ClassVar[Mapping[str, str]] = datum(
        "Templates of further query parameters of each API request.",
        default=NO_TABLE,
        template="api_request",
    )
    rejected_status: ClassVar[frozenset[int]] = datum(
        "The statuses with which an API refuses a token (RFC 6750 section 3.1: 401).",
        default=frozenset({401}),
        check=checks.each_between(400, 599),
    )
    rejected_codes: ClassVar[tuple[str, ...]] = datum(
        "The codes in an API's JSON response of any other status, such as 403 or 200, that mean a "
        "refused token.",
        default=(),
    )
    rejected_field: ClassVar[str] = datum(
        "The path of these codes in an API's response; empty for `error_field`.",
        default="",
        check=checks.optional_path,
    )
    api_headers: ClassVar[Mapping[str, str]] = datum(
        "Templates of further headers of each API request. They may contain `{token}`, and "
        "`{request.method}`, `{request.url}`, `{request.path}`, `{request.query}`, "
        "`{request.target}` (path and query) and `{request.body}`.",
        default=NO_TABLE,
        check=checks.headers,
        template="api_request",
    )
    revocation_url: ClassVar[str] = datum(
        "A template of the revocation endpoint (RFC 7009); empty if the provider has none.",
        default="",
        check=checks.address,
        template="address",
    )
