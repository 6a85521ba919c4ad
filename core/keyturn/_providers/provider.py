"""What a provider is: data, and the few methods to override.

(The underscore leaves the name `keyturn.provider` to the function.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping  # noqa: TC003 - the annotations are read at run time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import attrs

from keyturn import errors
from keyturn._http.request import BodyFormat, Pairs, TokenRequest
from keyturn._http.urls import is_below, origin, url_problem
from keyturn._http.values import reveal
from keyturn._providers import templates
from keyturn._providers import token_response as shape
from keyturn._providers.authentication import authentication, certificate
from keyturn._providers.schema import json_schema
from keyturn._providers.settings import Settings
from keyturn._providers.token_response import LifetimeFormat  # noqa: TC001 - as above
from keyturn._rate_limit import RateLimit  # noqa: TC001 - as above
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyturn._http.response import OAuthError, Response
    from keyturn._token import Token

S = TypeVar("S", bound=Settings)
ClientAuthentication = Literal[
    "client_secret_post",
    "client_secret_basic",
    "client_secret_basic_raw",
    "client_secret_headers",
    "private_key_jwt",
    "tls_client_auth",
]

_NO_TEXTS: Mapping[str, str] = MappingProxyType({})


class Provider(Generic[S]):
    """A platform that issues tokens, described by a plugin.

    Most of it is data. Addresses, parameters and headers are templates: `{name}` stands for the
    setting, or the property of the settings, of that name; a finished address is checked again as
    a whole. Fields of responses are named by their path, such as `data.token` or `errors.0.code`.

    Example:
        >>> import attrs, keyturn
        >>> @attrs.frozen(kw_only=True)
        ... class AcmeSettings(keyturn.plugins.ConfidentialSettings):
        ...     tenant: str = keyturn.plugins.label("Tenant")
        >>> class Acme(keyturn.plugins.Provider[AcmeSettings]):
        ...     name = "acme"
        ...     settings = AcmeSettings
        ...     token_url = "https://{tenant}.acme.example/oauth/token"
        ...     api_url = "https://{tenant}.acme.example/api"
    """

    name: ClassVar[str]
    """The name that users choose it by; also the entry point's."""
    title: ClassVar[str] = ""
    """Its name for people."""
    settings: type[S]
    """What a user must give."""

    token_url: ClassVar[str]
    """The token endpoint's address, a template."""
    method: ClassVar[Literal["POST", "GET"]] = "POST"
    """The token request's HTTP method."""
    body_format: ClassVar[BodyFormat] = "form"
    """How the token request's parameters are encoded: `form`, `json`, or `query` with no body."""
    client_authentication: ClassVar[ClientAuthentication] = "client_secret_post"
    """How the client proves who it is, in the words of RFC 7591 section 2, and three more.

    `client_secret_basic_raw` is HTTP Basic without form-encoding first, `client_secret_headers`
    sends two headers; with `client_secret_post` an absent secret, or client ID, is not sent.
    """
    client_id_name: ClassVar[str] = "client_id"
    """The parameter or header of the client's identifier."""
    client_secret_name: ClassVar[str] = "client_secret"  # noqa: S105 - a parameter's name
    """The parameter or header of the client's secret."""
    grant_type: ClassVar[str] = "client_credentials"
    """The grant; empty when none is sent."""
    parameters: ClassVar[Mapping[str, str]] = _NO_TEXTS
    """Further parameters of the token request, templates; one whose setting is None is left out."""
    token_headers: ClassVar[Mapping[str, str]] = _NO_TEXTS
    """Further headers of the token request, templates; `{uuid}` is a new UUID each time."""
    scope_name: ClassVar[str] = "scope"
    """The parameter of the scope."""
    scope_separator: ClassVar[str] = " "
    """What stands between the values of the scope (RFC 6749 section 3.3: a space)."""
    assertion_name: ClassVar[str] = "client_assertion"
    """The parameter of the signed JWT, with `private_key_jwt` (RFC 7521 section 4.2)."""
    assertion_algorithm: ClassVar[str] = "RS256"
    """How it is signed (RFC 7518 section 3.1)."""
    assertion_key_header: ClassVar[str] = "kid"
    """Which of its headers names the key, such as `x5t#S256` (RFC 7515 section 4.1)."""
    assertion_audience: ClassVar[str] = ""
    """Its `aud`, a template; empty for the token endpoint's address."""
    assertion_claims: ClassVar[Mapping[str, str]] = _NO_TEXTS
    """Further claims, templates; they replace those of RFC 7523 section 3, an empty one drops."""
    assertion_lifetime: ClassVar[float] = 300.0
    """Seconds for which it is valid."""
    rate_limit: ClassVar[RateLimit | None] = None
    """How many token requests the token endpoint's host allows; None when nothing is known."""

    token_status: ClassVar[int] = 200
    """The status of a response with a token (RFC 6749 section 5.1)."""
    token_field: ClassVar[str] = shape.RFC_6749.token_field
    """Where the response has the token; empty when the whole body is the token."""
    token_type: ClassVar[str] = shape.RFC_6749.token_type
    """What `token_type` must say, in any case; empty when it doesn't matter."""
    lifetime_field: ClassVar[str] = shape.RFC_6749.lifetime_field
    """Where the response has the lifetime."""
    lifetime_format: ClassVar[LifetimeFormat] = "seconds"
    """What it says: `seconds` or `milliseconds` from now, or an end: `epoch` (seconds),
    `epoch_milliseconds`, `date` (RFC 3339)."""
    missing_lifetime: ClassVar[float | None] = None
    """Seconds that a token without a lifetime is taken to live; None refuses such a response."""
    max_margin: ClassVar[float] = float("inf")
    """Seconds before a token's end before which the server gives no new one."""
    error_field: ClassVar[str] = shape.RFC_6749.error_field
    """Where a response has the code of an error."""
    error_description_field: ClassVar[str] = shape.RFC_6749.error_description_field
    """Where it has words about it."""
    error_codes: ClassVar[Mapping[str, str]] = _NO_TEXTS
    """What the platform's own codes are in terms of RFC 6749 section 5.2."""

    api_url: ClassVar[str] = ""
    """Where the API is, a template; empty when the user or the token has to say."""
    api_url_field: ClassVar[str] = ""
    """Where the token's response has the API's address; empty when it has none."""
    api_domains: ClassVar[tuple[str, ...]] = ()
    """The domains below which that must lie; none for the token endpoint's own host alone."""
    authorization_header: ClassVar[str] = "Authorization"
    """The header of an API request that carries the token."""
    authorization_scheme: ClassVar[str] = "Bearer"
    """What stands before the token there (RFC 6750 section 2.1); may be empty."""
    api_headers: ClassVar[Mapping[str, str]] = _NO_TEXTS
    """Further headers of each API request, templates; one whose setting is None is left out."""
    revocation_url: ClassVar[str] = ""
    """The revocation endpoint's address (RFC 7009), a template; empty when there is none."""

    def for_settings(self, settings: S) -> Provider[Any]:
        """Return the provider as it behaves for these settings; by default itself."""
        del settings
        return self

    def token_request(self, settings: S) -> TokenRequest:
        """Return the whole token request for these settings, fingerprint excepted."""
        url = settings.token_url or self.expand(self.token_url, settings)
        grant: Pairs = (("grant_type", self.grant_type),) if self.grant_type else ()
        parameters, headers = authentication(self, settings, url)
        return TokenRequest(
            provider=self.name,
            method=self.method,
            url=url,
            parameters=(*grant, *parameters, *templates.texts(self.parameters, settings)),
            scope=self.scope(settings),
            scope_name=self.scope_name,
            scope_separator=self.scope_separator,
            body_format=self.body_format,
            extra_headers=(*headers, *templates.texts(self.token_headers, settings)),
            certificate=certificate(settings),
            response_mapping=self._reading(settings),
        )

    def scope(self, settings: S) -> tuple[str, ...]:
        """Return the scope values to ask for; by default those of a setting named `scope`."""
        given: str | Iterable[str] | None = getattr(settings, "scope", None)
        return tuple(given.split() if isinstance(given, str) else given or ())

    def assumed_lifetime(self, settings: S) -> float | None:
        """Return the seconds that a token without a lifetime lives; None refuses the response."""
        del settings
        return self.missing_lifetime

    def read_token(self, settings: S, response: Response, request: TokenRequest) -> Token:
        """Return the token in a response of status 200 that holds no error.

        Raises:
            keyturn.errors.InvalidTokenResponse: It is not a token that may be used.
        """
        asked = " ".join(request.scope) or None
        return shape.read_token(
            response, self._shape(self.assumed_lifetime(settings)), asked_scope=asked
        )

    def read_error(self, settings: S, response: Response) -> OAuthError | None:
        """Return the error in a token endpoint's response of any status, or None."""
        del settings
        return shape.read_error(response, self._shape(None))

    def authorization(self, settings: S, token: Token) -> tuple[str, str]:
        """Return the name and the value of the header that carries the token."""
        del settings
        value = f"{self.authorization_scheme} {token.access_token}".strip()
        return self.authorization_header, value

    def api_request_headers(self, settings: S, token: Token) -> Mapping[str, str]:
        """Return what an API request needs besides the token, where the caller set none."""
        del token
        headers = templates.texts(self.api_headers, settings)
        return {name: reveal(value) for name, value in headers}

    def api_url_for(self, settings: S, token: Token | None) -> str | None:
        """Return where the API is, or None when that isn't known.

        Args:
            settings: The connection's settings.
            token: The current token, for platforms that tell the address in it; None before there
                is one. What is taken from a token must never name a foreign host.
        """
        if settings.api_url or not (self.api_url or self.api_url_field):
            return settings.api_url
        if not self.api_url_field:
            return self.expand(self.api_url, settings)
        return self._told_api_url(settings, token) if token else None

    def token_rejected(self, settings: S, response: Response) -> bool:
        """Tell whether an API's 401 response means the token, so that a new one may help."""
        del settings, response
        return True

    def revocation_request(self, settings: S, token: Token) -> TokenRequest | None:
        """Return the request that revokes a token (RFC 7009), or None when there is no way."""
        if not self.revocation_url:
            return None
        return self.revocation_to(self.expand(self.revocation_url, settings), settings, token)

    def revocation_to(self, url: str, settings: S, token: Token) -> TokenRequest:
        """Return the request that revokes a token at the endpoint `url`."""
        parameters, headers = authentication(self, settings, url)
        return TokenRequest(
            provider=self.name,
            url=url,
            parameters=(*parameters, ("token", Secret(token.access_token))),
            body_format=self.body_format,
            extra_headers=headers,
            certificate=certificate(settings),
        )

    def warnings(self, settings: S) -> Iterable[str]:
        """Return what the user should know about settings that are allowed but unusual."""
        del settings
        return ()

    def settings_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of the settings, secrets marked `writeOnly`."""
        return json_schema(self.settings, self.title or self.name)

    def expand(self, template: str, settings: S) -> str:
        """Return an address template with the settings' values in it.

        Raises:
            keyturn.errors.ConfigurationError: The result is not an address that a secret may be
                sent to.
        """
        return templates.address(template, settings)

    def _shape(self, missing_lifetime: float | None) -> shape.TokenResponseMapping:
        return shape.TokenResponseMapping(
            token_field=self.token_field,
            token_type=self.token_type,
            lifetime_field=self.lifetime_field,
            lifetime_format=self.lifetime_format,
            missing_lifetime=missing_lifetime,
            error_field=self.error_field,
            error_description_field=self.error_description_field,
            error_codes=self.error_codes,
            scope_separator=self.scope_separator,
        )

    def _reading(self, settings: S) -> str:
        shape = attrs.asdict(self._shape(self.assumed_lifetime(settings)))
        text = json.dumps(shape, sort_keys=True, default=dict)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def _told_api_url(self, settings: S, token: Token) -> str:
        """Return the API's address that a token's response told, if it is the platform's own."""
        told = shape.field_of(dict(token.extra), self.api_url_field)
        if isinstance(told, str) and url_problem(told) is None:
            own = settings.token_url or self.expand(self.token_url, settings)
            is_below_one = any(is_below(told, domain) for domain in self.api_domains)
            if is_below_one or (not self.api_domains and origin(told) == origin(own)):
                return told.rstrip("/")
        where = " or ".join(self.api_domains) or "the token endpoint's host"
        raise errors.ConfigurationError(
            f"the token's response names no address of the API below {where}.",
            hint="Set api_url.",
        )
