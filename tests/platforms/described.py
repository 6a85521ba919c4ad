"""The platforms: each file has a source, a description, and an example of the flow."""

from __future__ import annotations

import functools
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import attrs

import keyturn
from keyturn._providers.data import DATA

HERE = Path(__file__).parent


@attrs.frozen
class Platform:
    """One platform's file."""

    path: Path

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.path.stem

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """The content of the file."""
        return tomllib.loads(self.path.read_text(encoding="utf-8"))

    @property
    def description(self) -> dict[str, Any]:
        """The description."""
        description: dict[str, Any] = self.data["provider"]
        return description

    @property
    def lines(self) -> list[str]:
        """The lines of its description, without blank ones and comments."""
        lines = description_in(self.path).splitlines()
        return [each for each in lines if each.strip() and not each.startswith("#")]

    @property
    def differing_lines(self) -> list[str]:
        """The lines other than titles, addresses and settings: the differences from RFC 6749."""
        usual = r"(?:title|token_url|api_url) =|settings\.|\["
        return [each for each in self.lines if not re.match(usual, each)]

    @property
    def setting_tables(self) -> list[dict[str, Any]]:
        """The description's tables of settings."""
        return list(self.description.get("settings", {}).values())

    @property
    def example(self) -> dict[str, Any]:
        """The example of the flow."""
        example: dict[str, Any] = self.data["example"]
        return example

    @functools.cached_property
    def provider(self) -> keyturn.plugins.Provider[Any]:
        """The provider that the description declares."""
        if "extends" in self.description:
            with tempfile.TemporaryDirectory() as folder:
                for each in (self.path, HERE / self.description["extends"]):
                    Path(folder, each.name).write_text(description_in(each), encoding="utf-8")
                return keyturn.plugins.provider_from_file(Path(folder, self.path.name))
        return keyturn.plugins.provider_from_data(self.description, name=self.name)

    @property
    def peculiarities(self) -> list[str]:
        """The data that differ from RFC 6749's defaults, without those that every platform has."""
        columns = {"title", "settings", "token_url", "api_url", "client_authentication"}
        given, usual = self.provider, keyturn.plugins.Provider
        return [
            name
            for name in sorted(DATA.keys() - columns - {"name", "body_format", "method"})
            if getattr(given, name) != getattr(usual, name)
        ]


def description_in(path: Path) -> str:
    """Return the description in a platform's file, as a file of its own."""
    text = path.read_text(encoding="utf-8").partition("\n[provider]\n")[2]
    return text.partition("\n[example")[0].replace("\n[provider.", "\n[")


PLATFORMS = [Platform(path) for path in sorted(HERE.glob("*.toml"))]
