"""How a datum of a provider is declared."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from keyturn._providers import kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyturn._providers import checks

T = TypeVar("T")
# `json` is for the token request too, for values that JSON may have.
TemplateUse = Literal["", "address", "token_request", "json", "api_request"]

NO_TABLE: Mapping[str, Any] = MappingProxyType({})


class Datum(NamedTuple):
    """What is declared of one datum.

    Args:
        description: What it is.
        default: Its value where a provider does not set it.
        check: Returns what is wrong with a value of the right type, or None; see `checks`.
        template: What it or its values are templates for; empty when they are none.
    """

    description: str
    default: Any
    check: checks.Check | None
    template: TemplateUse

    def __set_name__(self, owner: type, name: str) -> None:
        """Register the datum, and leave its default as the attribute of the class."""
        DATA[name] = self
        if self.default is kinds.REQUIRED:
            delattr(owner, name)
        else:
            setattr(owner, name, self.default)


# The declaration of each datum by its name, in the order of the reference page.
DATA: dict[str, Datum] = {}


def datum(
    description: str,
    *,
    default: T = kinds.REQUIRED,
    check: checks.Check | None = None,
    template: TemplateUse = "",
) -> T:
    """Declare a datum; see `Datum`."""
    return Datum(description, default, check, template)  # type: ignore[return-value]
