"""Shell scripts that use curl and the command line, with the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

PROVIDER = "norce-commerce"
# A script that sends a request, and after a 401 one more with another token.
SCRIPT = """
set -eu
call() {
    keyturn token shop --format headers |
        curl --silent --output /dev/null --write-out '%{http_code}\\n' --header @- "$URL"
}
status=$(call)
if [ "$status" = 401 ]; then
    echo "$REFUSED" | keyturn token shop --refused - >/dev/null
    status=$(call)
fi
echo "$status"
"""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Yield a running emulator."""
    with Emulator() as running:
        yield running


@pytest.fixture
def environment(emulator: Emulator, tmp_path: Path) -> dict[str, str]:
    """Return the variables of a script whose connection `shop` is the emulator's Norce Commerce."""
    settings = {"provider": PROVIDER, **emulator.settings(PROVIDER)}
    api = keyturn.connect(PROVIDER, **emulator.settings(PROVIDER)).api_url
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    path = tmp_path / "keyturn.toml"
    path.touch(mode=0o600)
    path.write_text("\n".join([f'store = "disk://{tmp_path}/store"', "[connections.shop]", *lines]))
    return os.environ | {
        "KEYTURN_CONFIG": str(path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "URL": api + emulator.resource(PROVIDER),
    }


def run(script: str, environment: dict[str, str]) -> str:
    """Return the output of a script."""
    return subprocess.run(
        ["sh", "-c", script],  # noqa: S607 - any POSIX shell
        capture_output=True,
        check=True,
        env=environment,
        text=True,
        timeout=50,
    ).stdout.strip()


def test_curl_gets_all_headers(emulator: Emulator, environment: dict[str, str]) -> None:
    """The API would reject each request of a script."""
    assert run(SCRIPT, environment) == "200"
    assert emulator.token_requests(PROVIDER) == 1


def test_eight_scripts_renew_a_revoked_token_once(
    emulator: Emulator, environment: dict[str, str]
) -> None:
    """Norce allows three token requests a minute: most scripts would end with exit code 4."""
    refused = run("keyturn token shop", environment)
    emulator.revoke_tokens(PROVIDER)
    scripts = [(SCRIPT, environment | {"REFUSED": refused})] * 8
    with ThreadPoolExecutor(8) as threads:
        printed = list(threads.map(run, *zip(*scripts, strict=True)))

    assert printed == ["200"] * 8
    assert emulator.token_requests(PROVIDER) == 2
