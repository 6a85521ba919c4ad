"""The data that say how a token endpoint's response is read."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the annotations are read at run time
from typing import ClassVar, Literal

from keyturn._providers import checks, lifetime_formats
from keyturn._providers.datum import NO_TABLE, datum


class TokenResponseMapping:
    """Where responses have the token, its lifetime and an error; by default as in RFC 6749."""

    response_format: ClassVar[Literal["json", "xml", "form"]] = datum(
        "The format of a response: `json`; `xml`, where paths name child elements by their local "
        "names, attributes as `@name`, and an element's own text as `#text`, without the root "
        "element; or `form` (`application/x-www-form-urlencoded`).",
        default="json",
    )
    media_types: ClassVar[tuple[str, ...]] = datum(
        "Further content types of a response with a token, such as `text/plain`; `*` for any.",
        default=(),
        check=checks.media_types,
    )
    response_encoding: ClassVar[Literal["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"]] = datum(
        "The encoding of a response; `utf-8-sig` may begin with a byte order mark.",
        default="utf-8",
    )
    scope_separator: ClassVar[str] = datum(
        "The separator between the values of the scope (RFC 6749 section 3.3: a space).",
        default=" ",
        check=checks.required,
    )
    scope_format: ClassVar[Literal["string", "array", "ignored"]] = datum(
        "The type of `scope` in the response: `string`; `array`, which allows an array of strings "
        "or a string; or `ignored`, which assumes the requested scope.",
        default="string",
    )
    token_field: ClassVar[str] = datum(
        "The path of the token in the response; empty if the whole body is the token.",
        default="access_token",
        check=checks.optional_path,
    )
    token_header: ClassVar[str] = datum(
        "The response header with the token, instead of the body, which may then be empty; "
        "`Set-Cookie.NAME` for a cookie (RFC 6265).",
        default="",
        check=checks.token_header,
    )
    token_type: ClassVar[str] = datum(
        "The required `token_type` of the response, case-insensitive; empty allows any.",
        default="Bearer",
    )
    lifetime_field: ClassVar[str] = datum(
        "The path of the lifetime in the response; empty to ignore it: see `missing_lifetime`.",
        default="expires_in",
        check=checks.optional_path,
    )
    lifetime_header: ClassVar[str] = datum(
        "The response header with the lifetime, instead of `lifetime_field`.",
        default="",
        check=checks.optional_header_name,
    )
    lifetime_format: ClassVar[str] = datum(
        "The format of the lifetime: `seconds`, `decimal` (seconds, also as a string such as "
        "`3599.0`), `milliseconds`, `minutes`, a `duration` (`1h`, `1d12h`, `PT1H`), or `hh:mm`, "
        "`hh:mm:ss`, `d:hh:mm` or `d:hh:mm:ss`, from now; or the expiry time, as `epoch` "
        "(seconds), `epoch_milliseconds`, `date` (RFC 3339), `http_date` (RFC 9110 section "
        "5.6.7), or a pattern of `strptime` such as `%Y-%m-%d %H:%M:%S`. With `jwt`, it is the "
        "`exp` claim of the token, or of the JWT at another `lifetime_field`.",
        default="seconds",
        check=lifetime_formats.lifetime_format,
    )
    lifetime_timezone: ClassVar[str] = datum(
        "The time zone of a date that names none, such as `Asia/Seoul`.",
        default="UTC",
        check=lifetime_formats.lifetime_timezone,
    )
    missing_lifetime: ClassVar[float | None] = datum(
        "The lifetime in seconds to assume if the response has none; without it, keyturn refuses "
        "such a response.",
        default=None,
        check=checks.positive,
    )
    error_field: ClassVar[str] = datum(
        "The path of an error's code, in responses of any status.",
        default="error",
        check=checks.path,
    )
    error_description_field: ClassVar[str] = datum(
        "The path of the error's description.",
        default="error_description",
        check=checks.path,
    )
    error_codes: ClassVar[Mapping[str, str]] = datum(
        'The OAuth codes for the platform\'s own codes, such as `{"40013": "invalid_client"}`; '
        "they apply to every status.",
        default=NO_TABLE,
        check=checks.codes,
    )
    success_codes: ClassVar[tuple[str, ...]] = datum(
        "The codes at `error_field` that mean success, such as `200`; 0 or no code always means "
        "success.",
        default=(),
    )
