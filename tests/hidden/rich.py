"""Hides rich from the processes that tests start: httpx imports it if it is installed."""

raise ImportError("its import takes a sixth of a process's time, and few users have it")
