"""The adapter for dlt, and pipelines that use it, in their own environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.integrated.conftest import HERE
from tests.integrated.environments import in_environment
from tests.integrated.leaks import assert_finds, leaks
from tests.integrated.results import lines_of, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIGURATION = """
[runtime]
log_level = "DEBUG"
dlthub_telemetry = false
[extract]
workers = 8
[normalize.data_writer]
disable_compression = true
[destination.filesystem]
bucket_url = "bucket"
"""


@pytest.mark.timeout(300)
def test_dlt_does_what_all_adapters_do(adapter_tests: Callable[[str], None]) -> None:
    """dlt would leak a token in a redirect, or the adapter would have untested code."""
    adapter_tests("dlt")


@pytest.mark.timeout(300)
def test_pipelines_survive_revocations_and_keep_secrets(tmp_path: Path) -> None:
    """A load would fail after a revocation, or leave credentials in its files or logs."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt/config.toml").write_text(CONFIGURATION, encoding="utf-8")
    done = in_environment(
        *("dlt", tmp_path, "tests.integrated.dlt_program"),
        KEYTURN_CONFIG=str(tmp_path / "keyturn.toml"),
        DLT_DATA_DIR=str(tmp_path / "pipelines"),
    )
    shown = json.loads(done.stdout.splitlines()[-1])
    # 8 workers load 8 pages each. Each revocation causes one token request.
    loaded, token_requests, refused = zip(*shown["rows"].values(), strict=True)
    assert list(shown["rows"]) == ["by_secrets", "by_name", "by_client"]
    assert loaded == (64, 64, 64)
    assert token_requests == (3, 3, 2)
    assert min(refused) >= 2
    assert refused[2] == 8
    for name in (".dlt/secrets.toml", "keyturn.toml"):
        (tmp_path / name).unlink()
    assert {path.suffix for path in tmp_path.rglob("*")} >= {".jsonl", ".pickle", ".json"}
    assert not list(tmp_path.rglob("*.gz"))
    assert_finds(shown["secrets"], tmp_path / "pipelines")
    assert leaks(shown["secrets"], tmp_path, done.stderr, *done.stdout.splitlines()[:-1]) == []
    record(
        platform="dlt",
        version=shown["version"],
        extension_point="`rest_api_source`, `RESTClient(auth=…)`",
        lines=lines_of(HERE / "dlt_program.py"),
        healed=True,
        parallel=8,
        secrets="secrets.toml; searched: state, schemas, load packages, traces and data of three "
        "pipelines, log at DEBUG",
    )
