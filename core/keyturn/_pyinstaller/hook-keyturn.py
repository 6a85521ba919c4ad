"""PyInstaller's hook for keyturn, which imports most of its modules by name when it needs them."""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files, collect_entry_point, collect_submodules

hiddenimports = collect_submodules("keyturn", filter=lambda name: "_pyinstaller" not in name)
datas = collect_data_files("keyturn")
for _provider in ("commercelayer", "generic", "norce", "orocommerce"):
    hiddenimports += collect_submodules(f"keyturn_{_provider}")
# Third-party providers and plugins that are installed where the application is built, and their
# metadata, by which keyturn finds them.
for _group in ("keyturn.providers", "keyturn.plugins"):
    _datas, _hiddenimports = collect_entry_point(_group)
    datas += _datas
    hiddenimports += _hiddenimports
    for _module in _hiddenimports:
        datas += collect_data_files(_module.partition(".")[0])  # a provider may be a TOML file
