"""PyInstaller's hook for keyturn, which imports most of its modules by name when it needs them."""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files, collect_entry_point, collect_submodules

# Adapters and the kits for tests are included only if the application imports them: they would add
# every client and tool that is installed on the build machine. The command line has its own hook.
_APART = (
    "keyturn.__main__",
    "keyturn._cli",
    "keyturn._server",
    "keyturn.integrations._pyinstaller",
    "keyturn.testing",
)


def _is_needed(name: str) -> bool:
    is_adapter = name.startswith("keyturn.integrations.") and "._" not in name
    return not is_adapter and not name.startswith(_APART)


hiddenimports = collect_submodules("keyturn", filter=_is_needed)
datas = []
# `keyturn` imports it for type checkers only.
excludedimports = ["keyturn.testing"]
for _provider in ("commercelayer", "generic", "norce", "orocommerce"):
    hiddenimports += collect_submodules(f"keyturn_{_provider}")
# Third-party providers and plugins that are installed on the build machine, and their metadata, by
# which keyturn finds them. A provider may be a TOML file.
for _group in ("keyturn.providers", "keyturn.plugins"):
    _datas, _modules = collect_entry_point(_group)
    datas += _datas
    hiddenimports += _modules
    for _module in _modules:
        datas += collect_data_files(_module.partition(".")[0])
