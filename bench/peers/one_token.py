"""`python -m bench.peers.one_token PEER URL [DIRECTORY]` prints a token; it is timed whole."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from bench.peers._peer import Endpoint


def main() -> None:
    """Print a token, from a directory if one is given.

    The process ends at once, whatever threads the library has left.
    """
    module, url, *directory = sys.argv[1:]
    peer = import_module(f"bench.peers.{module}").PEER
    endpoint = Endpoint.from_url(url)
    call = peer.on_disk(endpoint, Path(directory[0])) if directory else peer.sync(endpoint)
    print(peer.access_token(call()), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
