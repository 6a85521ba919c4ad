"""Scrapy, in its own environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.integrated.conftest import HERE
from tests.integrated.environments import version
from tests.integrated.results import lines_of, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integrated.shops import Shop

SPIDER = HERE / "scrapy_spider.py"


@pytest.mark.timeout(300)
def test_scrapy_does_what_all_adapters_do(adapter_tests: Callable[[str], None]) -> None:
    """Scrapy would leak a token in a redirect, or the middleware would have untested code."""
    adapter_tests("scrapy")


@pytest.mark.timeout(300)
def test_a_crawl_survives_a_revocation(shop: Shop) -> None:
    """A crawl would fail after a revocation, or store its tokens on the disk or in logs."""
    log = shop.run(
        *("scrapy", "scrapy", "runspider", SPIDER, "--output", "items.jsonl"),
        *("--set", "JOBDIR=job", "--set", "HTTPCACHE_ENABLED=1", "--loglevel", "DEBUG"),
    )
    items = (shop.directory / "items.jsonl").read_text("utf-8").splitlines()
    statuses = [json.loads(item)["status"] for item in items]
    assert statuses == [200] * 16
    assert shop.token_requests == 2
    assert list(shop.directory.rglob("httpcache/**/request_headers"))
    assert shop.leaks(log) == []
    record(
        platform="Scrapy",
        version=version("scrapy", "scrapy"),
        extension_point="`DOWNLOADER_MIDDLEWARES`",
        lines=lines_of(SPIDER),
        healed=True,
        parallel=8,
        secrets="environment; searched: log at DEBUG, job directory, HTTP cache, items",
    )
