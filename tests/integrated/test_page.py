"""The status page of `keyturn serve` in Chromium: without a script, by keyboard, with axe."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.integrated.conftest import Agent, running_agent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.timeout(180)
def test_the_page(agent: Agent, run: Callable[..., str]) -> None:
    """A user could not read or use the page in dark mode, by keyboard or with a screen reader."""
    token = agent.token()
    httpx.get(f"{agent.secret_url}/-/token/commercelayer", trust_env=False)
    given = json.dumps({"url": agent.secret_url})
    report = json.loads(run("node", "browse.mjs", given=given, CHROMIUM=_chromium()))
    assert report["violations"] == []
    assert report["errors"] == []
    assert report["notices"] == [
        "shop: renewed the token.",
        "commercelayer: revoked the token.",
    ]
    assert report["refreshed"]
    assert agent.token() != token


@pytest.mark.timeout(300)
def test_five_thousand_connections(tmp_path: Path, run: Callable[..., str]) -> None:
    """The page of a platform with many connections would be slow, or have broken links."""
    with running_agent(tmp_path, extra=5000) as agent:
        given = json.dumps({"url": agent.secret_url, "search": "tenant-4321"})
        report = json.loads(run("node", "browse.mjs", given=given, CHROMIUM=_chromium()))
        response = httpx.get(f"{agent.secret_url}/tenant-4999{agent.path}", trust_env=False)
    assert report["found"] == ["tenant-4321"]
    assert report["violations"] == []
    assert response.status_code == 200


def _chromium() -> str:
    return shutil.which("chromium") or pytest.fail("chromium is not installed")
