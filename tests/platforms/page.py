"""Writes the page `docs/reference/platforms.md` when it is run as a program."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from tests.platforms.described import HERE, PLATFORMS, Platform

Ability = Callable[[Platform], bool]


def differs(name: str) -> Ability:
    """Return whether a platform's value of a datum differs from the default."""
    return lambda platform: name in platform.peculiarities


def has(name: str, *values: object) -> Ability:
    """Return whether a platform's datum has one of these values."""
    return lambda platform: getattr(platform.provider, name) in values


def setting_has(*keys: str) -> Ability:
    """Return whether a description declares this for one of its settings."""
    return lambda platform: any({*keys} & table.keys() for table in platform.setting_tables)


def value_has(**wanted: object) -> Ability:
    """Return whether a platform has a named value with these keys: `...` is any, None is none."""

    def fits(table: Mapping[str, Any]) -> bool:
        return all(
            key in table if each is ... else table.get(key) == each for key, each in wanted.items()
        )

    return lambda platform: any(map(fits, platform.provider.values.values()))


# From common to rare, in the order of the page.
ABILITIES: dict[str, Ability] = {
    "JSON body": has("body_format", "json"),
    "parameters only in the query": lambda each: (
        each.provider.body_format == "query" or each.provider.method == "GET"
    ),
    "GET": has("method", "GET"),
    "PUT": has("method", "PUT"),
    "nested or non-string JSON values": lambda each: any(
        not isinstance(value, str)
        for table in (each.provider.parameters, each.provider.assertion_claims)
        for value in table.values()
    ),
    "query in addition to a body": differs("query"),
    "custom media type of the body": differs("content_type"),
    "ID and secret in headers": has("client_authentication", "client_secret_headers"),
    "signed JWT (`private_key_jwt`)": has("client_authentication", "private_key_jwt"),
    "JWT signed with the secret (`client_secret_jwt`)": has(
        "client_authentication", "client_secret_jwt"
    ),
    "additional JWT headers": differs("assertion_headers"),
    "JWT outside OAuth's parameter": lambda each: "{assertion}" in str(each.description),
    "client certificate": has("client_authentication", "tls_client_auth"),
    "client certificate in addition to a secret": lambda each: (
        each.description.get("credentials") == "client_secret_and_certificate"
    ),
    "Base64 of one or several values": value_has(encoding="base64", digest=None),
    "hash": value_has(digest=..., hmac_key=None, signing_key=None),
    "HMAC": value_has(hmac_key=...),
    "signature with a private key": value_has(signing_key=...),
    "current time, or a time one day ahead, in the request": value_has(time=...),
    "binary HMAC key": value_has(encoding="bytes"),
    "value in lower case": value_has(encoding="lower"),
    "hash in upper case": value_has(encoding="hex_upper"),
    "time as a number": lambda each: ":json}" in str(each.description),
    "signature over path and query": lambda each: "{request.target}" in str(each.description),
    "signature over the body": lambda each: "{request.body}" in str(each.description),
    "alternative settings": lambda each: bool(re.search(r"\{\w+\|", str(each.description))),
    "additional headers of the token request": differs("token_headers"),
    "custom scope separator": differs("scope_separator"),
    "token in a nested field of the response": lambda each: "." in each.provider.token_field,
    "token with a space": lambda each: " " in each.example["token"]["access_token"],
    "XML response": has("response_format", "xml"),
    "token in a header of the response": differs("token_header"),
    "token in a cookie of the response": lambda each: "." in each.provider.token_header,
    "lifetime in a header of the response": differs("lifetime_header"),
    "token as the whole body": has("token_field", ""),
    "custom media type of the response": differs("media_types"),
    "several success statuses": lambda each: "[" in str(each.description.get("token_status")),
    "expiry as epoch time": has("lifetime_format", "epoch", "epoch_milliseconds"),
    "expiry as a date": has("lifetime_format", "date"),
    "expiry as a date in a local time zone": differs("lifetime_timezone"),
    "lifetime in milliseconds": has("lifetime_format", "milliseconds"),
    "lifetime in minutes": has("lifetime_format", "minutes"),
    "lifetime as hours and minutes, or expiry in a custom date format": lambda each: bool(
        re.search("[:%]", each.provider.lifetime_format)
    ),
    "lifetime from the token's own `exp`": has("lifetime_format", "jwt"),
    "no lifetime in the response": differs("missing_lifetime"),
    "custom error codes": differs("error_codes"),
    "code for success": differs("success_codes"),
    "rate limit of the token endpoint": differs("rate_limit"),
    "maximum margin": differs("max_margin"),
    "API's address in the response": differs("api_url_field"),
    "token in a custom header": differs("authorization_header"),
    "custom authorization scheme": differs("authorization_scheme"),
    "additional headers of API requests": differs("api_headers"),
    "custom authorization value": differs("authorization_value"),
    "token in quotes": lambda each: '"{token}"' in each.provider.authorization_value,
    "token in a cookie": has("authorization_header", "Cookie"),
    "token in the query of API requests": differs("authorization_query"),
    "additional query parameters of API requests": differs("api_query"),
    "response 403 of the API that rejects the token": differs("rejected_status"),
    "codes of the API that reject the token": differs("rejected_codes"),
    "second request that uses a value from the first response": lambda each: (
        "previous" in each.description
    ),
    "discovery": lambda each: "discovery" in each.description,
    "nested field of the discovery document": lambda each: (
        "{discovery.links." in str(each.description)
    ),
    "codes of the API in a field other than the error field": differs("rejected_field"),
    "revocation": differs("revocation_url"),
    "`extends`": lambda each: "extends" in each.description,
    "predefined setting `scope`": lambda each: (
        "scope" in each.example["settings"] and "scope" not in each.description.get("settings", {})
    ),
    "settings with a pattern or a format": setting_has("pattern", "format"),
}
PAGE = HERE.parents[1] / "docs" / "reference" / "platforms.md"
HEAD = """\
# Platforms described as data

The repository's tests compare these platforms' client-credentials flows with their public
documentation: the token request byte for byte, a response, errors, and an API request. The tests
send nothing to a platform. Each platform is a file in `tests/platforms`. All {all} are declared as
data for `keyturn.plugins.provider_from_data`. The column "differences" lists the data that differ
from RFC 6749.

The median description has {lines} lines; {differing} of them are not title, addresses or settings.
Blank lines and comments do not count.

| platform | authentication | body | differences | source |
|---|---|---|---|---|
{rows}

## Features

The table lists the features of descriptions beyond a form with an ID and a secret, and the
platforms that need them.

| feature | number of platforms | platforms |
|---|---|---|
{abilities}

## Notes

The notes list limits, unusual behaviour and uncertain facts. "Not verified" means that a fact is
well known, but was not checked again when the file was written.

{notes}
"""


def page() -> str:
    """Return the current page of the reference."""
    by_title = sorted(PLATFORMS, key=lambda each: each.provider.title.casefold())
    return HEAD.format(
        all=len(PLATFORMS),
        lines=statistics.median_low(len(each.lines) for each in PLATFORMS),
        differing=statistics.median_low(len(each.differing_lines) for each in PLATFORMS),
        rows="\n".join(map(row, by_title)),
        abilities="\n".join(ability(name, by_title) for name in ABILITIES),
        notes="\n".join(map(note, by_title)),
    )


def row(platform: Platform) -> str:
    """Return a platform's row of the table."""
    provider = platform.provider
    body = provider.body_format if provider.method == "POST" else f"{provider.method}, query"
    host = platform.data["source"].split("/")[2]
    cells = [
        provider.title,
        f"`{provider.client_authentication}`",
        body,
        code(platform.peculiarities) or "none",
        f"[{host}]({platform.data['source']})",
    ]
    return f"| {' | '.join(cells)} |"


def ability(name: str, platforms: list[Platform]) -> str:
    """Return an ability's row of the second table."""
    users = [each.provider.title for each in platforms if ABILITIES[name](each)]
    return f"| {name} | {len(users)} | {', '.join(users)} |"


def note(platform: Platform) -> str:
    """Return a platform's line of the notes."""
    return f"- **{platform.provider.title}**: {' '.join(platform.data['notes'].split())}"


def code(names: list[str]) -> str:
    """Return names as code, with commas between."""
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
