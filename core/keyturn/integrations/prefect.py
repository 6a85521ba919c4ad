"""The block for Prefect."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar

from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import ConfigDict, Field, PrivateAttr

from keyturn.integrations import _opening

if TYPE_CHECKING:
    from keyturn._connection import Connection


class KeyturnConnection(_opening.ApiClients, Block):
    """A connection for flows and tasks.

    Prefect keeps the secrets encrypted in its database, and shows asterisks for them. A saved block
    is pickled as its document's name, and loaded again where it is used; one with secrets that is
    not saved can't be pickled.

    Args:
        name: The name of a configured connection, which has all settings; or, with `provider`, the
            connection's name in messages.
        provider: The provider's name.
        settings: The provider's settings that are not secret.
        secrets: The secret settings.

    Raises:
        keyturn.errors.ConfigurationError: A secret is in `settings`, which Prefect shows.
    """

    _block_type_name: ClassVar[str | None] = "Keyturn Connection"
    _block_type_slug: ClassVar[str | None] = "keyturn-connection"
    _description: ClassVar[str | None] = "OAuth 2 access tokens from client credentials."

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = Field(default="", description="The name of a configured connection.")
    provider: str = Field(default="", description="The provider's name.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Settings that are not secret."
    )
    secrets: SecretDict = Field(
        default_factory=lambda: SecretDict({}), description="Secret settings."
    )
    _opened: _opening.OpenedConnection = PrivateAttr(default_factory=_opening.OpenedConnection)

    def block_initialization(self) -> None:
        """Refuse secrets that Prefect would show."""
        hint = "Put it into secrets."
        _opening.check_shown(self.name, self.provider, self.settings, hint)

    @property
    def connection(self) -> Connection:
        """The connection.

        Raises:
            keyturn.errors.ConfigurationError: A setting is wrong or missing, or no connection of
                that name is configured.
        """
        settings = {**self.settings, **self.secrets.get_secret_value()}
        name = self.name or self._block_document_name or ""
        return self._opened.get(lambda: _opening.open_connection(name, self.provider, settings))

    def __reduce__(self) -> tuple[Any, ...]:
        if self._block_document_name:
            return _load, (type(self), self._block_document_name)
        if self.secrets.get_secret_value():
            raise TypeError(
                "a block with secrets can't be pickled before it is saved, because it contains "
                "them. Save it, or use the name of a configured connection."
            )
        load = functools.partial(
            type(self), name=self.name, provider=self.provider, settings=self.settings
        )
        return load, ()


def _load(block: type[KeyturnConnection], document: str) -> KeyturnConnection:
    # In an event loop too: pickle waits for no coroutine.
    load: Any = block.load
    loaded: KeyturnConnection = load(document, _sync=True)
    return loaded
