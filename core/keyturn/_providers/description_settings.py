"""The data of a provider as settings: a connection's settings describe the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn._providers.data import DATA, datum_types
from keyturn._providers.from_data import CREDENTIALS, settings_class
from keyturn._providers.kinds import kind_of
from keyturn._providers.settings import Settings, setting

# Settings of every provider, and what a setting can't say.
_DATA = [
    name for name in DATA if name not in {"name", "title", "token_url", "api_url", "rate_limit"}
]


def _data_field(name: str) -> tuple[Any, Any]:
    declared = DATA[name]
    schema = {"minLength": 0} if datum_types()[name] is str else {}
    field = setting(
        declared.title,
        declared.description,
        default=declared.default,
        check=declared.check or (lambda _: None),
        schema=schema,
    )
    return datum_types()[name], field


def _credential_field(name: str) -> tuple[Any, Any]:
    declared = CREDENTIALS[name].metadata
    field = setting(
        declared["title"], declared["description"], default=None, check=declared["check"]
    )
    return kind_of(CREDENTIALS[name].type)[0] | None, field


if TYPE_CHECKING:
    _Fields = Settings
else:
    _Fields = settings_class(
        Settings,
        {name: _credential_field(name) for name in CREDENTIALS}
        | {name: _data_field(name) for name in _DATA},
    )


class DescriptionSettings(_Fields):
    """Credentials of any kind, all optional, and the data of a provider under their own names."""

    if TYPE_CHECKING:  # the fields are made out of the declarations

        def __getattr__(self, name: str) -> Any: ...

    def description(self) -> dict[str, Any]:
        """Return the data, as `provider_from_data` takes them, without a name."""
        return {name: getattr(self, name) for name in _DATA} | {"settings": type(self)}
