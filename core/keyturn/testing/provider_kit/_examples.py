"""The examples that a provider's author gives, and the failure of a check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from keyturn._common.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CheckFailed(AssertionError):
    """A provider fails a check.

    Args:
        what: What is wrong, as a sentence.
        fix: What to change, as a sentence.
        at: Where to change it: the file and the line, or the key; empty if unknown.
        is_impure: Whether the provider had a side effect that no method may have.
        ran: The provider's own functions that ran, if the message names none.
    """

    def __init__(
        self,
        what: str,
        fix: str,
        at: str = "",
        *,
        is_impure: bool = False,
        ran: Sequence[str] = (),
    ) -> None:
        super().__init__(f"{what}\nTo fix: {fix}" + (f"\nAt: {at}" if at else ""))
        self.what = what
        self.fix = fix
        self.at = at
        self.is_impure = is_impure
        self.ran = tuple(each.partition(",")[0] for each in ran)


@attrs.frozen(kw_only=True)
class Examples:
    """The examples that a provider's author gives; see `keyturn.testing.ProviderConformance`.

    Args:
        request: The documented token request.
        response: A documented response with a token.
        lifetime: The lifetime of the token of `response` in seconds.
        errors: Documented errors.
        api: What an API request needs.
        context: The settings that are not part of the token request; None if not given.
        others: Other values of settings than those given.
    """

    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    lifetime: float | None = None
    errors: tuple[Mapping[str, Any], ...] = ()
    api: Mapping[str, Any] | None = None
    context: frozenset[str] | None = None
    others: Mapping[str, Any] = attrs.field(factory=dict)


def check_keys(what: str, example: Mapping[str, Any], *, needed: str = "", others: str) -> None:
    """Raise for an example that lacks a key, or has an unknown one.

    Args:
        what: The example, for the message.
        example: The example.
        needed: The keys that it must have, space-delimited.
        others: Those that it may have.
    """
    known = [*needed.split(), *others.split()]
    missing = [name for name in needed.split() if name not in example]
    unknown = [f"{name!r}.{did_you_mean(str(name), known)}" for name in example.keys() - set(known)]
    if missing or unknown:
        problem = f"has no {missing[0]}." if missing else f"has the unknown key {unknown[0]}"
        raise CheckFailed(f"{what} {problem}", f"give {what} the keys {', '.join(known)} only.")
