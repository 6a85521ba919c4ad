"""Bundled and deployed applications: by PyInstaller, and as the page «Deploy» shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.deployment.conftest import open_container

from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
PACKAGES = REPOSITORY / ".cache" / "applications"
PAGE = (REPOSITORY / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
BUILT_IN = "commercelayer generic norce-commerce norce-storm orocommerce"
# Packages that may be installed beside keyturn, and are slow to analyse.
UNUSED = [
    *("IPython", "aiohttp", "anyio", "click", "httpcore2", "httpx2", "hypothesis", "numpy"),
    *("opentelemetry", "pygments", "pytest", "requests", "rich", "setuptools", "tkinter", "trio"),
]


def blocks(language: str) -> list[str]:
    """Return the page's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the installed packages in its path."""
    if not PACKAGES.is_dir():
        pytest.fail("the packages of tests/servers/applications are missing: make test-servers")
    return subprocess.run(
        [*map(str, command)],
        env=os.environ | {"PYTHONPATH": str(PACKAGES)} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.timeout(300)
def test_application_frozen_by_pyinstaller_gets_tokens(
    serve: Callable[..., RawServer], token_response: bytes, tmp_path: Path
) -> None:
    """A frozen application would lack modules; without metadata, it would lack providers."""
    places = ["--distpath", tmp_path, "--workpath", tmp_path / "work", "--specpath", tmp_path]
    excluded = [word for name in UNUSED for word in ("--exclude-module", name)]
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", *places, *excluded]
    built = run(*command, HERE / "application.py")
    assert built.returncode == 0, built.stderr

    directory = tmp_path / "application"
    for metadata in ("kept", "stripped"):
        if metadata == "stripped":
            found = list((directory / "_internal").glob("*.dist-info"))
            assert found
            for each in found:
                shutil.rmtree(each)
        url = serve(token_response).url
        done = run(directory / "application", url, tmp_path / metadata, PYTHONPATH="")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == ["t0ken", "t0ken", BUILT_IN]


def test_token_comes_while_freezegun_freezes_the_clock(
    serve: Callable[..., RawServer], http_response: Callable[..., bytes], tmp_path: Path
) -> None:
    """A test suite that freezes time would get no token, or a new one for each call."""

    def respond(server: RawServer, connection: Any) -> None:
        server.read_request(connection)
        token = f"token-{len(server.received)}"
        response = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        connection.sendall(http_response(response))

    server = serve(respond)
    done = run(sys.executable, HERE / "frozen_clock.py", server.url, tmp_path / "store")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["True True", "True True", "token-4"]
    assert len(server.received) == 4


def mount_secret(directory: Path, content: dict[str, str], mode: int, group: int) -> None:
    """Write a secret as Kubernetes mounts it: links to files owned by root and a group."""
    data = directory / "..2026_11_26"
    data.mkdir(parents=True)
    for name, value in content.items():
        (data / name).write_text(value, encoding="utf-8")
        (data / name).chmod(mode)
        if os.geteuid() == 0:
            os.chown(data / name, 0, group)
        (directory / name).symlink_to(f"..data/{name}")
    (directory / "..data").symlink_to(data.name)


def image() -> tuple[dict[str, str], list[str], str]:
    """Return the variables, the command and the user of the container image on the page."""
    (text,) = blocks("Dockerfile")
    lines = [line.split(maxsplit=1) for line in text.splitlines()]
    assert {name for name, _ in lines} <= {"FROM", "COPY", "RUN", "ENV", "USER", "CMD"}
    given = dict(lines)
    variables = dict(pair.split("=", 1) for pair in given["ENV"].split())
    return variables, json.loads(given["CMD"]), given["USER"]


def test_kubernetes_manifest_works_unchanged(tmp_path: Path) -> None:
    """An operator would copy a manifest that gets no token, or logs a warning at each start."""
    sys.path.append(str(PACKAGES))
    yaml: Any = __import__("yaml")
    sys.path.remove(str(PACKAGES))
    (text,) = blocks("yaml")
    secret, job = yaml.safe_load_all(text)
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    user, (container,) = pod["securityContext"], pod["containers"]
    variables, command, image_user = image()
    assert f"{user['runAsUser']}:{user['runAsGroup']}" == image_user
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["command"] == command
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted: list[tuple[str, str | None, str]] = []
    with Emulator() as emulator:
        account = {"provider": "orocommerce", **emulator.settings("orocommerce")}
        content = secret["stringData"] | {"client-secret": account["client_secret"]}
        for mount in container["volumeMounts"]:
            volume, source = volumes[mount["name"]], tmp_path / mount["name"]
            if "secret" in volume:
                assert volume["secret"]["secretName"] == secret["metadata"]["name"]
                mode = volume["secret"]["defaultMode"]
                mount_secret(source, content, mode, user["fsGroup"])
                mounted.append((mount["mountPath"], str(source), ""))
            else:
                assert volume["emptyDir"]["medium"] == "Memory"
                # As fsGroup sets it; a process can set only a group that is mapped.
                group = f",gid={user['fsGroup']}" if os.geteuid() == 0 else ""
                mounted.append((mount["mountPath"], None, f"mode=2777{group}"))
        for name in ("root", "work"):
            (tmp_path / name).mkdir()
        (tmp_path / "work").chmod(0o1777)
        overrides = {
            f"KEYTURN_CONNECTIONS__SHOP__{name.upper()}": account[name]
            for name in ("url", "client_id")
        }
        with open_container(
            account,
            tmp_path / "root",
            tmp_path / "work",
            uid=user["runAsUser"],
            groups=[user["fsGroup"]],
            volumes=mounted,
        ) as call:
            results = [call(variables | overrides, command[1:]) for _ in range(2)]
            examined = call(variables | overrides, ["doctor"])

    assert [(result.code, result.err) for result in results] == [(0, ""), (0, "")]
    assert "token endpoint" in results[0].out
    assert "store" in results[1].out.splitlines()[1]
    assert examined.code == 0
    assert "not readable by other users" in examined.out


def test_unit_of_systemd_is_verified(tmp_path: Path) -> None:
    """An operator would copy a unit that systemd does not load."""
    (text,) = blocks("ini")
    (start,) = re.findall(r"^ExecStart=(\S+)$", text, re.MULTILINE)
    program = tmp_path / "shop"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(stat.S_IRWXU)
    unit = tmp_path / "shop.service"
    unit.write_text(text.replace(start, str(program)), encoding="utf-8")
    verified = run("systemd-analyze", "verify", "--man=no", unit)

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    directory = re.search(r"^CacheDirectory=(\w+)$", text, re.MULTILINE)
    assert directory is not None
    assert f"KEYTURN_STORE=disk:///var/cache/{directory[1]}/" in text
    (credential,) = re.findall(r"^LoadCredential=([\w-]+):", text, re.MULTILINE)
    (referred,) = re.findall(r'file = "(/run/[^"]+)"', "".join(blocks("toml")))
    assert referred == f"/run/credentials/shop.service/{credential}"
