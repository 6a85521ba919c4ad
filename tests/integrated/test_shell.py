"""The command line's formats, each read by the program that they are for."""

from __future__ import annotations

import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.integrated.conftest import BEHIND_SERVE, HERE, SECRET
from tests.integrated.kubernetes import kubernetes
from tests.integrated.results import lines_of, record

from keyturn import connect
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROVIDER = "orocommerce"
KUBECTL = HERE.parents[1] / ".cache/integrated-shell/bin/kubectl"
PAGE = HERE.parents[1] / "docs/how-to/scripts.md"
SCRIPT = HERE / "script.sh"
STORED = "`keyturn.toml`; the program has only the token"
SURVIVED: dict[str, Any] = {"healed": True, "parallel": 8}
GET = "kubectl get namespaces --output name"
VERSION = "kubectl version --client | sed -n 's/Client Version: v//p'"


@attrs.frozen
class Shell:
    """The environment of a script.

    Args:
        emulator: The emulator, whose OroCommerce is the connection `shop`.
        cluster: The address of the Kubernetes API, which is the connection `cluster`.
        directory: The directory for files.
        environment: The variables.
    """

    emulator: Emulator
    cluster: str
    directory: Path
    environment: dict[str, str]

    def kubeconfig(self, server: str, users: str) -> dict[str, str]:
        """Write a configuration of kubectl; return the variables that name it.

        Args:
            server: The address of the API.
            users: The part of the configuration that defines the user `cluster`.
        """
        cluster = {"server": server}
        if server.startswith("https:"):
            cluster["certificate-authority"] = self.environment["SSL_CERT_FILE"]
        others = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "cluster"}}],
            "current-context": "cluster",
        }
        # A YAML value may be JSON.
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in others.items()]
        path = self.directory / "kubeconfig"
        path.write_text("".join(lines) + users, encoding="utf-8")
        return self.environment | {"KUBECONFIG": str(path), "HOME": str(self.directory)}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Return the environment of a script."""
    with Emulator() as emulator:
        settings = emulator.settings(PROVIDER)
        with connect(PROVIDER, **settings) as connection:
            resource = connection.api_url + emulator.resource(PROVIDER)
        with kubernetes(resource, tmp_path) as (address, authority):
            own = {
                "token_url": f"{settings['url']}/oauth2-token",
                "api_url": address,
                "client_id": settings["client_id"],
                "client_secret": settings["client_secret"],
            }
            tables = {"shop": (PROVIDER, settings), "cluster": ("generic", own)}
            lines = [f'store = "disk://{tmp_path}/store"']
            for name, (provider, values) in tables.items():
                lines += [f"[connections.{name}]", f'provider = "{provider}"']
                lines += [f"{setting} = {json.dumps(value)}" for setting, value in values.items()]
            configuration = tmp_path / "keyturn.toml"
            configuration.touch(mode=0o600)
            configuration.write_text("\n".join(lines), encoding="utf-8")
            variables = {
                "KEYTURN_CONFIG": str(configuration),
                "PATH": f"{Path(sys.executable).parent}:{KUBECTL.parent}:{os.environ['PATH']}",
                "SSL_CERT_FILE": str(authority),
            }
            yield Shell(emulator, address, tmp_path, variables)


def survive(shell: Shell, call: Callable[[], str], expected: str) -> None:
    """Call eight times at once, before and after a revocation; check for one token request."""
    with ThreadPoolExecutor(8) as pool:
        for number in (1, 2):
            assert list(pool.map(lambda _: call(), range(8))) == [expected] * 8
            assert shell.emulator.token_requests(PROVIDER) == number
            shell.emulator.revoke_tokens(PROVIDER)


@pytest.mark.timeout(240)
def test_curl(shell: Shell, run: Callable[..., str]) -> None:
    """A script with curl would get the 401 of a revoked token, or each would request a token."""
    with connect(PROVIDER, **shell.emulator.settings(PROVIDER)) as connection:
        url = connection.api_url + shell.emulator.resource(PROVIDER)
    variables = shell.environment | {"URL": url}

    survive(shell, lambda: run("sh", SCRIPT, **variables), "200")

    record(
        platform="curl, and `keyturn token`",
        version=run("curl", "--version").split()[1],
        extension_point="`--header @-`",
        lines=lines_of(SCRIPT),
        secrets=STORED,
        **SURVIVED,
    )


@pytest.mark.timeout(240)
def test_kubectl(shell: Shell, run: Callable[..., str]) -> None:
    """kubectl could not call the API, or would get the rejected token until its renewal point.

    After a 401, kubectl runs keyturn again, but does not repeat its request: the command fails.
    """
    text = PAGE.read_text("utf-8")
    (block,) = re.findall(r"```yaml\nusers:\n(.*?)```", text, re.DOTALL)
    configuration = shell.kubeconfig(
        shell.cluster, "users:\n" + block.replace("orocommerce", "cluster")
    )

    survive(shell, lambda: run("sh", "-c", f"{GET} || {GET}", **configuration), "namespace/shop")

    record(
        platform="kubectl",
        version=run("sh", "-c", VERSION, **configuration),
        extension_point="`exec`; the command that receives the 401 fails, the next one succeeds",
        lines=block.strip().count("\n") + 1,
        secrets=STORED,
        **SURVIVED | {"healed": False},
    )


@pytest.mark.timeout(240)
def test_kubectl_through_the_proxy(
    shell: Shell,
    run: Callable[..., str],
    start: Callable[..., None],
    port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """kubectl could not call the API through `keyturn serve`, or read a token from it."""
    for name, value in (shell.environment | {"KEYTURN_SERVE_SECRET": SECRET}).items():
        monkeypatch.setenv(name, value)
    start(port, sys.executable, "-m", "keyturn", "serve", "--port", port)
    address = f"http://127.0.0.1:{port}/{SECRET}/cluster"
    configuration = shell.kubeconfig(address, "users: [{name: cluster}]\n")

    survive(shell, lambda: run("sh", "-c", GET, **configuration), "namespace/shop")

    version = run("sh", "-c", VERSION, **configuration)
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "curl",
        "args": ["--silent", f"http://127.0.0.1:{port}/{SECRET}/-/exec-credential/cluster"],
        "interactiveMode": "Never",
    }
    users = json.dumps([{"name": "cluster", "user": {"exec": plugin}}])
    run("curl", "--silent", f"{address}/api/v1/namespaces")  # renews the revoked token
    configuration = shell.kubeconfig(shell.cluster, f"users: {users}\n")
    assert run("sh", "-c", GET, **configuration) == "namespace/shop"

    record(
        platform="kubectl, and `keyturn serve`",
        version=version,
        extension_point="`cluster.server`",
        lines=1,
        secrets=BEHIND_SERVE,
        **SURVIVED,
    )
