"""The pictures are those that their descriptions make."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

REPOSITORY = Path(__file__).parents[2]
IMAGES = REPOSITORY / "docs" / "images"
SCRIPT = REPOSITORY / "scripts" / "draw_docs.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that draws them."""
    spec = importlib.util.spec_from_file_location("draw_docs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_are_up_to_date(script: ModuleType) -> None:
    """A picture that is older than its description shows what no longer is."""
    committed = {path.stem: path.read_text(encoding="utf-8") for path in IMAGES.glob("*.svg")}
    committed.pop("measured")  # `make bench` draws it, and its own tests hold it to the figures

    assert committed == {name: script.drawn(name) for name in script.PICTURES}


def test_the_house_shows_every_room() -> None:
    """A module that the picture leaves out, or invents, puts newcomers on the wrong track."""
    house = tomllib.loads((IMAGES / "house.toml").read_text(encoding="utf-8"))
    drawn = {room for floor in house["floors"] for room in floor["rooms"]}
    core = REPOSITORY / "core" / "keyturn"
    modules = {path.stem for path in core.glob("*.py")} | {
        p.parent.name for p in core.glob("*/*.py")
    }

    assert drawn == modules - {"__init__"}
