"""Celery and Dramatiq, in their own environment, with workers in several processes."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.integrated.conftest import HERE
from tests.integrated.environments import ROOT, binaries, version
from tests.integrated.results import lines_of, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integrated.shops import Shop

BIN = binaries("workers")
SECONDS = 30


def run_tasks(shop: Shop, application: str, worker: tuple[str, ...], **variables: str) -> str:
    """Run an application's tasks in its workers; return the output of the workers."""
    variables |= {"PYTHONPATH": str(ROOT)}
    log = shop.directory / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BIN / worker[0], *worker[1:]],
            cwd=shop.directory,
            env={**shop.variables, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        program = f"from tests.integrated.{application} import enqueue; enqueue()"
        shop.run("workers", "python", "-c", program, **variables)
    except AssertionError as error:
        error.add_note(log.read_text("utf-8"))
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)
    for part in ("before", "after"):
        files = shop.directory.glob(f"status-{part}-*")
        assert [each.read_text("utf-8") for each in files] == ["200"] * 8
    assert shop.token_requests == 2
    return log.read_text("utf-8")


@pytest.mark.timeout(240)
def test_celery(shop: Shop, tmp_path: Path) -> None:
    """Tasks would get a 401, each process would request a token, or a message would show one."""
    for name in ("queue", "processed", "control", "results"):
        (shop.directory / name).mkdir()
    worker = ("celery", "--app", "tests.integrated.celery_app", "worker", "--loglevel", "DEBUG")
    options = ("--pool", "prefork", "--concurrency", "8")
    log = run_tasks(
        shop, "celery_app", (*worker, *options), KEYTURN_STORE=f"disk://{tmp_path}/store"
    )
    assert "ForkPoolWorker-8" in log
    assert len(list((shop.directory / "processed").iterdir())) >= 16
    assert shop.leaks(log) == []
    record(
        platform="Celery",
        version=version("workers", "celery"),
        extension_point="a task",
        lines=lines_of(HERE / "celery_app.py"),
        healed=True,
        parallel=8,
        secrets="environment; searched: messages, results, log at DEBUG (prefork)",
    )


@pytest.mark.timeout(240)
def test_dramatiq(shop: Shop, tmp_path: Path, start: Callable[..., None], port: int) -> None:
    """Tasks would get a 401, each process would request a token, or a message would show one."""
    (shop.directory / "redis").mkdir()
    keep = ("--appendonly", "yes", "--dir", shop.directory / "redis")
    start(port, "redis-server", "--port", port, *keep)
    broker = {"BROKER": f"redis://127.0.0.1:{port}", "KEYTURN_STORE": f"disk://{tmp_path}/store"}
    worker = ("dramatiq", "tests.integrated.dramatiq_app", "--processes", "4", "--threads", "8")
    log = run_tasks(shop, "dramatiq_app", (*worker, "--verbose"), **broker)
    kept = b"".join(each.read_bytes() for each in shop.directory.rglob("*.aof"))
    assert b"users" in kept
    assert shop.leaks(log) == []
    record(
        platform="Dramatiq",
        version=version("workers", "dramatiq"),
        extension_point="an actor",
        lines=lines_of(HERE / "dramatiq_app.py"),
        healed=True,
        parallel=8,
        secrets="environment; searched: messages in Redis, log at DEBUG",
    )
