"""An application that PyInstaller freezes; prints tokens, the providers and keyturn's version."""

from __future__ import annotations

import sys

import keyturn

url, store = sys.argv[1:]
settings = {"token_url": url, "client_id": "made-up", "client_secret": "made-up"}
for provider, more in ("commercelayer", {"kind": "integration"}), ("generic", {}):
    with keyturn.connect(provider, settings | more, store=f"disk://{store}") as connection:
        print(connection.token().access_token)
print(*(info.name for info in keyturn.providers()))
