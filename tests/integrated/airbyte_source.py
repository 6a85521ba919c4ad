"""A declarative connector of Airbyte's CDK, as the platform starts it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from airbyte_cdk.entrypoint import AirbyteEntrypoint, launch
from airbyte_cdk.sources.declarative.concurrent_declarative_source import (
    ConcurrentDeclarativeSource,
)

import keyturn

if TYPE_CHECKING:
    from collections.abc import Sequence

MANIFEST = Path(__file__).with_name("airbyte_manifest.yaml")


def source(arguments: Sequence[str]) -> ConcurrentDeclarativeSource:
    """Return the connector, with the files of its command line."""
    manifest: dict[str, Any] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    schema = keyturn.provider("orocommerce").settings_schema(dialect="draft-07", style="airbyte")
    manifest["spec"] = {"type": "Spec", "connection_specification": schema}
    files = {
        name: getattr(AirbyteEntrypoint, f"extract_{name}")(list(arguments))
        for name in ("catalog", "config", "state")
    }
    read = ConcurrentDeclarativeSource
    return read(
        catalog=read.read_catalog(files["catalog"]) if files["catalog"] else None,
        config=read.read_config(files["config"]) if files["config"] else None,
        state=read.read_state(files["state"]) if files["state"] else None,
        source_config=manifest,
    )


if __name__ == "__main__":
    launch(source(sys.argv[1:]), sys.argv[1:])
