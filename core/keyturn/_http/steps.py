"""Values of a token request that come from the response of an earlier one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from keyturn._common.names import shown
from keyturn._http.values import DynamicValue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyturn._http.request import TokenRequest
    from keyturn._http.values import Value
    from keyturn._secret import Secret

STEP_NAMES = ("discovery", "previous")
# An address that begins with such a value.
_ADDRESS_REGEX = re.compile(r"\{(discovery|previous)\.([^{}\[\]|:!]+)\}")


@attrs.frozen(repr=False)
class StepValue(DynamicValue):
    """A value from the response of an earlier step; it is inserted when the request is sent.

    The fingerprint covers its path, and the step's request: see `TokenRequest.steps`.

    Args:
        step: The step's name.
        path: The path of the value in its response; `access_token` is the token in any field.
        rest: The text after the value.
    """

    step: str
    path: str
    rest: str = ""

    __repr__ = shown

    def value(self, now: float) -> str:
        return f"{{{self.step}.{self.path}}}{self.rest}"

    def inputs(self) -> Iterable[str | Secret]:
        return (self.step, self.path, self.rest)

    def after(self, value: object) -> str:
        """Return the value that was found with the text after it; an address has one slash."""
        found = str(value)
        return (found.rstrip("/") if self.rest.startswith("/") else found) + self.rest


def step_value(url: str) -> StepValue | None:
    """Return the value at the beginning of an address, or None."""
    match = _ADDRESS_REGEX.match(url)
    return StepValue(match[1], match[2], url[match.end() :]) if match else None


def known_address(request: TokenRequest) -> str:
    """Return a request's address; if it comes from a step's response, the step's address."""
    found = step_value(request.url)
    return known_address(dict(request.steps)[found.step]) if found else request.url


def bind(value: Any, found: Callable[[StepValue], Value]) -> Any:
    """Return a value with all values of other steps in it replaced.

    Args:
        value: A request, a value, or a table or list of values.
        found: Returns the replacement of a value.
    """
    if isinstance(value, StepValue):
        return found(value)
    if isinstance(value, (tuple, list)):
        return type(value)(bind(each, found) for each in value)
    if isinstance(value, Mapping):
        return {name: bind(each, found) for name, each in value.items()}
    if isinstance(value, DynamicValue) and attrs.has(type(value)):
        made: Any = value
        fields = {each.alias: getattr(made, each.name) for each in attrs.fields(type(made))}
        return attrs.evolve(made, **{name: bind(each, found) for name, each in fields.items()})
    return value
