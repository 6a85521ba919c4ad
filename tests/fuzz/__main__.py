"""`python -m tests.fuzz [--seconds N] [--seed N] [TARGET ...]`: fuzz each parser for a time."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
import traceback
from typing import TYPE_CHECKING, Any

import hypothesis
from hypothesis import strategies
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

_BATCH = 20


def fuzz(
    target: Callable[..., None],
    given: tuple[SearchStrategy[Any], ...],
    seed: int,
    seconds: float,
    batch: int = _BATCH,
) -> tuple[int, BaseException | None]:
    """Call a target with inputs for some seconds; return their number, and the failure.

    Args:
        target: The function to call.
        given: The strategy of its inputs.
        seed: The seed of the first batch; the next batch has the next one.
        seconds: The duration; at least one batch is run.
        batch: The number of inputs in a batch.
    """
    count, end = 0, time.monotonic() + seconds

    def counted(arguments: tuple[Any, ...]) -> None:
        nonlocal count
        count += 1
        target(*arguments)

    limits = hypothesis.settings(
        max_examples=batch,
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=False,
    )
    while True:
        try:
            hypothesis.seed(seed)(limits(hypothesis.given(strategies.tuples(*given))(counted)))()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - any exception is a finding
            error.add_note(f"with --seed {seed}")
            return count, error
        seed += 1
        if time.monotonic() >= end:
            return count, None


def main(argv: list[str] | None = None) -> int:
    """Fuzz the targets one after another; return 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=600.0, help="for each target (600)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first seed")
    arguments = parser.parse_args(argv)
    failed = False
    for name in arguments.targets or TARGETS:
        began = time.monotonic()
        count, failure = fuzz(*TARGETS[name], arguments.seed, arguments.seconds)
        outcome = "FAILED" if failure else "ok"
        took = time.monotonic() - began
        report = f"{name}: {count} inputs in {took:.0f} s, seed {arguments.seed}: {outcome}"
        sys.stdout.write(f"{report}\n")
        sys.stdout.flush()
        if failure:
            failed = True
            traceback.print_exception(failure)
    return int(failed)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        for variable in [*os.environ]:
            if variable.startswith("KEYTURN_"):
                del os.environ[variable]
        os.environ |= {f"XDG_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")}
        os.environ["KEYTURN_FINGERPRINT_KEY"] = "made-up-key-for-tests"
        logging.disable(logging.CRITICAL)
        sys.exit(main())
