"""Any platform: the provider `generic`, which the settings of a connection describe."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import keyturn

if TYPE_CHECKING:
    from collections.abc import Iterator


def _rate_problem(value: float) -> str | None:
    return None if value > 0 else "must be above 0"


class GenericSettings(keyturn.plugins.DescriptionSettings):
    """Credentials of any kind, and the data of a provider as settings of the same names."""

    token_url: str = keyturn.plugins.url("Token URL", "The token endpoint.")
    username: str | None = keyturn.plugins.setting(
        "User name", "For parameters that contain {username}.", default=None
    )
    password: keyturn.Secret | None = keyturn.plugins.setting(
        "Password", "For parameters that contain {password}.", default=None
    )
    scope: tuple[str, ...] | None = keyturn.plugins.setting(
        "Scope", "The requested scope.", default=None
    )
    per_minute: float | None = keyturn.plugins.setting(
        "Per minute",
        "The token requests per minute that the token endpoint allows.",
        default=None,
        check=_rate_problem,
        schema={"exclusiveMinimum": 0},
    )
    burst: int | None = keyturn.plugins.setting(
        "Burst",
        "The token requests that it allows at once after a pause.",
        default=None,
        check=keyturn.plugins.between(1),
    )
    rules = (
        *keyturn.plugins.DescriptionSettings.rules,
        keyturn.plugins.Rule(
            "burst", "is required with per_minute", when={"per_minute": keyturn.plugins.GIVEN}
        ),
        keyturn.plugins.Rule(
            "per_minute", "is required with burst", when={"burst": keyturn.plugins.GIVEN}
        ),
    )

    def problems(self) -> Iterator[str]:
        """Return the mistakes in the description."""
        try:
            self.described_provider()
        except keyturn.errors.ConfigurationError as error:
            yield from map(str, error.problems)

    def described_provider(self) -> keyturn.plugins.Provider[Any]:
        """Return the provider that these settings describe.

        Raises:
            keyturn.errors.ConfigurationError: There are mistakes in the description.
        """
        description = {**self.description(), "name": Generic.name, "token_url": Generic.token_url}
        if self.per_minute is not None and self.burst is not None:
            description["rate_limit"] = keyturn.plugins.RateLimit(self.per_minute, self.burst)
        return _described(_Description(description))


class _Description:
    """A description as a hashable value, which compares by its data."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data, self._key = data, repr(data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Description) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


# Most connections of an application share a few descriptions.
@functools.lru_cache(maxsize=256)
def _described(description: _Description) -> keyturn.plugins.Provider[Any]:
    return keyturn.plugins.provider_from_data(description.data)


class Generic(keyturn.plugins.Provider[GenericSettings]):
    """A platform without a separate provider."""

    name = "generic"
    title = "Any platform"
    settings = GenericSettings
    token_url = "{token_url}"

    def for_settings(self, settings: GenericSettings) -> keyturn.plugins.Provider[Any]:
        """Return the provider that the settings describe."""
        return settings.described_provider()


@keyturn.plugins.hookimpl
def keyturn_provider() -> keyturn.plugins.Provider[GenericSettings]:
    """Return the provider `generic`."""
    return Generic()
