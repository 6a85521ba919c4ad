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
    "parameters in the query alone": has("body_format", "query"),
    "GET": has("method", "GET"),
    "PUT": has("method", "PUT"),
    "JSON values that are nested, or no strings": lambda each: any(
        not isinstance(value, str)
        for table in (each.provider.parameters, each.provider.assertion_claims)
        for value in table.values()
    ),
    "query beside a body": differs("query"),
    "other media type of the body": differs("content_type"),
    "id and secret as headers": has("client_authentication", "client_secret_headers"),
    "signed JWT (`private_key_jwt`)": has("client_authentication", "private_key_jwt"),
    "JWT signed with the secret (`client_secret_jwt`)": has(
        "client_authentication", "client_secret_jwt"
    ),
    "further headers of the JWT": differs("assertion_headers"),
    "JWT elsewhere than as OAuth's parameter": lambda each: "{assertion}" in str(each.description),
    "client certificate": has("client_authentication", "tls_client_auth"),
    "client certificate beside a secret": lambda each: (
        each.description.get("credentials") == "client_secret_and_certificate"
    ),
    "Base64 of one or several values": value_has(encoding="base64", digest=None),
    "hash": value_has(digest=..., hmac_key=None, signing_key=None),
    "HMAC": value_has(hmac_key=...),
    "signature with a private key": value_has(signing_key=...),
    "time, or a day ahead, in the request": value_has(time=...),
    "bytes as the key of an HMAC": value_has(encoding="bytes"),
    "value in lower case": value_has(encoding="lower"),
    "hash in upper case": value_has(encoding="hex_upper"),
    "a time as a number": lambda each: ":json}" in str(each.description),
    "requests signed with path and query": lambda each: "{request.target}" in str(each.description),
    "requests signed with their body": lambda each: "{request.body}" in str(each.description),
    "alternatives of settings": lambda each: bool(re.search(r"\{\w+\|", str(each.description))),
    "further headers of the token request": differs("token_headers"),
    "scopes with another separator": differs("scope_separator"),
    "token elsewhere in the response": lambda each: "." in each.provider.token_field,
    "token with a space": lambda each: " " in each.example["token"]["access_token"],
    "XML response": has("response_format", "xml"),
    "token in a header of the response": differs("token_header"),
    "token in a cookie of the response": lambda each: "." in each.provider.token_header,
    "lifetime in a header of the response": differs("lifetime_header"),
    "the whole body is the token": has("token_field", ""),
    "other media type of the response": differs("media_types"),
    "several statuses of success": lambda each: "[" in str(each.description.get("token_status")),
    "lifetime as the end, in epoch time": has("lifetime_format", "epoch", "epoch_milliseconds"),
    "lifetime as a date": has("lifetime_format", "date"),
    "lifetime as a date of another time zone": differs("lifetime_timezone"),
    "lifetime in milliseconds": has("lifetime_format", "milliseconds"),
    "lifetime in minutes": has("lifetime_format", "minutes"),
    "lifetime as a clock, or a date of own form": lambda each: bool(
        re.search("[:%]", each.provider.lifetime_format)
    ),
    "lifetime from the token's own `exp`": has("lifetime_format", "jwt"),
    "no lifetime in the response": differs("missing_lifetime"),
    "own codes of errors": differs("error_codes"),
    "a code that means success": differs("success_codes"),
    "rate limit of the token endpoint": differs("rate_limit"),
    "cap of the margin": differs("max_margin"),
    "API's address in the response": differs("api_url_field"),
    "token in another header": differs("authorization_header"),
    "other scheme of API requests": differs("authorization_scheme"),
    "further headers of API requests": differs("api_headers"),
    "authorization value of token and others": differs("authorization_value"),
    "token in quotes": lambda each: '"{token}"' in each.provider.authorization_value,
    "token in a cookie": has("authorization_header", "Cookie"),
    "token in the query of API requests": differs("authorization_query"),
    "further parameters in the query of API requests": differs("api_query"),
    "an API's 403 that means the token": differs("rejected_status"),
    "an API's codes that mean the token": differs("rejected_codes"),
    "a second step, with a value of the first": lambda each: "previous" in each.description,
    "discovery": lambda each: "discovery" in each.description,
    "a discovered address in a table of the document": lambda each: (
        "{discovery.links." in str(each.description)
    ),
    "such a code elsewhere than an error's": differs("rejected_field"),
    "revocation": differs("revocation_url"),
    "`extends`": lambda each: "extends" in each.description,
    "setting `scope` by itself": lambda each: (
        "scope" in each.example["settings"] and "scope" not in each.description.get("settings", {})
    ),
    "patterns and formats of settings": setting_has("pattern", "format"),
}
PAGE = HERE.parents[1] / "docs" / "reference" / "platforms.md"
HEAD = """\
# Platforms described as data

The repository's tests compare these platforms' client-credentials flows with their public
documentation: the token request byte for byte, a response, errors, and what an API request needs.
The tests contact no platform. Each platform is a file of `tests/platforms`. All {all} are data
alone, in the form that `keyturn.plugins.provider_from_data` takes. «Peculiarities» are the data
that differ from RFC 6749.

The median description has {lines} lines; without title, addresses and settings, {differing} lines.
Blank lines and comments do not count.

| platform | authentication | body | peculiarities | source |
|---|---|---|---|---|
{rows}

## Abilities

Each ability of descriptions that goes beyond a form with id and secret, and the platforms whose
flow needs it.

| ability | platforms | which |
|---|---|---|
{abilities}

## Notes

The notes have limits, oddities, and what is only likely. «Not re-read» means that a fact is well
known, but was not looked up again when the file was written.

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
