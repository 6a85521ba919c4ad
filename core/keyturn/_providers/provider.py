"""The class of providers: data, and a few methods to override."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from keyturn import errors
from keyturn._http.request import TokenRequest
from keyturn._http.urls import is_below, origin, url_problem
from keyturn._http.values import reveal
from keyturn._providers import later, templates
from keyturn._providers.client_authentication import (
    SIGNED,
    authentication,
    certificate,
    names_assertion,
)
from keyturn._providers.data import DATA, ApiData, RequestData, TokenResponseMapping
from keyturn._providers.datum import NO_TABLE
from keyturn._providers.settings import Settings
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keyturn._http.encoders import Encoding
    from keyturn._http.response import OAuthError, Response
    from keyturn._http.values import Value
    from keyturn._providers.discovery import Discovery
    from keyturn._providers.schema import Dialect, Style
    from keyturn._token import Token

S = TypeVar("S", bound=Settings)

# How an address begins that comes from an earlier step (as `step_value` finds, without its import).
_STEP_ADDRESSES = ("{previous.", "{discovery.")
# How values in a body are encoded, by a part of its media type.
_BODY_ENCODINGS: dict[str, Encoding] = {"xml": "xml", "json": "json", "urlencoded": "form", "": ""}


def _names_request(headers: object) -> bool:
    """Return whether a table of templates names the request; a property may do so."""
    return isinstance(headers, property) or "{request." in str(headers)


class Provider(RequestData, TokenResponseMapping, ApiData, Generic[S]):
    """A platform that issues tokens, described by a plugin.

    Most of it is data: class attributes, which the reference page «Python» lists. Addresses,
    parameters and headers are templates: `{name}` stands for the setting, or the property of the
    settings, of that name; a finished address is checked again as a whole. Fields of responses are
    named by their path, such as `data.token` or `errors.0.code`.

    Example:
        >>> import keyturn
        >>> class AcmeSettings(keyturn.plugins.ConfidentialSettings):
        ...     tenant: str = keyturn.plugins.label("Tenant")
        >>> class Acme(keyturn.plugins.Provider[AcmeSettings]):
        ...     name = "acme"
        ...     settings = AcmeSettings
        ...     token_url = "https://{tenant}.acme.example/oauth/token"
        ...     api_url = "https://{tenant}.acme.example/api"
    """

    settings: type[S]
    """The class of its settings."""

    previous: Provider[Any] | None = None
    """The token request that comes first: templates of this one may name its response's values, as
    `{previous.access_token}`. It has the same settings."""

    discovery: Discovery | None = None
    """A document with endpoints, which addresses may begin with, as `{discovery.token_endpoint}`;
    see `keyturn.plugins.Discovery`."""

    domains: tuple[str, ...] = ()
    """As a step before another: the domains below which addresses in its response must lie; none
    for its own host."""

    signs_requests: bool = False
    """Whether headers of API requests name the request; it follows from `api_headers`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Set `signs_requests`: whether the headers of API requests depend on the request."""
        super().__init_subclass__(**kwargs)
        cls.signs_requests = _names_request(cls.api_headers)

    def __setattr__(self, name: str, value: object) -> None:
        """Set a datum of this instance alone."""
        super().__setattr__(name, value)
        if name == "api_headers":
            self.signs_requests = _names_request(value)

    def for_settings(self, settings: S) -> Provider[Any]:
        """Return the provider as it behaves for these settings; by default itself."""
        return self

    def token_request(self, settings: S) -> TokenRequest:
        """Return the whole token request for these settings, without the fingerprint."""
        url = settings.token_url or self.expand(self.token_url, settings)
        grant = (("grant_type", self.grant_type),) if self.grant_type else ()
        names = self._names(settings)
        if self.client_authentication in SIGNED and names_assertion(self):
            names = later.signed_jwts().with_assertion(self, settings, url, names)
        parameters, headers = authentication(self, settings, url, names)
        if self.content_type:
            headers = (("Content-Type", self.content_type), *headers)
        return TokenRequest(
            provider=self.name,
            method=self.method,
            url=url,
            parameters=(
                *grant,
                *parameters,
                *templates.render_all(self.parameters, settings, names),
            ),
            query_parameters=(
                templates.render_all(self.query, settings, names) if self.query else ()
            ),
            content=self._content(settings, names) if self.body else None,
            scope=self.scope(settings) if self.scope_name or self._names_scope() else (),
            scope_name=self.scope_name,
            scope_separator=self.scope_separator,
            # As an HTML form with the method GET does: its fields are in the query.
            body_format="query" if self.method == "GET" else self.body_format,
            extra_headers=(*headers, *templates.render_all(self.token_headers, settings, names)),
            certificate=certificate(settings),
            response_mapping=self._response_mapping(settings),
        )

    def scope(self, settings: S) -> tuple[str, ...]:
        """Return the scope values to request; by default those of a setting named `scope`."""
        given: str | Iterable[str] | None = getattr(settings, "scope", None)
        return tuple(given.split() if isinstance(given, str) else given or ())

    def assumed_lifetime(self, settings: S) -> float | None:
        """Return the seconds that a token without a lifetime lives; None refuses the response."""
        return self.missing_lifetime

    def read_token(self, settings: S, response: Response, request: TokenRequest) -> Token:
        """Return the token in a response of status `token_status` that holds no error.

        Raises:
            keyturn.errors.InvalidTokenResponse: It is not a token that may be used.
        """
        token: Token = (later.token_response or later.responses()).read_token(
            response,
            self,
            missing_lifetime=self.assumed_lifetime(settings),
            requested_scope=" ".join(request.scope) or None,
        )
        return token

    def read_error(self, settings: S, response: Response) -> OAuthError | None:
        """Return the error in a token endpoint's response of any status, or None."""
        error: OAuthError | None = (later.token_response or later.responses()).read_error(
            response, self
        )
        return error

    def authorization(self, settings: S, token: Token) -> tuple[str, str]:
        """Return the name and the value of the header that carries the token.

        With `authorization_query`, they are those of the query parameter.
        """
        name = self.authorization_query or self.authorization_header
        if self.authorization_value:
            return name, later.api_requests().authorization_value(self, settings, token)
        scheme = "" if self.authorization_query else self.authorization_scheme
        return name, f"{scheme} {token.access_token}".strip()

    def api_request_headers(self, settings: S, token: Token) -> Mapping[str, str]:
        """Return the further headers of an API request, for names that the caller omits."""
        has_steps = self.previous is not None or self.discovery is not None
        if has_steps or self.signs_requests or self.values or "{token" in str(self.api_headers):
            own: Mapping[str, str]
            own = (later.api_authorization or later.api_requests()).api_values(
                self, self.api_headers, settings, token
            )
            return own
        headers = dict[str, str]()
        for name, value in templates.render_all(self.api_headers, settings):
            headers[name] = value if isinstance(value, str) else reveal(value)
        return headers

    def api_url_for(self, settings: S, token: Token | None) -> str | None:
        """Return where the API is, or None when that isn't known.

        Args:
            settings: The connection's settings.
            token: The current token, for platforms that send the address with it; None before
                there is one. An address from a token must never name a foreign host.
        """
        if settings.api_url or not (self.api_url or self.api_url_field):
            return settings.api_url
        if self.api_url.startswith(_STEP_ADDRESSES):
            from_step: str | None = later.steps().api_url(self, settings, token)
            return from_step
        if not self.api_url_field:
            return self.expand(self.api_url, settings)
        if token is None:
            return None
        found = later.responses().field_of(dict(token.extra), self.api_url_field)
        if isinstance(found, str) and url_problem(found) is None:
            own = settings.token_url or self.expand(self.token_url, settings)
            is_below_one = any(is_below(found, domain) for domain in self.api_domains)
            is_known = not self.api_domains and later.steps().step_value(own) is None
            if is_below_one or (is_known and origin(found) == origin(own)):
                return found.rstrip("/")
        where = " or ".join(self.api_domains) or "the token endpoint's host"
        raise errors.ConfigurationError(
            f"the token's response names no address of the API below {where}.",
            hint="Set api_url.",
        )

    def token_rejected(self, settings: S, response: Response) -> bool:
        """Return whether an API's response rejects the token, so that a new one may help.

        keyturn calls it for responses with a `rejected_status`, and for all JSON responses if the
        provider has `rejected_codes`.
        """
        is_rejected: bool = later.api_requests().token_rejected(self, response)
        return is_rejected

    def revocation_request(self, settings: S, token: Token) -> TokenRequest | None:
        """Return the request that revokes a token (RFC 7009), or None if there is no endpoint."""
        from keyturn._providers.revocation import revocation_url

        url = revocation_url(self, settings)
        return None if url is None else self.revocation_to(url, settings, token)

    def revocation_to(self, url: str, settings: S, token: Token) -> TokenRequest:
        """Return the request that revokes a token at the endpoint `url`."""
        parameters, headers = authentication(self, settings, url, self._names(settings))
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
        return ()

    def settings_schema(
        self, *, dialect: Dialect = "2020-12", style: Style | None = None
    ) -> dict[str, Any]:
        """Return the JSON Schema of the settings, for a form that is generated from it.

        It refuses what `keyturn.problems` reports, at the same setting. Secrets are marked
        `writeOnly`, with the format `password`. Its patterns mean the same in JavaScript.

        Args:
            dialect: The version of JSON Schema.
            style: `airbyte` marks secrets with `airbyte_secret`, orders the settings, and gives
                each a single type; `singer` marks secrets with `secret`.

        Raises:
            keyturn.errors.ConfigurationError: There is no such dialect or style.
        """
        from keyturn._providers.schema import json_schema

        return json_schema(self.settings, self.title or self.name, dialect=dialect, style=style)

    def expand(self, template: str, settings: S) -> str:
        """Return an address template with the settings' values in it.

        Raises:
            keyturn.errors.ConfigurationError: The result is not an address that a secret may be
                sent to.
        """
        if self.previous is None and self.discovery is None:
            return templates.address(template, settings)
        steps = later.steps()
        address: str = steps.expand(template, settings, steps.StepNames(self))
        return address

    def _names(self, settings: S) -> Mapping[str, Value | None]:
        """Return the values of other steps, and those of `values`, by their names in templates."""
        names: Mapping[str, Value | None] = NO_TABLE
        if self.previous is not None or self.discovery is not None:
            names = later.steps().StepNames(self)
        if self.values:
            names = later.named_values().named_values(self.values, settings, names)
        return names

    def _names_scope(self) -> bool:
        """Return whether a template of the token request names the scope, or a property of it."""
        data = (self.token_url, self.query, self.parameters, self.body, self.token_headers)
        jwt = (self.assertion_audience, self.assertion_headers, self.assertion_claims)
        written = (*data, *jwt, self.values)
        found = (
            templates.names_in(each) for every in written for each in templates.strings_in(every)
        )
        return any("scope" in name for name in frozenset[str]().union(*found))

    def _content(self, settings: S, names: Mapping[str, Value | None]) -> Value:
        """Return the whole body of the token request."""
        kind = self.content_type.lower()
        word = next(each for each in _BODY_ENCODINGS if each in kind)
        content = templates.render(self.body, settings, names, encoding=_BODY_ENCODINGS[word])
        if content is None:
            message = f"provider {self.name}: body names a setting that isn't given."
            raise errors.ConfigurationError(message)
        return content

    def _response_mapping(self, settings: S) -> str:
        """Return a digest of how the response is read, since that decides which token is found."""
        data = {name: getattr(self, name) for name in vars(TokenResponseMapping) if name in DATA}
        data["missing_lifetime"] = self.assumed_lifetime(settings)
        if self.previous is not None or self.discovery is not None:
            data["api_names"] = later.steps().api_names(self)
        digest = hashlib.sha256(json.dumps(data, sort_keys=True, default=dict).encode())
        return digest.hexdigest()[:16]
