"""The causes of failures: the provider's function that causes each failure."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from keyturn.testing.provider_kit import _checks_data as checks_data
from keyturn.testing.provider_kit import _checks_hosts as checks_hosts
from keyturn.testing.provider_kit import _checks_isolation as checks_isolation
from keyturn.testing.provider_kit import _checks_keys as checks_keys
from keyturn.testing.provider_kit import _checks_methods as checks_methods
from keyturn.testing.provider_kit import _checks_request as checks_request
from keyturn.testing.provider_kit import _checks_settings as checks_settings
from keyturn.testing.provider_kit import _checks_use as checks_use
from keyturn.testing.provider_kit._audit import line_in
from keyturn.testing.provider_kit._source import own_classes, own_places

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from keyturn._providers.provider import Provider
    from keyturn.testing.provider_kit._examples import CheckFailed

# State that a provider keeps, and its side effects, may appear in several checks, and in other
# methods than the one that causes them.
_IMPURE = "impure"
_IMPURITY = {
    checks_request.repeatable_request.__name__,
    checks_methods.no_input_or_output.__name__,
    checks_methods.nothing_changed.__name__,
    checks_isolation.isolation.__name__,
    checks_isolation.other_process.__name__,
    checks_isolation.forgotten_settings.__name__,
    checks_keys.scope_order.__name__,
    checks_use.sync_and_async.__name__,
}


# Each of these depends only on its arguments; any other function may be a part of all results.
_METHODS = {
    "token_request",
    "read_token",
    "read_error",
    "authorization",
    "api_request_headers",
    "api_url_for",
    "revocation_request",
    "token_rejected",
    "warnings",
}


@attrs.define
class Causes:
    """The causes of the failures so far, and the check that was the first to find each."""

    _found: dict[str, str] = attrs.field(factory=dict)

    @property
    def is_impure(self) -> bool:
        """Whether kept state or a side effect was found, which may appear in any check."""
        return _IMPURE in self._found

    def first(self, name: str, failure: CheckFailed) -> str:
        """Return the check that was the first to fail for the cause of a failure.

        Args:
            name: The check.
            failure: Its failure.
        """
        if checks_settings.settings_alone.__name__ in self._found.values():
            return checks_settings.settings_alone.__name__  # no later result is reliable
        if not failure.at and checks_data.data.__name__ in self._found.values():
            return checks_data.data.__name__  # what is made of wrong data is wrong
        if name == checks_hosts.hostile_strings.__name__ and "problems" in self._found:
            return self._found["problems"]  # a setting is refused by it, unnamed
        # Where no message names the place, an earlier failure in what has run is the cause.
        own = [_IMPURE] if name in _IMPURITY or failure.is_impure else []
        own.append(_place(failure.at) or re.sub(r"[0-9]+", "0", failure.what))
        known = (self._found[key] for key in (*own, *failure.ran) if key in self._found)
        first = next(known, name)
        for key in own:
            self._found.setdefault(key, first)
        return first


def _place(at: str) -> str:
    return at.partition(",")[0]


def ran(provider: Provider[Any], work: Callable[[], object]) -> list[str]:
    """Return the provider's own functions that `work` calls, in the order of their last calls."""
    names: dict[str, str] = {}
    with _noting(provider, names), contextlib.suppress(BaseException):
        work()
    return list(names.values())


def named(functions: list[str], message: str) -> list[str]:
    """Leave out the methods that a message does not name, where it names others."""
    if not any(method in message for method in _METHODS):
        return functions
    names = [(each, each.partition(",")[0]) for each in functions]
    return [each for each, name in names if name not in _METHODS or name in message]


def raised_at(provider: Provider[Any], error: BaseException) -> str:
    """Return the function, file and line of the provider's own code that raised an error."""
    places, found = own_places(provider), ""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        # Frame by frame, to find the innermost one of the provider's own code.
        if line_in(frame, places) and frame.f_code.co_filename.startswith(places):
            name = f"{Path(frame.f_code.co_filename).name}:{trace.tb_lineno}"
            found = f"{frame.f_code.co_name}, {name}"
        trace = trace.tb_next
    return found


@contextlib.contextmanager
def _noting(provider: Provider[Any], names: dict[str, str]) -> Generator[None]:
    """Record the calls of a provider's own functions in a `with` block, in every thread."""
    with contextlib.ExitStack() as stack:
        for cls in _classes(provider):
            for name, value in list(vars(cls).items()):
                noted = _noted(value, names)
                if noted is not None:
                    stack.callback(setattr, cls, name, value)
                    setattr(cls, name, noted)
        yield


def _classes(provider: Provider[Any]) -> list[type]:
    """Return a provider's own classes, and those of its modules, such as its values."""
    own = own_classes(provider)
    modules = {cls.__module__ for cls in own}
    others = [
        each
        for name in modules
        for each in vars(sys.modules.get(name, types)).values()
        if isinstance(each, type) and each.__module__ == name
    ]
    return list(dict.fromkeys((*own, *others)))


def _noted(value: Any, names: dict[str, str]) -> Any:
    """Return a function or property that records its calls; None for anything else."""
    if isinstance(value, property) and value.fget is not None:
        return property(_noted(value.fget, names))
    if not isinstance(value, types.FunctionType) or value.__name__ == "__init_subclass__":
        return None

    @functools.wraps(value)
    def call(*arguments: Any, **options: Any) -> Any:
        code = value.__code__
        names.pop(code.co_qualname, None)
        place = f"{Path(code.co_filename).name}:{code.co_firstlineno}"
        names[code.co_qualname] = f"{value.__name__}, {place}"
        return value(*arguments, **options)

    return call
