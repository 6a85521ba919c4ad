"""PyInstaller's hook for the command line, whose commands are imported by their names."""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

hiddenimports = collect_submodules("keyturn._cli") + collect_submodules("keyturn.testing")
hiddenimports += collect_submodules("keyturn._server")
datas = collect_data_files("keyturn")
