"""A user's assets for Dagster, which call an API, four of them at the same time."""

import json
import os
import sys
import time
from pathlib import Path

import dagster
import httpx

from keyturn.integrations.dagster import KeyturnResource

SETTINGS = json.loads(os.environ["SHOP_SETTINGS"])
WORKERS = 4
WAIT = 120  # seconds


def meet(number: int) -> None:
    """Wait until all workers have arrived."""
    place = Path(os.environ["MEETING_PLACE"])
    (place / str(number)).touch()
    end = time.monotonic() + WAIT
    while len(list(place.iterdir())) < WORKERS:
        assert time.monotonic() < end, "the workers do not run at the same time"
        time.sleep(0.05)


@dagster.asset
def before(context: dagster.AssetExecutionContext, shop: KeyturnResource) -> int:
    """Call the API, which then revokes all tokens. Log the resource."""
    with shop.client() as client:
        status = client.get("users").status_code
    context.log.info("%r", shop)
    sys.stdout.write(f"{shop}\n")
    httpx.post(os.environ["REVOKE"], trust_env=False).raise_for_status()
    return status


def worker(number: int) -> dagster.AssetsDefinition:
    """Return an asset that calls the API at the same time as the others."""

    @dagster.asset(name=f"worker_{number}", deps=[before])
    def call(shop: KeyturnResource) -> int:
        meet(number)
        with shop.client() as client:
            return client.get("users").status_code

    return call


SECRETS = {"client_secret": dagster.EnvVar("SHOP_SECRET")}
# What the user writes:
shop = KeyturnResource(provider="orocommerce", settings=SETTINGS, secrets=SECRETS)
# End of what the user writes.
# A literal secret, which the documentation advises against.
careless = KeyturnResource(
    provider="orocommerce", settings=SETTINGS, secrets={"client_secret": "made-up-careless-canary"}
)
assets = [before, *map(worker, range(WORKERS))]
executor = dagster.multiprocess_executor.configured({"max_concurrent": WORKERS})
run = dagster.define_asset_job("run", executor_def=executor)
definitions = dagster.Definitions(
    assets, jobs=[run], resources={"shop": shop, "careless": careless}
)
