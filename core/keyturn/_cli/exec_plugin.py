"""A Kubernetes client that runs `keyturn token`: how it shows that a token was refused.

client-go runs its credential plugin once, and again after a 401, without a word about the reason
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins).
So a process that has got the current token, and asks again, had it refused. The store has which
token a process has got. A program that uses one connection for two clusters asks twice, too: it
causes one token request more.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from keyturn._cli.commands import current_token
from keyturn._connection import manager_of

if TYPE_CHECKING:
    from keyturn._connection import Connection
    from keyturn._token import Token


def token_for_client(connection: Connection, stale: Token | None) -> Token:
    """Return a token, another than the one that the client has got before.

    Args:
        connection: The connection.
        stale: A token that must not be returned, if that is known.
    """
    key = _key_of_client(connection.name)
    if key is None:
        return connection.token(stale=stale)
    store = manager_of(connection).acquisition.store
    current = stale or current_token(connection)
    if current is not None and store.read(key) == _digest(current):
        stale = current
    token = connection.token(stale=stale)
    store.write(key, _digest(token), token.expires_at)
    return token


def _key_of_client(name: str) -> str | None:
    """Return the store's key for the client that runs this process, or None if it is unknown."""
    if "KUBERNETES_EXEC_INFO" not in os.environ:
        return None
    parent = os.getppid()
    try:
        # Its start time, field 22 (proc(5)): another process may get the same pid later.
        fields = Path(f"/proc/{parent}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    client = f"{socket.gethostname()} {parent} {fields[19].decode()} {name}"
    return f"client-{hashlib.sha256(client.encode()).hexdigest()}"


def _digest(token: Token) -> str:
    return hashlib.sha256(token.access_token.encode()).hexdigest()
