"""The adapters for Meltano's Singer SDK, and taps that use them, in their own environment."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
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

WORKERS = 4
TAP = "tests.integrated.singer_tap"


@pytest.mark.timeout(300)
def test_singer_does_what_all_adapters_do(adapter_tests: Callable[[str], None]) -> None:
    """A tap would leak a token in a redirect, or the adapters would have untested code."""
    adapter_tests("singer")


@pytest.mark.timeout(300)
def test_taps_survive_revocations_and_keep_secrets(tmp_path: Path) -> None:
    """A tap would fail after a revocation, or show credentials in its output or state."""
    work = tmp_path / "work"
    work.mkdir()
    # The settings are in the tap's environment variables, as Meltano sets them.
    with RevokingEmulator(12, 100) as emulator:
        variables = {f"TAP_SHOP_{key.upper()}": str(each) for key, each in emulator.shop().items()}
        variables |= {"KEYTURN_STORE": f"disk://{tmp_path}/tokens", "TAP_SHOP_LOGLEVEL": "DEBUG"}

        def run(*arguments: str) -> tuple[str, str]:
            command = TAP, "--config=ENV", *arguments
            done = in_environment("singer", work, *command, **variables)
            return done.stdout, done.stderr

        about = json.loads(run("--about", "--format=json")[0])
        assert about["settings"]["properties"]["client_secret"]["secret"]
        with ThreadPoolExecutor(WORKERS) as pool:
            outputs = list(pool.map(lambda _: run(), range(WORKERS)))
        secrets = secrets_of(emulator)
        # Each tap reads 25 pages of two streams, and all taps share their tokens.
        for output, _ in outputs:
            messages = [json.loads(line) for line in output.splitlines()]
            assert sum(message["type"] == "RECORD" for message in messages) == 50
            assert messages[-1]["type"] == "STATE"
        assert emulator.token_requests(PROVIDER) == 3
        assert emulator.api_requests(PROVIDER) >= 50 * WORKERS + 2
    for number, output in enumerate(outputs):
        for kind, content in zip(("out", "err"), output, strict=True):
            (work / f"{number}.{kind}").write_text(content, encoding="utf-8")
    assert "http_request_duration" in outputs[0][1]
    assert_finds(secrets, work)
    assert leaks(secrets, work, json.dumps(about)) == []
    record(
        platform="Meltano Singer SDK",
        version=version("singer", "singer-sdk"),
        extension_point="`RESTStream.authenticator`",
        lines=lines_of(HERE / "singer_tap.py"),
        healed=True,
        parallel=WORKERS,
        secrets="the tap's settings, from the environment; searched: messages and state of four "
        "taps, log at DEBUG, `--about`",
    )
