"""Calling a provider's methods: whatever they raise or return, only our errors come out."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from keyturn import errors
from keyturn._provider import Provider
from keyturn.request import TokenRequest

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_DEFECT = "This is a defect: please tell the provider's authors."


def ask(provider: Provider[Any], method: str, *arguments: Any) -> Any:
    """Return what a method of a provider returns, if it is what the method is to return.

    Args:
        provider: The provider.
        method: The method's name.
        arguments: Its arguments.

    Raises:
        keyturn.errors.KeyturnError: It raised an error, or returned something else.
    """

    def work() -> Any:
        found = getattr(provider, method)(*arguments)
        return list(found) if method == "warnings" else found

    found = guarded(provider.name, work)
    if _RETURNS[method](found):
        return found
    message = f"provider {provider.name} returned a wrong {type(found).__name__} from {method}."
    raise errors.KeyturnError(message, hint=_DEFECT)


def guarded(name: str, work: Callable[[], T]) -> T:
    """Return what `work` returns; what it raises becomes an error of ours.

    A provider's method may raise anything. The frames behind a failure, and a stranger's exception
    itself, may hold secrets: our error's text says what there is to say.

    Args:
        name: The provider's name.
        work: Calls the provider.

    Raises:
        keyturn.errors.KeyturnError: `work` failed.
    """
    failure: errors.KeyturnError
    try:
        return work()
    except errors.KeyturnError as error:
        failure = error
    except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = errors.KeyturnError(
            f"provider {name} failed with {type(error).__name__} in {place.name}, "
            f"line {place.lineno}.",
            hint=_DEFECT,
        )
    raise failure.with_traceback(None)


def _is_header(found: object) -> bool:
    return isinstance(found, tuple) and len(found) == 2 and all(_is_text(each) for each in found)


def _is_text(found: object) -> bool:
    return isinstance(found, str)


_RETURNS: dict[str, Callable[[Any], bool]] = {
    "bound": lambda found: isinstance(found, Provider),
    "token_request": lambda found: isinstance(found, TokenRequest),
    "revocation_request": lambda found: found is None or isinstance(found, TokenRequest),
    "authorization": _is_header,
    "decorate": lambda found: isinstance(found, Mapping) and all(map(_is_header, found.items())),
    "api_base": lambda found: found is None or _is_text(found),
    "token_rejected": lambda found: isinstance(found, bool),
    "warnings": lambda found: all(map(_is_text, found)),
}
