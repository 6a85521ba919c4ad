"""`python -m bench.measure PEER ROW SERVER [--quick]` measures a row and prints JSON."""

from __future__ import annotations

import json
import os
import sys
import traceback
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.measure import agent, api_request, cold, cold_call, hit, load, many, tenants
from bench.measure.context import Context
from bench.peers._apis import APIS

if TYPE_CHECKING:
    from collections.abc import Callable

    Measure = Callable[..., dict[str, float] | None]

MEASURES: dict[str, Measure] = {
    "hit": hit.hit,
    "hit_after_pause": hit.hit_after_pause,
    "async_hit": hit.async_hit,
    "threads": hit.threads,
    **{f"request_{name}": partial(api_request.api_request, api=api) for name, api in APIS.items()},
    **{
        f"async_request_{name}": partial(api_request.async_api_request, api=api)
        for name, api in APIS.items()
    },
    "cold_call": cold_call.cold_call,
    "cold_threads": cold.threads,
    "cold_tasks": cold.tasks,
    "cold_8_processes": partial(cold.processes, count=8),
    "cold_64_processes": partial(cold.processes, count=64),
    "burst": cold.burst,
    "load": load.load,
    "async_load": load.async_load,
    "minute": load.minute,
    "async_minute": load.async_minute,
    "many": many.many,
    "tenants_hosts": tenants.hosts,
    "tenants_one_host": tenants.one_host,
    "tenants_hanging": tenants.hanging,
    "tenants_unseen": tenants.unseen,
    "tenants_idle": tenants.idle,
    "proxy": agent.proxy,
}


def main() -> None:
    """Measure the row that the command line names.

    The process ends at once, whatever threads still wait for a token.
    """
    module, row, address, *more = sys.argv[1:]
    peer = import_module(f"bench.peers.{module}").PEER
    figures: dict[str, Any] | None
    try:
        figures = MEASURES[row](peer, Context(address, quick="--quick" in more))
    except Exception as error:  # noqa: BLE001 - the run reports what failed, and continues
        traceback.print_exc()
        figures = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(figures), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
