"""The adapter for dlt: for its REST client, and for its REST API source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Dict, Optional, TypedDict  # noqa: UP035 - see below

from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.specs.base_configuration import NotResolved
from dlt.common.typing import SecretSentinel
from dlt.sources.helpers.rest_client.auth import AuthConfigBase
from dlt.sources.rest_api import typing as rest_api
from dlt.sources.rest_api.config_setup import register_auth

from keyturn import errors
from keyturn._connection.connect import connect
from keyturn.integrations import requests
from keyturn.integrations._opening import known_settings

if TYPE_CHECKING:
    from requests import PreparedRequest

    from keyturn._connection import Connection


@configspec(init=False)
class KeyturnAuth(AuthConfigBase):
    """Adds a connection's token to dlt's requests for its API, like the adapter for requests.

    It is for `RESTClient(auth=…)`, and for `auth` of a `rest_api_source`, which also takes
    `{"type": "keyturn", "connection": "shop"}`, once this module has been imported. Without
    arguments, dlt resolves it from its configuration and its secrets, below `credentials` of the
    source: either `connection`, or `provider` and the table `settings`, which is a secret.

    An adapter made from a name can be pickled. A copy shares its connection.

    Args:
        connection: A connection, or the name of a configured one.

    Raises:
        keyturn.errors.ConfigurationError: dlt has neither a `connection`, nor a `provider` with
            its `settings`; or it has both; or a setting is wrong.
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.KeyturnError: No token can be acquired.
    """

    # dlt reads these annotations as types, and does not support another spelling.
    connection: Optional[str] = None  # noqa: UP045 - dlt's
    provider: Optional[str] = None  # noqa: UP045 - dlt's
    settings: Optional[Annotated[Dict[str, Any], SecretSentinel]] = None  # noqa: UP006, UP045 - dlt's
    adapter: Annotated[Optional[Any], NotResolved()] = None  # noqa: UP045 - dlt's

    def __init__(self, connection: Connection | str | None = None) -> None:
        if isinstance(connection, str):
            self.connection = connection
        elif connection is not None:
            self.adapter = requests.KeyturnAuth(connection)
        if connection is not None:
            self.resolve()

    def parse_native_representation(self, native_value: Any) -> None:
        """Use a string of dlt's configuration as a connection's name; dlt calls this."""
        if not isinstance(native_value, str):
            raise errors.ConfigurationError("keyturn needs the name of a connection, a string.")
        self.connection = native_value

    def on_resolved(self) -> None:
        """Find the connection; dlt calls it when it has the fields."""
        if self.adapter is not None:
            return
        if bool(self.connection) == bool(self.provider and self.settings):
            raise errors.ConfigurationError(
                "dlt's configuration must have a connection, or a provider and its settings.",
                hint="Below `credentials` of the source, set connection = … in config.toml, or "
                "provider = … and a table `settings` in secrets.toml, and not both.",
            )
        provider = str(self.provider)
        self.adapter = requests.KeyturnAuth(
            self.connection or connect(provider, known_settings(provider, self.settings or {}))
        )

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the token to a request, and a hook that reads its response."""
        adapter: Any = self.adapter or resolve_configuration(self).adapter
        prepared: PreparedRequest = adapter(request)
        return prepared

    def __copy__(self) -> KeyturnAuth:
        copied: KeyturnAuth = self.copy()
        return copied

    def __deepcopy__(self, _: object) -> KeyturnAuth:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.adapter is None:
            return type(self), ()
        return type(self), self.adapter.__reduce__()[1]


class _KeyturnAuthConfig(TypedDict, total=False):
    """The keys of `KeyturnAuth` in the configuration of a `rest_api_source`."""

    type: str
    connection: str
    provider: str


register_auth("keyturn", KeyturnAuth)
# dlt lets a class be registered, but rejects the keys of all classes other than its own.
for _config in (rest_api.ClientConfig, rest_api.Endpoint):
    _config.__annotations__["auth"] |= _KeyturnAuthConfig
