"""Loads the emulator's users with dlt in three ways, while the API revokes the tokens.

It prints the results of each run as JSON. The working directory has dlt's secrets and
configuration, and keyturn's, written by `test_dlt.py`.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator
from dlt.sources.rest_api import rest_api_source
from tests.integrated.leaks import secrets_of
from tests.integrated.revoking import PROVIDER, RevokingEmulator

import keyturn
from keyturn.integrations.dlt import KeyturnAuth

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = 8
PAGES = 8
PAGINATOR: Any = {
    "type": "page_number",
    "base_page": 1,
    "total_path": None,
    "maximum_page": PAGES + 1,
    "stop_after_empty_page": False,
}


def resources() -> list[Any]:
    """Return resources of a REST API source, loaded at the same time."""
    return [
        {
            "name": f"users_{number}",
            "parallelized": True,
            "endpoint": {"path": "users", "paginator": PAGINATOR},
        }
        for number in range(WORKERS)
    ]


def by_secrets(emulator: RevokingEmulator, api_url: str) -> Any:
    """Return a source whose provider and settings dlt reads from its secrets."""
    Path(".dlt/secrets.toml").write_text(
        "[sources.shop.credentials]\n"
        f'provider = "{PROVIDER}"\n'
        "[sources.shop.credentials.settings]\n"
        + "".join(f"{name} = {json.dumps(value)}\n" for name, value in emulator.shop().items()),
        encoding="utf-8",
    )
    # What the user writes:
    auth = KeyturnAuth()
    # End of what the user writes.
    client: Any = {"base_url": api_url, "auth": auth}
    return rest_api_source({"client": client, "resources": resources()}, name="shop")


def by_name(emulator: RevokingEmulator, api_url: str) -> Any:
    """Return a source with the name of a connection in keyturn.toml."""
    path = Path("keyturn.toml")
    path.touch(mode=0o600)
    path.write_text(
        f'store = "memory://"\n[connections.shop]\nprovider = "{PROVIDER}"\n'
        + "".join(f"{name} = {json.dumps(value)}\n" for name, value in emulator.shop().items()),
        encoding="utf-8",
    )
    client: Any = {"base_url": api_url, "auth": {"type": "keyturn", "connection": "shop"}}
    return rest_api_source({"client": client, "resources": resources()}, name="named")


def by_client(emulator: RevokingEmulator, api_url: str) -> Any:
    """Return a source with dlt's REST client, whose workers get a 401 at the same time."""
    connection = keyturn.connect(PROVIDER, emulator.shop())
    client = RESTClient(api_url, auth=KeyturnAuth(connection))
    all_at_once = threading.Barrier(WORKERS, lambda: emulator.revoke_tokens(PROVIDER), timeout=60)

    @dlt.source(name="client")
    def source() -> Iterator[Any]:
        for number in range(WORKERS):

            @dlt.resource(name=f"users_{number}", parallelized=True)
            def users() -> Iterator[Any]:
                for page in client.paginate("users", paginator=paginator()):
                    yield page
                    if page.paginator.current_value == 2:
                        all_at_once.wait()

            yield users

    return source()


def paginator() -> PageNumberPaginator:
    """Return a paginator of `PAGES` pages."""
    return PageNumberPaginator(**{k: v for k, v in PAGINATOR.items() if k != "type"})


def main() -> None:
    """Run a pipeline for each way."""
    secrets: list[str] = []
    rows = {}
    for way in (by_secrets, by_name, by_client):
        after = () if way is by_client else (15, 45)
        with RevokingEmulator(*after) as emulator:
            api_url = keyturn.connect(PROVIDER, emulator.shop()).api_url + "/"
            source = way(emulator, api_url)
            pipeline = dlt.pipeline(way.__name__, destination="filesystem", dataset_name="data")
            pipeline.run(source).raise_on_failed_jobs()
            counts = pipeline.last_trace.last_normalize_info.row_counts
            users = sum(counts[f"users_{number}"] for number in range(WORKERS))
            refused = emulator.api_requests(PROVIDER) - users
            rows[way.__name__] = users, emulator.token_requests(PROVIDER), refused
            secrets += secrets_of(emulator)
    shown = {"rows": rows, "secrets": secrets, "version": dlt.__version__}
    sys.stdout.write(f"{json.dumps(shown)}\n")


if __name__ == "__main__":
    main()
