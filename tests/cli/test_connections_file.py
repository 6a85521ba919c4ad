"""`keyturn connections add` and `remove` change only their own table in keyturn.toml."""

from __future__ import annotations

import stat
import threading
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn._config.editing import change_file, with_table, without_table
from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Result

    Keyturn = Callable[..., Result]

# Pieces of a file that are complete by themselves, and easily misread.
PIECES = [
    "# a comment\n",
    "\n",
    "# [connections.shop] in a comment\n\n",
    '[connections.a]\nprovider = "x" # why\n',
    '  [ connections . "b.c" ]\ntext = """\n[connections.shop]\n"""\n',
    "[connections.d]\nlist = [\n  [1, 2], # ]\n  [3],\n]\n[connections.d.values.x]\ny = '''[z'''\n",
    '[connections.e]\nquote = "\\"[#"\nother = \'"[\'\nnan = nan\nat = 1979-05-27T07:32:00Z\n',
    "[connections.f]\r\nx = { env = 'Y' }\r\n",
    "[[other]]\nx = 1\n",
]
VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b'\"", "\x7f"]), max_size=2),
    st.fixed_dictionaries({"env": st.text("AZ_", min_size=1, max_size=3)}),
)
TABLES = st.dictionaries(st.sampled_from(["provider", "url", "a b", "x-y", "é"]), VALUES)


@settings(max_examples=20, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES), unique=True, max_size=5),
    position=st.integers(0, 5),
    table=TABLES,
    name=st.sampled_from(["shop", "my.shop", "s-1"]),
)
def test_only_the_named_table_is_added_and_removed(
    pieces: list[str], position: int, table: dict[str, Any], name: str
) -> None:
    """Another connection, a comment or the user's formatting would be lost."""
    text = "".join(pieces)
    added = with_table(text, name, table)

    assert added.startswith(text)
    assert tomllib.loads(added)["connections"][name] == table
    # Wherever the table is, only the table is removed.
    own = added[len(text) :].strip() + "\n"
    before, after = "".join(pieces[:position]), "".join(pieces[position:])
    if after.startswith("["):
        assert without_table(before + own + after, name) == before + after
    assert without_table(added, name).rstrip() == text.rstrip()


def test_comment_above_a_table_belongs_to_that_table() -> None:
    """The comment of the next table would be removed too."""
    text = "# one\n[connections.a]\nx = 1\n# within\n\n# two\n# lines\n[connections.b]\ny = 1\n"

    assert without_table(text, "a") == "# one\n# two\n# lines\n[connections.b]\ny = 1\n"
    assert without_table(text, "b") == text.partition("[connections.b]")[0]


@pytest.mark.parametrize(
    "text",
    [
        "connections = { shop = { x = 1 } }",
        "connections.shop.x = 1",
        "[connections]\nshop.x = 1",
        "[connections]\nshop = { x = 1 }",
        "[connections]\n",
        "connections = 1",
    ],
)
def test_file_that_cannot_be_changed_safely_is_reported(text: str) -> None:
    """The file would be damaged, or the user would believe that it was changed."""
    with pytest.raises(ConfigurationError, match=r"connections\.shop with an editor"):
        without_table(text, "shop")


@pytest.mark.parametrize(
    "text", ["connections = { a = {} }", "connections = 1", "[connections.shop]"]
)
def test_table_that_cannot_be_added_is_reported(text: str) -> None:
    """The file would be damaged, or the user would believe that it was changed."""
    with pytest.raises(ConfigurationError, match=r"\[connections\.shop\]; x = 1"):
        with_table(text, "shop", {"x": 1})


def test_invalid_toml_file_is_not_changed(tmp_path: Path) -> None:
    """A syntax error in the file would cause a loss of data."""
    path = tmp_path / "keyturn.toml"
    for content in b"[", b"\xff", b"x = " + b"[" * 5000:
        path.write_bytes(content)
        with pytest.raises(ConfigurationError):
            change_file(path, lambda text: with_table(text, "a", {}))
        assert path.read_bytes() == content


def test_file_is_replaced_as_a_whole_with_its_mode_and_link(tmp_path: Path) -> None:
    """A reader would see half a file, a group would lose access, or a link would become a copy."""
    directory = tmp_path / "new" / "directory"
    path = directory / "keyturn.toml"
    change_file(path, lambda text: with_table(text, "a", {"x": "\ufeff"}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    link = tmp_path / "link.toml"
    link.symlink_to(path)
    path.chmod(0o640)
    path.write_bytes(b"\xef\xbb\xbf# BOM\r\n")
    change_file(link, lambda text: with_table(text, "b", {}))
    assert link.is_symlink()
    assert path.read_bytes() == b"\xef\xbb\xbf# BOM\r\n\r\n[connections.b]\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    """Of two connections that are added at the same time, one would be lost."""
    path = tmp_path / "keyturn.toml"

    def add(number: int) -> None:
        change_file(path, lambda text: with_table(text, f"c{number}", {}))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(tomllib.loads(path.read_text())["connections"]) == 8


def test_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """A user would not see which file can't be written, and which setting to change."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="can't be changed: File exists"):
        change_file(tmp_path / "file" / "keyturn.toml", str)
