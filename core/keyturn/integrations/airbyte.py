"""The adapter for connectors of Airbyte's CDK, declarative and in Python."""

from __future__ import annotations

import threading
from collections.abc import Mapping  # noqa: TC003 - the CDK reads the annotations
from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING, Any

from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets

from keyturn import errors
from keyturn._connection import Connection  # noqa: TC001 - as above
from keyturn._connection.connect import connect
from keyturn._http.policy import NetworkPolicy
from keyturn.integrations._opening import known_settings
from keyturn.integrations.requests import KeyturnAuth

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from keyturn._token import Token


@dataclass(eq=False, repr=False)
class KeyturnAuthenticator(KeyturnAuth, DeclarativeAuthenticator):
    """Adds a connection's token to a connector's requests, like the adapter for requests.

    It is a `CustomAuthenticator` of a manifest, whose `class_name` is
    `keyturn.integrations.airbyte.KeyturnAuthenticator`, and whose `provider` or `connection` is the
    source of the tokens. In Python, it is the authenticator of an `HttpStream`.

    The settings of a provider come from the connector's configuration. An end user may have filled
    it in, so by default the connection reaches public addresses only. The connector's logs mask the
    tokens.

    Args:
        connection: A connection, or the name of a configured one.
        provider: The provider's name instead, with the settings of `config`. The connector's
            specification contains the properties of its `settings_schema(dialect="draft-07",
            style="airbyte")`.
        policy: Arguments of a `keyturn.NetworkPolicy`, for the settings of `config`.
        config: The connector's configuration; the CDK passes it to classes that a manifest names.

    Raises:
        keyturn.errors.ConfigurationError: Neither connection nor provider is given, or both; or
            a setting is wrong, or the policy forbids it.
        keyturn.errors.ForeignOrigin: A request doesn't lead to the API's origin (RFC 6454); it
            isn't sent.
        keyturn.errors.KeyturnError: No token can be acquired.
    """

    connection: InitVar[Connection | str | None] = None
    provider: InitVar[str | None] = None
    policy: InitVar[Mapping[str, Any] | None] = None
    config: InitVar[Mapping[str, Any] | None] = None

    def __post_init__(
        self,
        connection: Connection | str | None,
        provider: str | None,
        policy: Mapping[str, Any] | None,
        config: Mapping[str, Any] | None,
    ) -> None:
        if (connection is None) == (provider is None):
            raise errors.ConfigurationError(
                "the authenticator needs either a connection or a provider.",
                hint="Set connection or provider beside class_name in the manifest.",
            )
        if provider is not None:
            connection = connect(
                provider, known_settings(provider, config or {}), policy=_policy(policy or {})
            )
        super().__init__(connection)  # type: ignore[arg-type]
        # Several threads read partitions, each with its own requests.
        self._last = threading.local()
        self._masked: Token | None = None

    @property
    def auth_header(self) -> str:
        """Empty, because the CDK would copy a header to any URL."""
        return ""

    @property
    def token(self) -> str:
        """Empty, because keyturn adds the token."""
        return ""

    def __call__(self, r: PreparedRequest, *given: object) -> PreparedRequest:
        """Add the token to a request, and a hook that reads its response."""
        request = super().__call__(r, *given)
        self._last.request = request
        self._mask(request)
        return request

    def refresh_and_set_access_token(self) -> None:
        """Renew the token of this thread's last request, unless it has been renewed.

        The CDK calls it for the action `REFRESH_TOKEN_THEN_RETRY`, after a 401 that keyturn has not
        handled.

        Raises:
            keyturn.errors.KeyturnError: No token can be acquired.
        """
        self._auth.connection.token(stale=self._last.request.authorized.token)

    def _responded(self, response: Response, **options: Any) -> Response:
        final = super()._responded(response, **options)
        self._mask(final.request)
        return final

    def _mask(self, request: PreparedRequest) -> None:
        """Let the CDK mask the request's token, as its own authenticators do."""
        sent = getattr(request, "authorized", None)
        if sent and sent.token is not self._masked:
            self._masked = sent.token
            add_to_secrets(sent.token.access_token)
            # The header may have it encoded.
            for _, value in sent.added[: bool(sent.token_header)]:
                add_to_secrets(str(value))


def _policy(given: Mapping[str, Any]) -> NetworkPolicy:
    try:
        return NetworkPolicy(**given)
    except TypeError as error:
        problem = str(error).rpartition("()")[2].strip()
    raise errors.ConfigurationError(
        f"the authenticator's policy: {problem}.",
        hint="Its keys are the arguments of keyturn.NetworkPolicy.",
    )
