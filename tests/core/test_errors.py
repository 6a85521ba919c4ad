"""Errors: one base class, messages that say what to do, fields that survive pickling."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import for_each

from keyturn import errors
from keyturn._tokens import entries

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.KeyturnError)
]
FIELDS: dict[str, Any] = {
    "error": "invalid_client",
    "status": 401,
    "retry_after": 7.5,
    "problems": [errors.Problem("client", "is wrong"), errors.Problem("region", "is wrong")],
}


def made(kind: type[errors.KeyturnError]) -> errors.KeyturnError:
    """Return an error of a class with every field set."""
    taken = inspect.signature(kind).parameters
    fields = {name: value for name, value in FIELDS.items() if name in taken}
    return kind("it failed.", connection="shop", hint="Try again.", **fields)


@for_each("kind", CLASSES)
@for_each(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - pickled by this test
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_fields_are_unchanged_in_a_copy(
    kind: type[errors.KeyturnError], again: Callable[[errors.KeyturnError], Any]
) -> None:
    """An error from a worker process would lose its fields, or could not be unpickled."""
    error = made(kind)
    other = again(error)

    assert type(other) is kind
    assert other is not error
    assert vars(other) == vars(error)
    assert other.args == error.args == ("it failed.",)
    assert str(other) == str(error)


@for_each("kind", CLASSES)
def test_message_says_where_what_and_what_to_do(kind: type[errors.KeyturnError]) -> None:
    """The user would not know which connection failed, or how to fix it."""
    assert str(made(kind)).startswith("shop: it failed. Try again.")
    assert str(kind("it failed.", retry_after=1.0) if kind is errors.RateLimited else
               kind("it failed.")) == "it failed."  # fmt: skip


def test_problems_are_listed() -> None:
    """The user would see only one of several mistakes."""
    assert str(made(errors.ConfigurationError)) == (
        "shop: it failed. Try again.\n  - client: is wrong\n  - region: is wrong"
    )
    problems = made(errors.ConfigurationError).problems  # type: ignore[attr-defined]
    assert problems == tuple(FIELDS["problems"])
    assert [(problem.path, problem.message) for problem in problems] == [
        ("client", "is wrong"),
        ("region", "is wrong"),
    ]


def test_problem_without_a_path_shows_only_its_message() -> None:
    """A mistake that concerns a whole file would be shown with an empty name."""
    problems = errors.Problem("url", "is wrong"), errors.Problem("", "is empty")
    error = errors.ConfigurationError("it failed.", problems=problems)

    assert str(error) == "it failed.\n  - url: is wrong\n  - is empty"


def test_class_hierarchy_is_the_documented_one() -> None:
    """`except` clauses of users would stop catching."""
    assert {kind.__name__: kind.mro()[1].__name__ for kind in CLASSES} == {
        "KeyturnError": "Exception",
        "ConfigurationError": "KeyturnError",
        "ConnectionNotFound": "ConfigurationError",
        "ProviderNotFound": "ConfigurationError",
        "ProviderConflict": "ConfigurationError",
        "ProviderLoadError": "ConfigurationError",
        "TokenRequestRefused": "KeyturnError",
        "InvalidClient": "TokenRequestRefused",
        "InvalidScope": "TokenRequestRefused",
        "RateLimited": "KeyturnError",
        "EndpointUnavailable": "KeyturnError",
        "InvalidTokenResponse": "KeyturnError",
        "ForeignOrigin": "KeyturnError",
    }


@pytest.mark.parametrize(
    "kind", [errors.TokenRequestRefused, errors.InvalidClient, errors.InvalidScope]
)
def test_error_of_the_negative_cache_is_the_same_error(
    kind: type[errors.TokenRequestRefused],
) -> None:
    """The second caller would get another error than the first."""
    error = kind("no.", error="x", status=400, hint="Fix it.")
    entry, _ = entries.error_to_entry(error, 1000.0)
    cached = entries.error_from_entry(entry, 1010.0)

    assert type(cached) is kind
    assert (cached.message, cached.error, cached.status) == ("no.", "x", 400)
    assert cached.hint == (
        "Fix it. (This is a cached response; keyturn sends the request again in 20 s.)"
    )


@pytest.mark.parametrize("now", [1000.0, 1029.5])
def test_negative_cache_lasts_for_half_a_minute(now: float) -> None:
    """A wrong secret would be sent again before its time."""
    entry, _ = entries.error_to_entry(errors.InvalidClient("no."), 1000.0)

    assert isinstance(entries.error_from_entry(entry, now), errors.InvalidClient)


@pytest.mark.parametrize("now", [900.0, 1030.0, 2000.0])
def test_negative_cache_expires(now: float) -> None:
    """An entry would not expire after the clock was set back."""
    entry, _ = entries.error_to_entry(errors.InvalidClient("no."), 1000.0)

    assert entries.error_from_entry(entry, now) is None


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "",
        "null",
        "[]",
        "{}",
        '{"until": 1, "kind": "KeyturnError"}',
        '{"until": "x", "kind": "InvalidClient"}',
        '{"until": 1020, "kind": ["InvalidClient"]}',
        '{"until": 1020, "kind": "InvalidClient", "message": "", "error": "", "status": 1e999}',
        "[" * 100_000,
    ],
)
def test_unreadable_entry_of_the_negative_cache_is_ignored(entry: str | None) -> None:
    """A damaged store would crash the caller."""
    assert entries.error_from_entry(entry, 1000.0) is None
