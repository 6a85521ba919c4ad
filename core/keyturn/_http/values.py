"""Values of a token request that are computed when it is sent, such as a signed assertion."""

from __future__ import annotations

import abc
import contextlib
import traceback
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from keyturn import errors
from keyturn._clock import SYSTEM
from keyturn._common.once import library
from keyturn._common.redaction import Redaction
from keyturn._common.system_errors import advice, system_failure
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

T = TypeVar("T")

DEFECT = "This is a bug in the provider: report it to the provider's authors."


class DynamicValue(abc.ABC):
    """A parameter or header of a token request that is computed for each request.

    A subclass implements `value` and `inputs`. Both may read files and take time: keyturn calls
    them in the request's thread, within its timeout, and holds no lock.
    """

    @abc.abstractmethod
    def value(self, now: float) -> str:
        """Return the string to send.

        Args:
            now: The connection's time, in epoch seconds. Use it for timestamps, instead of
                `time.time()`.
        """

    @abc.abstractmethod
    def inputs(self) -> Iterable[str | Secret]:
        """Return all constant inputs of the value.

        The fingerprint covers them: two values with equal inputs share one token.
        """

    def secrets(self) -> Iterable[Secret]:
        """Return the secrets to hide in messages and transcripts; by default the secret inputs."""
        return [each for each in self.inputs() if isinstance(each, Secret)]


Value: TypeAlias = str | Secret | DynamicValue


class HintedValue(DynamicValue):
    """A value that a server may expect in another form."""

    @abc.abstractmethod
    def hint(self) -> str:
        """Return what to try if the server refuses the value, or an empty string."""


class RandomId(DynamicValue):
    """A random UUID (RFC 9562 section 5.4), as some platforms require for each request."""

    def value(self, now: float) -> str:
        return str(library("uuid").uuid4())

    def inputs(self) -> Iterable[str | Secret]:
        return ()  # a UUID has no constant input


class StructuredValue(DynamicValue):
    """A value that is not only a string in JSON."""

    @abc.abstractmethod
    def content(self, made: Callable[[Value], str]) -> Any:
        """Return the JSON value to send.

        Args:
            made: Returns the sent string for a string, a secret or a value in it.
        """

    def masked(self) -> Value:
        """Return what stands for it in output."""
        return "REDACTED"


class RequestValue(DynamicValue):
    """A value that is computed with others of its request, or that depends on the request."""

    @abc.abstractmethod
    def make(self, now: float, made: MutableMapping[str, Any]) -> str:
        """Return the string to send.

        Args:
            now: The connection's time, in epoch seconds.
            made: The named values that were computed for the same request, and its parts.
        """


# The keys of the named values that were computed for a request.
NAMED = " named"


def make(value: Value, now: float | None, made: MutableMapping[str, Any]) -> str:
    """Return the string that is sent for a value; see `RequestValue.make`.

    Args:
        value: The value.
        now: The connection's time, in epoch seconds; None for the system's.
        made: See `RequestValue.make`.
    """
    now = SYSTEM.time() if now is None else now
    return value.make(now, made) if isinstance(value, RequestValue) else reveal(value, now)


def reveal(value: Value, now: float | None = None) -> str:
    """Return the sent string of a value; the caller must keep it out of logs and errors.

    Args:
        value: The value.
        now: The connection's time, in epoch seconds; by default the system's.
    """
    if not isinstance(value, DynamicValue):
        return value if isinstance(value, str) else value.reveal()
    return _checked(value, lambda: value.value(SYSTEM.time() if now is None else now))


def fingerprint_parts(value: Value) -> list[str | Secret]:
    """Return the parts of a value for a fingerprint; for a dynamic value its class and inputs."""
    if isinstance(value, DynamicValue):
        kind, inputs = type(value), _checked(value, lambda: list(value.inputs()))
        # Their number separates them from the following parts.
        return ["made", f"{kind.__module__}.{kind.__qualname__}", str(len(inputs)), *inputs]
    return ["given", value]


def translate_errors(who: str, work: Callable[[], T]) -> T:
    """Return the result of `work`, and convert its exceptions to keyturn's errors.

    Args:
        who: The owner of the code, such as "provider acme".
        work: A function that runs only a plugin's code.

    Raises:
        keyturn.errors.KeyturnError: `work` failed.
    """
    try:
        return work()
    except errors.KeyturnError as error:
        failure = error
    except BaseException as error:  # noqa: BLE001 - a plugin may even raise SystemExit
        failure = defect(who, error)
    raise failure.with_traceback(None)


def usable(make: Callable[[], T], what: str, hint: str) -> T:
    """Return the result of `make`, which uses a user's settings.

    Args:
        make: A function that calls a library, whose messages may contain a secret.
        what: The description of a failure.
        hint: What to change after a failure.

    Raises:
        keyturn.errors.ConfigurationError: `make` failed.
    """
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - as said
        problem = getattr(error, "strerror", None) or type(error).__name__
        if isinstance(error, ImportError) and (ending := system_failure(error)):
            problem, hint = ending, advice(error)
    raise errors.ConfigurationError(f"{what} ({problem}).", hint=hint)


def defect(who: str, error: BaseException, hint: str = DEFECT) -> errors.KeyturnError:
    """Return an error for an exception of other code, which may contain a secret."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    problem = system_failure(error)
    return errors.KeyturnError(
        f"{who} failed with {type(error).__name__} in {place.name}, line {place.lineno}"
        f"{f': {problem}' if problem else ''}.",
        hint=advice(error) if problem else hint,
    )


def _checked(value: DynamicValue, make: Callable[[], T]) -> T:
    try:
        return translate_errors(f"{type(value).__qualname__}, a value of the token request,", make)
    except errors.KeyturnError as error:
        failure = error
    secrets: Iterable[Secret] = ()
    with contextlib.suppress(Exception):  # computing their class may be what failed
        secrets = list(value.secrets())
    raise Redaction(secrets).error(failure)
