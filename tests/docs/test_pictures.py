"""The pictures of the documentation are up to date, and their text is readable."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

REPOSITORY = Path(__file__).parents[2]
IMAGES = REPOSITORY / "docs" / "images"
# Relative to the font size: the mean width of a character, slightly above that of common fonts.
MEAN_WIDTH = 0.56
SIZES = {"title": 17, "small": 12}


class Words(NamedTuple):
    """A string in a picture and its position."""

    text: str
    left: float
    right: float
    y: float


def words(path: Path) -> list[Words]:
    """Return the strings in a picture with their estimated positions."""
    found = []
    for each in ET.parse(path).getroot().iter():  # noqa: S314 - our own file
        if not each.tag.endswith("}text") or not each.text:
            continue
        width = len(each.text) * MEAN_WIDTH * SIZES.get(each.get("class", ""), 13)
        before = {"start": 0.0, "middle": width / 2, "end": width}[each.get("text-anchor", "start")]
        left = float(each.get("x", "0")) - before
        found.append(Words(each.text, left, left + width, float(each.get("y", "0"))))
    return found


PICTURES = sorted(IMAGES.glob("*.svg"))


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_text_is_within_the_picture(path: Path) -> None:
    """A reader would see text that is cut off."""
    _, _, width, height = map(float, ET.parse(path).getroot().get("viewBox", "").split())  # noqa: S314

    found = words(path)

    assert found
    assert [each for each in found if each.left < 0 or each.right > width or each.y > height] == []


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_texts_do_not_overlap(path: Path) -> None:
    """A reader could not read two captions at one place."""
    pairs = itertools.combinations(words(path), 2)

    assert [
        (one.text, other.text)
        for one, other in pairs
        if abs(one.y - other.y) < 11 and one.left < other.right and other.left < one.right
    ] == []


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_picture_is_no_wider_than_a_phone(path: Path) -> None:
    """A browser on a phone would shrink the text until it is unreadable."""
    assert float(ET.parse(path).getroot().get("width", "0")) <= 400  # noqa: S314 - our own file


def test_pictures_are_those_that_the_script_draws() -> None:
    """A picture that was edited manually would lose the change when it is drawn again."""
    drawn = runpy.run_path(str(REPOSITORY / "scripts" / "pictures.py"))["PICTURES"]

    for name, draw in drawn.items():
        assert (IMAGES / name).read_text(encoding="utf-8") == draw()
