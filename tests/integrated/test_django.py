"""Django, in its own environment: a project under `manage.py runserver`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.integrated.conftest import HERE
from tests.integrated.environments import binaries, version
from tests.integrated.leaks import leaks, secrets_of
from tests.integrated.results import lines_of, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integrated.shops import Shop

BIN = binaries("django")
PROJECT = HERE / "django_project"


@pytest.mark.timeout(300)
def test_connections_in_django(adapter_tests: Callable[[str], None]) -> None:
    """Views would not share a connection, or `manage.py check` would miss a mistake."""
    adapter_tests("django")


@pytest.mark.timeout(120)
def test_a_site_survives_a_revocation(
    shop: Shop, start: Callable[..., None], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views would get a 401 after a revocation, or Django's error pages would show the secret."""
    account = shop.emulator.settings("orocommerce")
    project = {"SHOP_URL": account["url"], "SHOP_CLIENT": account["client_id"]}
    manage = PROJECT / "manage.py"
    assert "no issues" in shop.run("django", "python", manage, "check", **project)
    log = shop.directory / "log"
    for name, value in {**shop.variables, **project}.items():
        monkeypatch.setenv(name, value)
    start(port, BIN / "python", manage, "runserver", "--noreload", f"127.0.0.1:{port}", log=log)

    def get(view: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{port}/{view}", trust_env=False, timeout=30)

    views = ["users", "users_async"] * 4
    with ThreadPoolExecutor(8) as pool:
        for number in (1, 2):
            assert [each.status_code for each in pool.map(get, views)] == [200] * 8
            assert shop.token_requests == number
            shop.emulator.revoke_tokens("orocommerce")
    pages = [get(view).text for view in ("broken", "unreachable", "refused")]
    assert all("Traceback" in page for page in pages)
    assert leaks(secrets_of(shop.emulator), get("leaking").text) == ["output"]
    assert shop.leaks(*pages, log.read_text("utf-8")) == []
    record(
        platform="Django",
        version=version("django", "django"),
        extension_point="`INSTALLED_APPS`, `connections`",
        lines=lines_of(PROJECT / "site_of_shop/settings.py"),
        healed=True,
        parallel=8,
        secrets="settings; searched: pages of errors with `DEBUG`, log at DEBUG",
    )
