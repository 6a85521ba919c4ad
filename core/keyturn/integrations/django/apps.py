"""The application by which `manage.py check` reports mistakes in connections."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from keyturn import errors
from keyturn.integrations.django import connections


class KeyturnConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """keyturn in `INSTALLED_APPS`."""

    name = "keyturn.integrations.django"
    label = "keyturn"

    def ready(self) -> None:
        """Register the check; Django calls it."""
        checks.register(_check, "keyturn")


def _check(**_: object) -> list[checks.CheckMessage]:
    try:
        connections.check()
    except errors.ConfigurationError as error:
        found = [str(each) for each in error.problems] or [error.message]
        return [checks.Error(each, hint=error.hint or None, id="keyturn.E001") for each in found]
    return []
