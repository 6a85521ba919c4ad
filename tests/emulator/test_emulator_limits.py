"""The emulated rate limits, for any times of requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.testing.emulator._limits import LeakyBucket, SlidingWindow

gaps = st.lists(st.floats(0, 90) | st.just(0.0), min_size=1, max_size=200)


def admitted(limit: LeakyBucket | SlidingWindow, times: list[float]) -> list[float]:
    """Return the times of the requests that are admitted."""
    return [now for now in times if limit.admits(now)]


def running_times(gaps: list[float]) -> list[float]:
    """Return epoch seconds with these intervals."""
    times = [1_700_000_000.0]
    for gap in gaps:
        times.append(times[-1] + gap)
    return times


@given(gaps=gaps)
def test_bucket_never_admits_more_than_rate_and_burst(gaps: list[float]) -> None:
    """The emulated limit would differ from the documented one."""
    through = admitted(LeakyBucket(per_minute=3, burst=20), running_times(gaps))

    for first, start in enumerate(through):
        for last, end in enumerate(through[first:], start=1):
            assert last <= 21 + (end - start) / 20 + 1e-3


@given(gaps=gaps)
def test_window_never_admits_more_than_its_limit(gaps: list[float]) -> None:
    """The emulated limit would differ from the documented one."""
    through = admitted(SlidingWindow(per_minute=30), running_times(gaps))

    for start in through:
        assert sum(start <= now < start + 60 for now in through) <= 30
