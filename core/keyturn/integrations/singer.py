"""The adapters for taps of Meltano's Singer SDK: `RESTStream.authenticator`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from keyturn._connection.connect import connect
from keyturn.integrations._opening import known_settings
from keyturn.integrations.requests import KeyturnAuth

if TYPE_CHECKING:
    from requests import PreparedRequest
    from singer_sdk import RESTStream

# The attribute of a request that the SDK has prepared, and passes again to send it.
_PREPARED = "keyturn_prepared"


class KeyturnAuthenticator(KeyturnAuth):
    """Adds a connection's token to a stream's requests, like the adapter for requests.

    It is the class attribute `authenticator` of a `RESTStream`, for a connection that does not come
    from the tap's settings. The SDK passes each request twice; it is authorized once.

    Args:
        connection: A connection, or the name of a configured one.

    Raises:
        keyturn.errors.ForeignOrigin: The URL is not at the API's origin (RFC 6454); the request
            isn't sent.
        keyturn.errors.KeyturnError: No token can be acquired.
    """

    def __call__(self, r: PreparedRequest, *given: object) -> PreparedRequest:
        """Add the token to a request, and a hook that reads its response."""
        if r.__dict__.pop(_PREPARED, False):
            return r
        # The SDK repeats a request after a failure; then it is authorized again.
        is_first = getattr(r, "authorized", None) is None
        request = super().__call__(r, *given)
        request.__dict__[_PREPARED] = is_first
        return request


class TapAuthenticator:
    """Gives each stream a `KeyturnAuthenticator` with the settings of its tap.

    It is the class attribute `authenticator` of a `RESTStream`. The tap's `config_jsonschema` is,
    or has the properties of, `keyturn.provider(…).settings_schema(dialect="draft-07",
    style="singer")`.

    Args:
        provider: The provider's name.

    Raises:
        keyturn.errors.ConfigurationError: When a stream first uses it: a setting of the tap is
            wrong, or the provider does not exist.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._attribute = ""

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._attribute = name

    @overload
    def __get__(self, stream: None, owner: type[Any]) -> TapAuthenticator: ...

    @overload
    def __get__(self, stream: RESTStream[Any], owner: type[Any]) -> KeyturnAuthenticator: ...

    def __get__(
        self, stream: RESTStream[Any] | None, owner: type[Any]
    ) -> TapAuthenticator | KeyturnAuthenticator:
        """Return a stream's authenticator."""
        if stream is None:
            return self
        connection = connect(
            self._provider, known_settings(self._provider, stream.config), name=stream.tap_name
        )
        # From now on, Python finds it in the stream itself.
        made = stream.__dict__[self._attribute] = KeyturnAuthenticator(connection)
        return made
