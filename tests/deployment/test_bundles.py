"""Applications that are bundled with keyturn: without metadata, in a zip file, by PyInstaller."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import pkgutil
import runpy
import shutil
import sys
import sysconfig
import types
import zipapp
from builtins import filter as builtins_filter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from keyturn._plugins import discovery

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.conftest import RawServer

REPOSITORY = Path(__file__).parents[2]
BUILT_IN = ["commercelayer", "generic", "norce-commerce", "norce-storm", "orocommerce"]
# The application. The libraries come last in the path, and from one directory, as in a bundle.
MAIN = """
import json, sys
sys.path.append(sys.argv[1])
import keyturn
assert ".pyz" in keyturn.__file__
tokens = []
settings = {"token_url": sys.argv[2], "client_id": "a", "client_secret": "b"}
for provider, more in ("commercelayer", {"kind": "integration"}), ("generic", {}):
    with keyturn.connect(provider, settings | more, store=f"disk://{sys.argv[3]}") as connection:
        tokens.append(connection.token().access_token)
try:
    keyturn.connect("orocomerce")
except keyturn.errors.ProviderNotFound as error:
    problem = str(error)
from keyturn._cli import main
try:
    main(["--version"])
except SystemExit as exit_:
    assert exit_.code == 0
main(["providers", "--format", "json"])
print(json.dumps([tokens, problem]))
"""


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """Return a directory with the installed libraries, without any distribution's metadata."""
    directory = tmp_path / "libraries"
    directory.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix not in {".dist-info", ".pth"} and not path.name.startswith("keyturn"):
            (directory / path.name).symlink_to(path)
    return directory


def test_zipapp_without_metadata_gets_tokens(
    spawn: Callable[..., subprocess.Popen[str]],
    serve: Callable[..., RawServer],
    token_response: bytes,
    libraries: Path,
    tmp_path: Path,
) -> None:
    """A bundled application would find no provider, and no module that is imported by name."""
    for package in (REPOSITORY / "core" / "keyturn", *(REPOSITORY / "providers").iterdir()):
        if package.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(package, tmp_path / "source" / package.name, ignore=ignore)
    (tmp_path / "source" / "__main__.py").write_text(MAIN, encoding="utf-8")
    zipapp.create_archive(tmp_path / "source", tmp_path / "application.pyz")

    arguments = [libraries, serve(token_response).url, tmp_path / "store"]
    process = spawn([sys.executable, "-I", "-S", tmp_path / "application.pyz", *arguments])
    output, trouble = process.communicate(timeout=40)
    assert process.returncode == 0, trouble
    version, *listed, last = output.splitlines()
    tokens, problem = json.loads(last)

    assert trouble == ""
    assert version == "keyturn unknown"
    rows = json.loads("\n".join(listed))
    assert [(row["name"], row["version"]) for row in rows] == [
        (name, "unknown") for name in BUILT_IN
    ]
    assert tokens == ["t0ken"] * 2
    assert "Did you mean orocommerce?" in problem


def test_hook_for_pyinstaller_lists_every_module_and_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A frozen application would lack modules that keyturn imports by name."""
    (point,) = importlib.metadata.entry_points(group="pyinstaller40", name="hook-dirs")
    (directory,) = point.load()()

    def submodules(package: str, filter: Callable[[str], bool] = bool) -> list[str]:  # noqa: A002 - PyInstaller's
        path = importlib.import_module(package).__path__
        found = [package, *(each.name for each in pkgutil.walk_packages(path, f"{package}."))]
        return [*builtins_filter(filter, found)]

    hooks = types.ModuleType("PyInstaller.utils.hooks")
    given: dict[str, Any] = {
        "collect_submodules": submodules,
        "collect_data_files": lambda package: [(f"/site/{package}/file", package)],
        "collect_entry_point": lambda group: ([(f"/site/{group}.dist-info", ".")], [f"{group}_x"]),
    }
    vars(hooks).update(given)
    monkeypatch.setitem(sys.modules, "PyInstaller", types.ModuleType("PyInstaller"))
    monkeypatch.setitem(sys.modules, "PyInstaller.utils", types.ModuleType("PyInstaller.utils"))
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", hooks)
    found = runpy.run_path(f"{directory}/hook-keyturn.py")
    modules = {"keyturn.stores._disk", "keyturn.integrations._request_auth"}
    assert {*modules, *discovery.BUILT_IN.values()} <= {*found["hiddenimports"]}
    apart = {
        "keyturn.integrations._pyinstaller",
        "keyturn._cli.tokens",
        "keyturn.integrations.httpx",
    }
    assert not apart & {*found["hiddenimports"]}
    assert found["excludedimports"] == ["keyturn.testing"]
    # Installed plugins, their metadata and their files.
    assert {"keyturn.providers_x", "keyturn.plugins_x"} <= {*found["hiddenimports"]}
    assert ("/site/keyturn.providers.dist-info", ".") in found["datas"]
    assert ("/site/keyturn/file", "keyturn") in found["datas"]

    found = runpy.run_path(f"{directory}/hook-keyturn._cli.py")
    assert {"keyturn._cli.tokens", "keyturn.testing.emulator"} <= {*found["hiddenimports"]}
    assert ("/site/keyturn/file", "keyturn") in found["datas"]
