"""The data of a token request."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the annotations are read at run time
from typing import Any, ClassVar, Literal

from keyturn._http.request import BodyFormat  # noqa: TC001 - as above
from keyturn._providers import checks
from keyturn._providers.datum import NO_TABLE, datum
from keyturn._rate_limit import RateLimit, rate_limit_problem

ClientAuthentication = Literal[
    "client_secret_post",
    "client_secret_basic",
    "client_secret_basic_raw",
    "client_secret_headers",
    "private_key_jwt",
    "client_secret_jwt",
    "tls_client_auth",
]


class RequestData:
    """The data of a token request."""

    name: ClassVar[str] = datum(
        "The name by which users choose it; the entry point has the same name.",
        check=checks.matches(
            r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*",
            "must have letters, digits and inner . _ or - only",
        ),
    )
    title: ClassVar[str] = datum("Its display name.", default="")
    token_url: ClassVar[str] = datum(
        "The token endpoint, a template such as `https://{tenant}.acme.example/token`.",
        check=lambda url: checks.required(url) or checks.address(url),
        template="address",
    )
    method: ClassVar[Literal["POST", "GET", "PUT", "PATCH"]] = datum(
        "The token request's HTTP method.", default="POST"
    )
    body_format: ClassVar[BodyFormat] = datum(
        "How the parameters are sent: `form`, `json`, or `query` (in the URL, with an empty body). "
        "With the method `GET`, they are always in the URL.",
        default="form",
    )
    client_authentication: ClassVar[ClientAuthentication] = datum(
        "How the client authenticates, in the terms of RFC 7591 section 2 and three more.",
        default="client_secret_post",
    )
    client_id_name: ClassVar[str] = datum(
        "The parameter or header of the client ID; empty to omit it.",
        default="client_id",
    )
    client_secret_name: ClassVar[str] = datum(
        "The parameter or header of the client secret; empty to omit it.",
        default="client_secret",
    )
    grant_type: ClassVar[str] = datum(
        "The grant type; empty to omit it.", default="client_credentials"
    )
    parameters: ClassVar[Mapping[str, Any]] = datum(
        "Templates of further parameters of the token request. With JSON, also numbers, booleans, "
        "lists and tables; `{name:json}` is a setting as a number, a boolean or a list.",
        default=NO_TABLE,
        template="json",
    )
    query: ClassVar[Mapping[str, str]] = datum(
        "Templates of parameters in the URL's query, in addition to those of the body.",
        default=NO_TABLE,
        template="token_request",
    )
    content_type: ClassVar[str] = datum(
        "The media type of the body, if it isn't that of `body_format`.",
        default="",
        check=checks.content_type,
    )
    body: ClassVar[str] = datum(
        "A template of the whole body, instead of parameters: for XML and other formats. keyturn "
        "escapes its values as `content_type` requires.",
        default="",
        template="token_request",
    )
    values: ClassVar[Mapping[str, Any]] = datum(
        "Computed values for templates, as `{name}`: tables with `template` and `encoding`, "
        "`digest`, `hmac_key` or `signing_key`; or with `time`, `offset` and `timezone`.",
        default=NO_TABLE,
        check=checks.tables,
    )
    token_headers: ClassVar[Mapping[str, str]] = datum(
        "Templates of further headers of the token request.",
        default=NO_TABLE,
        check=checks.headers,
        template="token_request",
    )
    scope_name: ClassVar[str] = datum(
        "The parameter of the scope; empty to omit it.",
        default="scope",
    )
    assertion_name: ClassVar[str] = datum(
        "The parameter of the signed JWT, with `private_key_jwt` and `client_secret_jwt`; "
        "`assertion` if the JWT is the grant (RFC 7521 section 4). If `token_headers`, `query`, "
        "`body` or `parameters` contain `{assertion}`, keyturn sends the JWT only there.",
        default="client_assertion",
        check=checks.required,
    )
    assertion_algorithm: ClassVar[str] = datum(
        "The JWT's signature algorithm (RFC 7518 section 3.1); by default `RS256`, or `HS256` for "
        "`client_secret_jwt`.",
        default="",
        check=checks.matches(
            r"(?:(?:HS|RS|PS|ES)(?:256|384|512)|ES256K|EdDSA|Ed25519|Ed448)?",
            "must be an algorithm such as RS256, PS256, ES256 or EdDSA, or HS256 with "
            "client_secret_jwt",
        ),
    )
    assertion_key_header: ClassVar[str] = datum(
        "The JWT's header that names the key, such as `x5t#S256` (RFC 7515 section 4.1).",
        default="kid",
        check=checks.matches(
            r"(?!(?:alg|b64|crit|typ)(?![\s\S]))[\s\S]+", "can't be empty, alg, b64, crit or typ"
        ),
    )
    assertion_headers: ClassVar[Mapping[str, Any]] = datum(
        "Templates of further headers of the JWT, also lists and tables, such as `x5c` or `typ`.",
        default=NO_TABLE,
        check=checks.assertion_headers,
        template="json",
    )
    assertion_audience: ClassVar[str] = datum(
        "A template of the JWT's `aud`; empty for the token endpoint's address.",
        default="",
        template="token_request",
    )
    assertion_claims: ClassVar[Mapping[str, Any]] = datum(
        "Further claims: templates, numbers, booleans, lists and tables. `iss` and `sub` are the "
        "client ID; an empty value removes one.",
        default=NO_TABLE,
        template="json",
    )
    assertion_lifetime: ClassVar[float] = datum(
        "The JWT's lifetime in seconds.",
        default=300.0,
        check=checks.between(1, 86_400, unit="seconds"),
    )
    rate_limit: ClassVar[RateLimit | None] = datum(
        "The number of token requests that the token endpoint's host allows; none if no limit is "
        "documented.",
        default=None,
        check=rate_limit_problem,
    )
    token_status: ClassVar[int | frozenset[int]] = datum(
        "The HTTP status of a response with a token (RFC 6749 section 5.1), or a list of several.",
        default=200,
        check=checks.each_between(200, 299),
    )
