"""Hides trio from the processes that tests start: httpcore imports it if it is installed."""

raise ImportError("its import takes a third of a process's time, and few users have it")
