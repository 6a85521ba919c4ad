"""What a provider is: data, and the few methods to override.

(The underscore leaves the name `keyturn.provider` to the function.)
"""

from __future__ import annotations

import re
import string
import traceback
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from urllib.parse import quote

from keyturn import errors, response
from keyturn.request import BodyFormat, ClientAuthentication, Pairs, TokenRequest
from keyturn.secret import Secret
from keyturn.settings import Settings, json_schema
from keyturn.urls import url_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from keyturn.budget import Budget
    from keyturn.response import Answer, OAuthError
    from keyturn.token import Token

S = TypeVar("S", bound=Settings)
T = TypeVar("T")

_HOST_VALUE_REGEX = re.compile(r"[a-z0-9.-]*")


class Provider(Generic[S]):
    """A platform that issues tokens, described by a plugin.

    Most of it is data. Addresses are templates: `{name}` stands for the setting, or the property
    of the settings, of that name; the finished address is checked again as a whole.

    Example:
        >>> import attrs, keyturn
        >>> @attrs.frozen(kw_only=True)
        ... class AcmeSettings(keyturn.ConfidentialSettings):
        ...     tenant: str = keyturn.label("Tenant")
        >>> class Acme(keyturn.Provider[AcmeSettings]):
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
    api_url: ClassVar[str] = ""
    """Where the API is, a template; empty when the user has to say."""
    revocation_url: ClassVar[str] = ""
    """The revocation endpoint's address (RFC 7009), a template; empty when there is none."""
    body_format: ClassVar[BodyFormat] = "form"
    """How the token request's parameters are encoded."""
    client_authentication: ClassVar[ClientAuthentication] = "body"
    """Where the client's credentials go (RFC 6749 section 2.3.1)."""
    budget: ClassVar[Budget | None] = None
    """How many token requests the token endpoint's host allows; None when nothing is known."""
    missing_lifetime: ClassVar[float | None] = None
    """Seconds that a token without `expires_in` is taken to live; None refuses such an answer."""
    max_margin: ClassVar[float] = float("inf")
    """Seconds before a token's end before which the server gives no new one."""

    def token_request(self, settings: S) -> TokenRequest:
        """Return the whole token request for these settings, fingerprint excepted."""
        grant: Pairs = (("grant_type", "client_credentials"),)
        secret = settings.client_secret
        basic = secret is not None and self.client_authentication == "basic"
        return TokenRequest(
            provider=self.name,
            url=settings.token_url or self.expand(self.token_url, settings),
            parameters=grant if basic else (*grant, *_credentials(settings)),
            scope=self.scope(settings),
            body_format=self.body_format,
            basic=(settings.client_id, secret) if secret is not None and basic else None,
        )

    def scope(self, settings: S) -> tuple[str, ...]:
        """Return the scope values to ask for; by default those of a setting named `scope`."""
        given: str | Iterable[str] | None = getattr(settings, "scope", None)
        return tuple(given.split() if isinstance(given, str) else given or ())

    def assumed_lifetime(self, settings: S) -> float | None:
        """Return the seconds that a token without `expires_in` lives; None refuses the answer."""
        del settings
        return self.missing_lifetime

    def read_token(self, settings: S, answer: Answer, request: TokenRequest) -> Token:
        """Return the token in an answer of status 200 that holds no error.

        Raises:
            keyturn.errors.InvalidTokenResponse: It is not a token that may be used.
        """
        return response.read_token(
            answer,
            asked_scope=request.scope_separator.join(request.scope) or None,
            missing_lifetime=self.assumed_lifetime(settings),
        )

    def read_error(self, answer: Answer) -> OAuthError | None:
        """Return the error in a token endpoint's answer of any status, or None."""
        return response.read_error(answer)

    def api_headers(self, settings: S) -> Mapping[str, str]:
        """Return what an API request needs besides `Authorization`, where the caller set none."""
        del settings
        return {}

    def api_base(self, settings: S, token: Token | None) -> str | None:
        """Return where the API is, or None when that isn't known.

        Args:
            settings: The connection's settings.
            token: The current token, for platforms that tell the address in it; None before there
                is one. What is taken from a token must never name a foreign host.
        """
        del token
        return settings.api_url or (self.expand(self.api_url, settings) if self.api_url else None)

    def token_rejected(self, answer: Answer) -> bool:
        """Tell whether an API's 401 answer means the token, so that a new one may help."""
        del answer
        return True

    def revocation_request(self, settings: S, token: Token) -> TokenRequest | None:
        """Return the request that revokes a token (RFC 7009), or None when there is no way."""
        if not self.revocation_url:
            return None
        return self.revocation_to(self.expand(self.revocation_url, settings), settings, token)

    def revocation_to(self, url: str, settings: S, token: Token) -> TokenRequest:
        """Return the request that revokes a token at the endpoint `url`."""
        return TokenRequest(
            provider=self.name,
            url=url,
            parameters=(*_credentials(settings), ("token", Secret(token.access_token))),
            body_format=self.body_format,
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
        address = ""
        for literal, name, _, _ in string.Formatter().parse(template):
            address += literal
            if name:
                address += _placed(str(getattr(settings, name)), address)
        problem = url_problem(address)
        if problem:
            message = f"provider {self.name}: the address made from {template} {problem}."
            raise errors.ConfigurationError(message)
        return address


def guarded(name: str, work: Callable[[], T]) -> T:
    """Return what `work` returns; what it raises becomes an error of ours.

    A provider's method may raise anything. The frames behind a failure, and a stranger's exception
    itself, may hold secrets: our error's text says what there is to say.

    Args:
        name: The provider's name.
        work: Calls the provider.

    Raises:
        keyturn.errors.KeyturnError: `work` failed.
    """
    failure: errors.KeyturnError
    try:
        return work()
    except errors.KeyturnError as error:
        failure = error
    except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = errors.KeyturnError(
            f"provider {name} failed with {type(error).__name__} in {place.name}, "
            f"line {place.lineno}.",
            hint="This is a defect: please tell the provider's authors.",
        )
    raise failure.with_traceback(None)


def _placed(value: str, address: str) -> str:
    """Return a setting's value as it may stand after the address made so far."""
    if not address:
        return value.rstrip("/")
    if "/" in address.partition("://")[2]:
        return quote(value, safe="")
    # Within the host a value must not end it; url_problem sees the whole only.
    return value if _HOST_VALUE_REGEX.fullmatch(value) else "\0"


def _credentials(settings: Settings) -> Pairs:
    client_id: Pairs = (("client_id", settings.client_id),)
    secret = settings.client_secret
    return client_id if secret is None else (*client_id, ("client_secret", secret))
