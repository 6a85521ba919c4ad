"""The command that lists plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn._cli.commands import print_rows
from keyturn._plugins.overview import PluginState, plugin_states

if TYPE_CHECKING:
    import argparse


def plugins(arguments: argparse.Namespace) -> None:
    """List all plugins and their states, without importing them."""
    rows = [{**each._asdict(), "detail": each.detail or None} for each in plugin_states()]
    print_rows(PluginState._fields, rows, arguments.format, arguments.out)
