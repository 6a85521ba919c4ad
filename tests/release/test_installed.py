"""keyturn installed from its wheel, without the repository."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.release.conftest import Environment

PACKAGES = {
    "keyturn",
    "keyturn_norce",
    "keyturn_orocommerce",
    "keyturn_commercelayer",
    "keyturn_generic",
}
PROVIDERS = ["commercelayer", "generic", "norce-commerce", "norce-storm", "orocommerce"]


def test_wheel_holds_the_packages_typed_and_nothing_else(wheel: Path) -> None:
    """The wheel would install a stray top-level package, or lack one."""
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.partition("/")[0] for name in names}

    assert {root for root in roots if not root.endswith((".dist-info", ".data"))} == PACKAGES
    manuals = {name.partition(".data/data/")[2] for name in names if ".data/" in name}
    written = (Path(__file__).parents[2] / "docs" / "man").iterdir()
    assert manuals == {f"share/man/man1/{path.name}" for path in written}
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_providers_are_there_by_name(bare: Environment) -> None:
    """An installation of keyturn without plugins would lack the built-in providers."""
    script = "import keyturn; print(*(info.name for info in keyturn.providers()))"

    assert bare.python(script).split() == PROVIDERS


def test_command_lists_the_providers(bare: Environment) -> None:
    """A fresh installation would have no working command line."""
    done = bare.run("keyturn", "providers")

    assert done.returncode == 0, done.stderr
    assert [name for name in PROVIDERS if name in done.stdout] == PROVIDERS


def test_new_provider_is_written(bare: Environment) -> None:
    """The wheel would lack the templates, which are not Python modules."""
    done = bare.run("keyturn", "new-provider", "acme")

    assert done.returncode == 0, done.stderr
    assert (bare.home / "keyturn-acme" / "pyproject.toml").is_file()
