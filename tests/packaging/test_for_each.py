"""The decorator `for_each`, which runs a test with several rows."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from tests.conftest import for_each


def test_every_row_that_fails_is_reported() -> None:
    """A failing row would be ignored, or only the first failure be reported."""
    ran = []

    @for_each("sign", [1, -1])
    @for_each(("number", "square"), [(2, 4), (3, 8), (4, 16), (5, 24)])
    def test(tmp_path: Path, sign: int, number: int, square: int) -> None:
        ran.append(sign * number)
        assert (sign * number) ** 2 == square, f"{number} of {tmp_path}"
        with pytest.raises(ZeroDivisionError):
            assert 1 // (sign + 1)

    with pytest.raises(BaseExceptionGroup) as failure:
        test(tmp_path=Path("x"))

    assert list(inspect.signature(test).parameters) == ["tmp_path"]
    assert ran == [2, 3, 4, 5, -2, -3, -4, -5]
    inner, last = failure.value.exceptions
    assert isinstance(inner, BaseExceptionGroup)
    assert isinstance(last, BaseExceptionGroup)
    notes = [error.__notes__ for error in inner.exceptions]
    assert notes == [
        [f"with {{'number': {n}, 'square': {s}}}"] for n, s in [(2, 4), (3, 8), (4, 16), (5, 24)]
    ]
    assert len(last.exceptions) == 2


def test_empty_table_is_refused() -> None:
    """A test with an empty table would pass without testing anything."""
    with pytest.raises(AssertionError, match="no row"):
        for_each("number", [])(test_every_row_that_fails_is_reported)
