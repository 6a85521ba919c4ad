"""Gateways that let `keyturn serve` add the token, configured as its page says."""

from __future__ import annotations

import re
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
from tests.integrated.conftest import HERE, SECRET, Agent, running_agent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = HERE.parents[1] / "docs/how-to/serve.md"


def test_nginx(agent: Agent, start: Callable[..., None], port: int, tmp_path: Path) -> None:
    """nginx could not add the token, or would pass the 401 of a revoked token on."""
    (locations,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    base = agent.path.rpartition("/")[0]
    own = locations.replace("https://shop.example", agent.api).replace("/admin/api", base)
    own = own.replace("127.0.0.1:8123", agent.host).replace("SECRET", SECRET)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(_filled("nginx.conf", directory=tmp_path, port=port, locations=own))
    start(port, "nginx", "-e", "stderr", "-p", tmp_path, "-c", configuration)
    url = f"http://127.0.0.1:{port}/api/{agent.path.rpartition('/')[2]}"
    browser = {"Origin": "https://shop.example", "Authorization": "Bearer the-user's"}
    assert httpx.get(url, headers=browser, trust_env=False).status_code == 200
    agent.emulator.revoke_tokens("orocommerce")
    before = agent.emulator.token_requests("orocommerce")
    gate = threading.Barrier(8)

    def get(_: int) -> int:
        gate.wait(20)
        return httpx.get(url, headers=browser, trust_env=False).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(get, range(8))) == [200] * 8
    assert agent.emulator.token_requests("orocommerce") == before + 1


def test_envoy(start: Callable[..., None], port: int, tmp_path: Path) -> None:
    """Envoy, which sends its client's Host, could not add the token."""
    configuration, socket = tmp_path / "envoy.yaml", tmp_path / "socket"
    with running_agent(tmp_path, arguments=("--socket", str(socket))) as agent:
        api_port = agent.api.rpartition(":")[2]
        configuration.write_text(_filled("envoy.yaml", port=port, socket=socket, api_port=api_port))
        options = ("--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning")
        start(port, "envoy", "-c", configuration, *options)
        response = httpx.get(f"http://127.0.0.1:{port}{agent.path}", trust_env=False)
        assert response.status_code == 200


def _filled(name: str, **values: object) -> str:
    """Return a configuration, made from a template of this directory."""
    template = (HERE / f"{name}.template").read_text("utf-8")
    return string.Template(template).substitute(values)
