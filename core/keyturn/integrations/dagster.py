"""The resource for Dagster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource, InitResourceContext
from pydantic import ConfigDict, Field, PrivateAttr

from keyturn.integrations import _opening

if TYPE_CHECKING:
    from keyturn._connection import Connection


class KeyturnResource(_opening.ApiClients, ConfigurableResource[Any]):
    """A connection for assets and ops.

    Dagster keeps the names of the environment variables that hold secrets. It reads the variables
    when a run needs the resource, in each process.

    Args:
        name: The name of a configured connection, which has all settings; or, with `provider`, the
            connection's name in messages.
        provider: The provider's name.
        settings: The provider's settings that are not secret.
        secrets: The secret settings, each as a `dagster.EnvVar`.

    Raises:
        keyturn.errors.ConfigurationError: A secret is in `settings`, which Dagster shows.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    name: str = Field(default="", description="The name of a configured connection.")
    provider: str = Field(default="", description="The provider's name.")
    settings: dict[str, Any] = Field(default={}, description="Settings that are not secret.")
    secrets: dict[str, str] = Field(
        default={},
        description="Secret settings, from environment variables.",
        repr=False,
        json_schema_extra={"dagster__is_secret": True},
    )
    _opened: _opening.OpenedConnection = PrivateAttr(default_factory=_opening.OpenedConnection)

    def model_post_init(self, context: Any, /) -> None:
        """Refuse secrets that Dagster would show."""
        super().model_post_init(context)
        hint = "Put it into secrets, as a dagster.EnvVar."
        _opening.check_shown(self.name, self.provider, self.settings, hint)

    def setup_for_execution(self, context: InitResourceContext) -> None:  # noqa: ARG002 - Dagster's
        """Check the settings before a step begins; Dagster calls it.

        Raises:
            keyturn.errors.ConfigurationError: A setting is wrong or missing.
        """
        _ = self.connection

    @property
    def connection(self) -> Connection:
        """The connection.

        Raises:
            keyturn.errors.ConfigurationError: A setting is wrong or missing, or no connection of
                that name is configured.
        """
        settings = {**self.settings, **self.secrets}
        opening = _opening.open_connection
        return self._opened.get(lambda: opening(self.name, self.provider, settings))
