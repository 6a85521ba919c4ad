"""The metadata for Airflow, without importing it: the connection type and its form.

Airflow finds it by the entry point `apache_airflow_provider`.
"""

from __future__ import annotations

from typing import Any

from keyturn import errors
from keyturn._plugins.listing import providers
from keyturn._plugins.loading import provider

# Airflow's own fields: their names in Airflow, and the names of the settings.
STANDARD_FIELDS = {"login": "client_id", "password": "client_secret"}


def get_provider_info() -> dict[str, Any]:
    """Return the metadata of keyturn as a provider package of Airflow."""
    return {
        "package-name": "keyturn",
        "name": "keyturn",
        "description": "OAuth 2 access tokens from client credentials.",
        "connection-types": [
            {
                "connection-type": "keyturn",
                "hook-class-name": "keyturn.integrations.airflow.KeyturnHook",
                "hook-name": "keyturn",
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "schema", "port"],
                    "relabeling": {"login": "Client ID", "password": "Client secret"},
                    "placeholders": {},
                },
                "conn-fields": _fields(),
            }
        ],
    }


def _fields() -> dict[str, Any]:
    """Return the fields of all installed providers, with those of `generic` last."""
    schemas = {}
    for each in sorted(providers(), key=lambda info: (info.name == "generic", info.name)):
        try:
            schemas[each.name] = provider(each.name).settings_schema()["properties"]
        except errors.ConfigurationError:
            continue  # a broken plugin must not hide other providers
    choice = {"type": "string", "enum": [*schemas]}
    fields: dict[str, Any] = {"provider": {"label": "Provider", "schema": choice}}
    users: dict[str, list[str]] = {}
    for name, properties in schemas.items():
        for setting, schema in properties.items():
            if setting not in STANDARD_FIELDS.values() and schema["type"] != "object":
                fields.setdefault(setting, {"label": schema["title"], "schema": _schema(schema)})
                users.setdefault(setting, []).append(name)
    for setting, names in users.items():
        fields[setting]["description"] = f"For {', '.join(names)}."
    return fields


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a setting for Airflow's form, in which each field may be empty."""
    is_boolean = "boolean" in schema["type"]
    drawn: dict[str, Any] = {"type": ["boolean" if is_boolean else "string", "null"]}
    return drawn | ({"format": "password"} if schema.get("writeOnly") else {})
