"""The error that a caller gets when a worker has failed."""

from __future__ import annotations

import copy
import traceback

from keyturn import errors


def for_caller(failure: Exception, connection: str, patience: float) -> errors.KeyturnError:
    """Return an error for one caller: one raised in two threads mixes their tracebacks.

    Args:
        failure: What the worker raised, or the `TimeoutError` of the caller's own waiting.
        connection: The connection's name.
        patience: Seconds that the caller has waited at most.
    """
    if isinstance(failure, errors.KeyturnError):
        own = copy.copy(failure)
    elif isinstance(failure, TimeoutError):
        own = errors.EndpointUnavailable(
            f"no token came within {patience:g} s: the token request hangs, in this process or in "
            "another.",
            hint="Try again; if it lasts, check how long names take to be resolved.",
        )
    else:
        own = _defect(failure)
    own.connection = connection
    return own


def _defect(failure: Exception) -> errors.KeyturnError:
    """Return an error for an exception that neither a provider nor a store has raised."""
    place = traceback.extract_tb(failure.__traceback__)[-1]
    return errors.KeyturnError(
        f"the token request failed with {type(failure).__name__} in {place.name}, "
        f"line {place.lineno}.",
        hint="If the system does not explain it, this is a defect of keyturn: report it.",
    )
