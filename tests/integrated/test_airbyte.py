"""The adapter for Airbyte's CDK, and a connector that uses it, in their own environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.integrated.conftest import HERE
from tests.integrated.environments import in_environment, version
from tests.integrated.leaks import assert_finds, leaks, secrets_of
from tests.integrated.results import lines_of, record
from tests.integrated.revoking import PROVIDER, RevokingEmulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CATALOG = {
    "streams": [
        {
            "stream": {
                "name": "users",
                "json_schema": {},
                "supported_sync_modes": ["full_refresh"],
            },
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
        }
    ]
}


@pytest.mark.timeout(300)
def test_airbyte_does_what_all_adapters_do(adapter_tests: Callable[[str], None]) -> None:
    """A connector would leak a token in a redirect, or the adapter would have untested code."""
    adapter_tests("airbyte")


@pytest.mark.timeout(300)
def test_connector_survives_revocations_and_keeps_secrets(tmp_path: Path) -> None:
    """A sync would fail after a revocation, or show credentials in messages or state."""
    work, config = tmp_path / "work", tmp_path / "config.json"
    work.mkdir()
    (work / "catalog.json").write_text(json.dumps(CATALOG), encoding="utf-8")
    with RevokingEmulator(12, 70) as emulator:
        config.write_text(json.dumps(emulator.shop()), encoding="utf-8")
        outputs = {}
        for command in ("spec", "check", "discover", "read"):
            arguments = [] if command == "spec" else ["--config", config]
            arguments += ["--catalog", "catalog.json"] if command == "read" else []
            done = in_environment(
                *("airbyte", work, "tests.integrated.airbyte_source", command, *arguments),
                "--debug",
            )
            outputs[command] = done.stdout
            (work / command).write_text(done.stdout + done.stderr, encoding="utf-8")
        secrets = secrets_of(emulator)
        requests = emulator.api_requests(PROVIDER)
        # `check` runs in its own process, with its own token.
        assert emulator.token_requests(PROVIDER) == 4
    messages = {
        name: [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        for name, output in outputs.items()
    }
    spec = next(each["spec"] for each in messages["spec"] if each["type"] == "SPEC")
    properties = spec["connectionSpecification"]["properties"]
    assert [name for name in properties if properties[name].get("airbyte_secret")] == [
        "client_secret"
    ]
    status = [each for each in messages["check"] if each["type"] == "CONNECTION_STATUS"]
    assert status[0]["connectionStatus"]["status"] == "SUCCEEDED"
    # Eight workers read 104 partitions.
    assert sum(each["type"] == "RECORD" for each in messages["read"]) == 104
    assert any(each["type"] == "STATE" for each in messages["read"])
    assert requests > 106
    assert "Making outbound API request" in outputs["read"]
    assert_finds(secrets, work)
    assert leaks(secrets, work) == []
    record(
        platform="Airbyte CDK",
        version=version("airbyte", "airbyte-cdk"),
        extension_point="`CustomAuthenticator`, `HttpStream(authenticator=…)`",
        lines=lines_of(HERE / "airbyte_manifest.yaml"),
        healed=True,
        parallel=8,
        secrets="the connector's configuration; searched: messages, state and log with `--debug` "
        "of spec, check, discover and read; the cache of requests",
    )
