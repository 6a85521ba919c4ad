"""Client libraries that take keyturn's adapters, in an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.integrated.conftest import HERE

if TYPE_CHECKING:
    from pathlib import Path

BIN = HERE.parents[1] / ".cache/integrated-clients/bin"
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/users": {"get": {"operationId": "get_users", "responses": {"200": {"description": "ok"}}}}
    },
}


@pytest.mark.timeout(120)
def test_parallel_calls_survive_a_revocation_with_one_token_request(tmp_path: Path) -> None:
    """Users of these libraries would meet the 401, or each call would request a token."""
    (tmp_path / "shop.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    variables = {name: value for name, value in os.environ.items() if name in {"HOME", "PATH"}}
    variables |= {"PATH": f"{BIN}:{variables['PATH']}", "PYTHONPATH": str(tmp_path / "shop-client")}
    generate = ["openapi-python-client", "generate", "--path", "shop.json"]
    lines = ""
    for command in (
        [BIN / generate[0], *generate[1:]],
        [BIN / "python", HERE / "clients_program.py"],
    ):
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=tmp_path, env=variables
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout
    assert lines.splitlines() == [
        "by_openai 200 1",
        "by_openai 200 2",
        "by_generated_client 200 1",
        "by_generated_client 200 2",
    ]
