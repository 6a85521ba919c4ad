"""Runs at the start of each process of the tests, after coverage measurement has started."""

import os

if "COVERAGE_PROCESS_CONFIG" in os.environ:  # as pytest-cov sets it
    from traced_threads import trace_threads_in_turn

    trace_threads_in_turn()
