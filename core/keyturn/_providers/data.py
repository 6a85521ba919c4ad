"""The data of a provider: each is declared here, and nowhere else.

`keyturn.plugins.Provider` has them as class attributes, a description in TOML has them as keys, and
the provider `generic` has them as settings. Their JSON Schema and the reference page follow too.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping  # noqa: TC003 - the annotations are read at run time
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from keyturn._http.request import BodyFormat  # noqa: TC001 - as above
from keyturn._providers import checks, kinds
from keyturn._rate_limit import RateLimit, rate_limit_problem

T = TypeVar("T")
ClientAuthentication = Literal[
    "client_secret_post",
    "client_secret_basic",
    "client_secret_basic_raw",
    "client_secret_headers",
    "private_key_jwt",
    "tls_client_auth",
]
LifetimeFormat = Literal[
    "seconds", "decimal", "milliseconds", "epoch", "epoch_milliseconds", "date"
]
TemplateUse = Literal["", "address", "token_request", "api_request"]

_NO_TABLE: Mapping[str, str] = MappingProxyType({})


class Datum(NamedTuple):
    """What is declared of one datum.

    Args:
        description: What it is.
        default: Its value where a provider does not set it.
        check: Returns what is wrong with a value of the right type, or None; see `checks`.
        template: What it or its values are templates for; empty when they are none.
    """

    description: str
    default: Any
    check: checks.Check | None
    template: TemplateUse

    def __set_name__(self, owner: type, name: str) -> None:
        """Register the datum, and leave its default as the attribute of the class."""
        DATA[name] = self
        if self.default is kinds.REQUIRED:
            delattr(owner, name)
        else:
            setattr(owner, name, self.default)


# The declaration of each datum by its name, in the order of the reference page.
DATA: dict[str, Datum] = {}


def datum(
    description: str,
    *,
    default: T = kinds.REQUIRED,
    check: checks.Check | None = None,
    template: TemplateUse = "",
) -> T:
    """Declare a datum; see `Datum`."""
    return Datum(description, default, check, template)  # type: ignore[return-value]


class RequestData:
    """The data of a token request."""

    name: ClassVar[str] = datum(
        "The name that users choose it by; also the entry point's.",
        check=checks.matches(
            r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*",
            "must have letters, digits and inner . _ or - only",
        ),
    )
    title: ClassVar[str] = datum("Its name for people.", default="")
    token_url: ClassVar[str] = datum(
        "The token endpoint, a template such as `https://{tenant}.acme.example/token`.",
        check=lambda url: checks.required(url) or checks.address(url),
        template="address",
    )
    method: ClassVar[Literal["POST", "GET"]] = datum(
        "The token request's HTTP method.", default="POST"
    )
    body_format: ClassVar[BodyFormat] = datum(
        "How the parameters are sent: `form`, `json`, or `query` (in the URL, with an empty body).",
        default="form",
    )
    client_authentication: ClassVar[ClientAuthentication] = datum(
        "How the client authenticates, in the terms of RFC 7591 section 2 and three more.",
        default="client_secret_post",
    )
    client_id_name: ClassVar[str] = datum(
        "The parameter or header of the client ID; empty when it isn't sent.",
        default="client_id",
    )
    client_secret_name: ClassVar[str] = datum(
        "The parameter or header of the client secret; empty when it isn't sent.",
        default="client_secret",
    )
    grant_type: ClassVar[str] = datum(
        "The grant; empty when none is sent.", default="client_credentials"
    )
    parameters: ClassVar[Mapping[str, str]] = datum(
        "Further parameters of the token request, templates.",
        default=_NO_TABLE,
        template="token_request",
    )
    token_headers: ClassVar[Mapping[str, str]] = datum(
        "Further headers of the token request, templates.",
        default=_NO_TABLE,
        check=checks.headers,
        template="token_request",
    )
    scope_name: ClassVar[str] = datum(
        "The parameter of the scope; empty when it isn't sent as one.",
        default="scope",
    )
    assertion_name: ClassVar[str] = datum(
        "The parameter of the signed JWT, with `private_key_jwt`; `assertion` where the JWT is the "
        "grant (RFC 7521 section 4).",
        default="client_assertion",
        check=checks.required,
    )
    assertion_algorithm: ClassVar[str] = datum(
        "How the JWT is signed (RFC 7518 section 3.1).",
        default="RS256",
        check=checks.matches(
            r"(?:RS|PS|ES)(?:256|384|512)|ES256K|EdDSA|Ed25519|Ed448",
            "must be an algorithm with a private key, such as RS256, PS256, ES256 or EdDSA",
        ),
    )
    assertion_key_header: ClassVar[str] = datum(
        "The JWT's header that names the key, such as `x5t#S256` (RFC 7515 section 4.1).",
        default="kid",
        check=checks.matches(
            r"(?!(?:alg|b64|crit|typ)(?![\s\S]))[\s\S]+", "can't be empty, alg, b64, crit or typ"
        ),
    )
    assertion_audience: ClassVar[str] = datum(
        "The JWT's `aud`, a template; empty for the token endpoint's address.",
        default="",
        template="token_request",
    )
    assertion_claims: ClassVar[Mapping[str, str]] = datum(
        "Further claims, templates. `iss` and `sub` are the client ID; an empty value removes one.",
        default=_NO_TABLE,
        template="token_request",
    )
    assertion_lifetime: ClassVar[float] = datum(
        "Seconds for which the JWT is valid.",
        default=300.0,
        check=checks.between(1, 86_400, unit="seconds"),
    )
    rate_limit: ClassVar[RateLimit | None] = datum(
        "How many token requests the token endpoint's host allows; none if none is documented.",
        default=None,
        check=rate_limit_problem,
    )
    token_status: ClassVar[int] = datum(
        "The HTTP status of a response with a token (RFC 6749 section 5.1).",
        default=200,
        check=checks.between(200, 299),
    )


class TokenResponseMapping:
    """Where the token, its lifetime and an error stand in responses; by default as in RFC 6749."""

    media_types: ClassVar[tuple[str, ...]] = datum(
        "Content types of a response with a token that is JSON, besides JSON's own, such as "
        "`text/plain`; `*` for any.",
        default=(),
        check=checks.media_types,
    )
    response_encoding: ClassVar[Literal["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"]] = datum(
        "The encoding of a response; `utf-8-sig` may begin with a byte order mark.",
        default="utf-8",
    )
    scope_separator: ClassVar[str] = datum(
        "What stands between the values of the scope (RFC 6749 section 3.3: a space).",
        default=" ",
        check=checks.required,
    )
    scope_format: ClassVar[Literal["string", "array", "ignored"]] = datum(
        "What `scope` in the response is: a `string`; an `array` of strings, or a string; or "
        "`ignored`: the requested scope counts.",
        default="string",
    )
    token_field: ClassVar[str] = datum(
        "The path of the token in the response; empty when the whole body is the token.",
        default="access_token",
        check=checks.optional_path,
    )
    token_type: ClassVar[str] = datum(
        "What `token_type` in the response must be, in any case; empty when it doesn't matter.",
        default="Bearer",
    )
    lifetime_field: ClassVar[str] = datum(
        "The path of the lifetime in the response; empty when it isn't read: see "
        "`missing_lifetime`.",
        default="expires_in",
        check=checks.optional_path,
    )
    lifetime_format: ClassVar[LifetimeFormat] = datum(
        "What it holds: `seconds`, `decimal` (seconds, also as a string such as `3599.0`) or "
        "`milliseconds` from now; or the end, as `epoch` (seconds), `epoch_milliseconds` or "
        "`date` (RFC 3339).",
        default="seconds",
    )
    missing_lifetime: ClassVar[float | None] = datum(
        "Seconds to assume where the response has no lifetime; none refuses such a response.",
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
        'The OAuth codes of the platform\'s own codes, such as `{"40013": "invalid_client"}`.',
        default=_NO_TABLE,
        check=checks.codes,
    )


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
        default=_NO_TABLE,
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
