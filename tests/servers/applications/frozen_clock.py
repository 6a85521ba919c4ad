"""Requests and renews tokens while freezegun freezes every clock that it can."""

from __future__ import annotations

import sys

import freezegun

import keyturn

url, store = sys.argv[1:]
settings = {"kind": "integration", "token_url": url, "client_id": "a", "client_secret": "b"}
with freezegun.freeze_time("2020-01-01") as frozen:
    for place in ("memory://", f"disk://{store}"):
        with keyturn.connect("commercelayer", settings, store=place) as connection:
            token = connection.token()
            print(connection.token() == token, connection.token(stale=token) != token)
    frozen.tick(30)
    with keyturn.connect("commercelayer", settings, store=f"disk://{store}") as connection:
        print(connection.token().access_token)
