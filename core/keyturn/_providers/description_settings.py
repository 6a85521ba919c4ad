"""Settings that are a description themselves: those of the provider `generic`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from keyturn._providers.data import DATA, datum_types
from keyturn._providers.data_rules import CREDENTIAL_RULES, DATA_RULES
from keyturn._providers.fields import setting, title_of
from keyturn._providers.kinds import kind_of
from keyturn._providers.setting_tables import CREDENTIAL_FIELDS, Field, class_with
from keyturn._providers.settings import Settings

_OPTIONAL_CREDENTIALS: dict[str, Field] = {
    name: (kind_of(field.type)[0] | None, attrs.field(default=None, metadata=field.metadata))
    for name, field in CREDENTIAL_FIELDS.items()
}
# Settings of every provider, and data that can't be settings.
_NO_SETTINGS = frozenset({"name", "title", "token_url", "api_url", "rate_limit"})
_DATA_FIELDS: dict[str, Field] = {
    name: (
        datum_types()[name],
        setting(
            title_of(name),
            datum.description,
            default=datum.default,
            check=datum.check or (lambda _: None),
        ),
    )
    for name, datum in DATA.items()
    if name not in _NO_SETTINGS
}

if TYPE_CHECKING:

    class _Fields(Settings):
        def __getattr__(self, name: str) -> Any: ...

else:
    _Fields = class_with(
        Settings, _OPTIONAL_CREDENTIALS | _DATA_FIELDS, (*DATA_RULES, *CREDENTIAL_RULES)
    )


class DescriptionSettings(_Fields):
    """Credentials of any kind, all optional, and the data of a provider under their own names."""

    def description(self) -> dict[str, Any]:
        """Return the data for `provider_from_data`, without a name."""
        return {name: getattr(self, name) for name in _DATA_FIELDS} | {"settings": type(self)}
