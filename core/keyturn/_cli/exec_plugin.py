"""`keyturn token` as a credential plugin of kubectl: how keyturn detects a refused token.

kubectl runs its credential plugin once, and again after a 401, without the reason
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins).
So if a kubectl process that already has the current token runs the plugin again, an API has
refused the token. The store records the token that each kubectl process received. Other programs
may run the plugin again for other reasons.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn._cli.commands import current_token
from keyturn._connection import manager_of

if TYPE_CHECKING:
    from keyturn._connection import Connection
    from keyturn._token import Token


def token_for_kubectl(connection: Connection, stale: Token | None) -> Token:
    """Return a token that differs from the one that the same kubectl process received before.

    Args:
        connection: The connection.
        stale: A token that must not be returned, if it is known.
    """
    key = _key_of_kubectl(connection.name)
    if key is None:
        return connection.token(stale=stale)
    store = manager_of(connection).acquisition.store
    current = stale or current_token(connection)
    if current is not None and store.read(key) == _entry(current):
        stale = current
    token = connection.token(stale=stale)
    store.write(key, _entry(token), token.expires_at)
    return token


def _key_of_kubectl(name: str) -> str | None:
    """Return the store's key for the kubectl that runs this process, or None if none does.

    Args:
        name: The connection's name.
    """
    parent = os.getppid()
    try:
        # Fields 2, the name, and 22, the start time: another process may get the pid (proc(5)).
        _, _, rest = Path(f"/proc/{parent}/stat").read_bytes().partition(b"(kubectl) ")
    except OSError:
        return None
    if not rest:
        return None
    kubectl = f"{socket.gethostname()} {parent} {rest.split()[19].decode()} {name}"
    return f"kubectl-{hashlib.sha256(kubectl.encode()).hexdigest()}"


def _entry(token: Token) -> str:
    digest = hashlib.sha256(token.access_token.encode()).hexdigest()
    return json.dumps({"v": 1, "token": digest})
