"""Adapters that add a connection's token to the requests of HTTP clients, and their base.

Each adapter is a module named after its client, imported on first use:
`keyturn.integrations.aiohttp`, `.airbyte`, `.airflow`, `.dagster`, `.django`, `.dlt`, `.httpie`,
`.httpx`, `.httpx2`, `.niquests`, `.prefect`, `.requests`, `.scrapy`, `.singer` and `.urllib3`.
`RequestAuth` is for authors of other adapters. `keyturn.integrations.opentelemetry` reports token
requests.
"""

from __future__ import annotations

from keyturn._common.names import TYPE_CHECKING, lazy_names

if TYPE_CHECKING:
    from keyturn.integrations import (
        aiohttp,
        airbyte,
        airflow,
        dagster,
        django,
        dlt,
        httpie,
        httpx,
        httpx2,
        niquests,
        opentelemetry,
        prefect,
        requests,
        scrapy,
        singer,
        urllib3,
    )
    from keyturn.integrations._authorized_request import AuthorizedRequest
    from keyturn.integrations._request_auth import RequestAuth

__all__ = [
    "AuthorizedRequest",
    "RequestAuth",
    "aiohttp",
    "airbyte",
    "airflow",
    "dagster",
    "django",
    "dlt",
    "httpie",
    "httpx",
    "httpx2",
    "niquests",
    "opentelemetry",
    "prefect",
    "requests",
    "scrapy",
    "singer",
    "urllib3",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AuthorizedRequest": "keyturn.integrations._authorized_request",
        "RequestAuth": "keyturn.integrations._request_auth",
        "aiohttp": "keyturn.integrations.aiohttp",
        "airbyte": "keyturn.integrations.airbyte",
        "airflow": "keyturn.integrations.airflow",
        "dagster": "keyturn.integrations.dagster",
        "django": "keyturn.integrations.django",
        "dlt": "keyturn.integrations.dlt",
        "httpie": "keyturn.integrations.httpie",
        "httpx": "keyturn.integrations.httpx",
        "httpx2": "keyturn.integrations.httpx2",
        "niquests": "keyturn.integrations.niquests",
        "opentelemetry": "keyturn.integrations.opentelemetry",
        "prefect": "keyturn.integrations.prefect",
        "requests": "keyturn.integrations.requests",
        "scrapy": "keyturn.integrations.scrapy",
        "singer": "keyturn.integrations.singer",
        "urllib3": "keyturn.integrations.urllib3",
    },
)
