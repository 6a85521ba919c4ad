"""A string that is never shown."""

from __future__ import annotations

import hmac
from typing import NoReturn, final


@final
class Secret:
    """A string that `repr`, `str`, format, pickling and a copy of the attributes do not show.

    Args:
        value: The secret.

    Example:
        >>> secret = Secret("made-up")
        >>> print(secret)
        ********
        >>> secret.reveal()
        'made-up'
    """

    __slots__ = ("_Secret__value",)
    __value: str

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_Secret__value", value)

    def reveal(self) -> str:
        """Return the secret itself; the caller must keep it out of logs and errors."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(********)"

    def __str__(self) -> str:
        return "********"

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine = self.__value.encode(errors="surrogatepass")
        return hmac.compare_digest(mine, other.__value.encode(errors="surrogatepass"))

    # A guessed secret could be tested against a hash.
    __hash__ = None  # type: ignore[assignment]

    def __setattr__(self, *_: object) -> NoReturn:
        raise AttributeError("A Secret is immutable.")

    __delattr__ = __setattr__

    def __copy__(self, _: object = None) -> Secret:
        return self

    __deepcopy__ = __copy__

    def __getstate__(self) -> NoReturn:
        raise TypeError("A Secret can't be pickled: pass a reference to it instead.")

    __reduce__ = __getstate__
