"""What Airflow reads of keyturn without importing Airflow: its connection type, and the form of it.

Airflow finds it by the entry point `apache_airflow_provider`.
"""

from __future__ import annotations

from typing import Any

from keyturn import errors
from keyturn._plugins.loading import provider, providers

# Airflow's own fields, as they are called there and here.
STANDARD_FIELDS = {"login": "client_id", "password": "client_secret"}


def get_provider_info() -> dict[str, Any]:
    """Return the metadata of keyturn as a provider package of Airflow."""
    return {
        "package-name": "keyturn",
        "name": "keyturn",
        "description": "A valid access token whenever one is needed.",
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
    """Return the fields of all installed providers, those of `generic` last."""
    schemas = {}
    for each in sorted(providers(), key=lambda info: (info.name == "generic", info.name)):
        try:
            schemas[each.name] = provider(each.name).settings_schema()["properties"]
        except errors.ConfigurationError:
            continue  # a broken plugin must not hide the others
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
    """Return what Airflow's form needs of a setting's schema: each field may be left blank."""
    is_boolean = "boolean" in schema["type"]
    drawn: dict[str, Any] = {"type": ["boolean" if is_boolean else "string", "null"]}
    return drawn | ({"format": "password"} if schema.get("writeOnly") else {})
