"""Headers of one request, for the adapters of httpx and httpx2; it imports neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    # For type checkers it is httpx', at run time that of the library.
    from httpx import Headers
else:
    Headers = object


class _UnshownBytes(bytes):
    """A header's value that no `repr` shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'********'"


class Added:
    """The headers of a token, encoded once for all requests with it.

    Args:
        headers: Names and values; the token's comes first.
    """

    __slots__ = ("fields", "headers", "token_key")

    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        self.headers = headers
        self.fields: dict[bytes, tuple[bytes, bytes]] = {
            name.lower().encode(): (name.encode(), _UnshownBytes(value.encode()))
            for name, value in headers
        }
        self.token_key = headers[0][0].lower().encode()


class OneRequestHeaders(Headers):
    """A caller's headers, and those added for one request; stands before a library's `Headers`.

    Reading gives both. The libraries copy the base class's part alone to a redirected request,
    so that nothing which is added here can follow a redirect, wherever it leads.
    """

    plain: ClassVar[Any]
    """The library's `Headers`."""
    _added: dict[bytes, tuple[bytes, bytes]]
    _raw: list[tuple[bytes, bytes]] | None
    _fields: dict[str, str] | None

    def __init__(self, headers: Headers, added: Added) -> None:
        """Add headers; the token's replaces the caller's, others only a default `Accept`."""
        super().__init__(headers, headers.encoding)
        self._fields = None
        self._added = fields = added.fields
        own = super().raw
        self._raw = [*own, *fields.values()]
        for name, value in own:
            if (lower := name.lower()) in fields:
                self._settle(lower, value, added)

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        raw = self._raw
        if raw is None:
            added = self._added
            own = [pair for pair in super().raw if pair[0].lower() not in added]
            raw = self._raw = [*own, *added.values()]
        return raw.copy()

    def keys(self) -> Any:
        return self._read().keys()

    def values(self) -> Any:
        return self._read().values()

    def items(self) -> Any:
        return self._read().items()

    def multi_items(self) -> list[tuple[str, str]]:
        items: list[tuple[str, str]] = self._all().multi_items()
        return items

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:  # noqa: FBT001, FBT002 - httpx's
        values: list[str] = self._all().get_list(key, split_commas)
        return values

    def update(self, headers: Any = None) -> None:  # type: ignore[override]  # as the base class
        super().update(headers)
        self._raw = self._fields = None

    def __getitem__(self, key: str) -> str:
        return self._read()[key.lower()]

    def __setitem__(self, key: str, value: str) -> None:
        self._drop(key.lower().encode())
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        if not self._drop(key.lower().encode()) or super().__contains__(key):
            super().__delitem__(key)

    def __contains__(self, key: Any) -> bool:
        return key.lower() in self._read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self.raw)

    def __eq__(self, other: object) -> bool:
        return bool(self._all() == other)

    __hash__ = None  # type: ignore[assignment]  # as the base class

    def __repr__(self) -> str:
        hidden = {name.decode(): "[secure]" for name in self._added}
        return repr(self.plain(self._read() | hidden))

    def _read(self) -> dict[str, str]:
        """Return all headers by their names in lower case, read once until one is changed.

        httpx reads each header of each request by its name, to look for cookies.
        """
        fields = self._fields
        if fields is None:
            encoding = self.encoding
            fields = self._fields = {}
            for name, value in self.raw:
                key, decoded = name.lower().decode(encoding), value.decode(encoding)
                fields[key] = f"{fields[key]}, {decoded}" if key in fields else decoded
        return fields

    def _settle(self, name: bytes, value: bytes, added: Added) -> None:
        """Decide which of two headers of one name is sent."""
        self._raw = None
        if name == added.token_key:  # the caller's must not follow a redirect either
            if super().__contains__(name.decode()):
                super().__delitem__(name.decode())
        elif name != b"accept" or value != b"*/*":
            self._drop(name)

    def _drop(self, lower: bytes) -> bool:
        """Remove an added header; return whether there was one."""
        self._raw = self._fields = None
        if lower not in self._added:
            return False
        self._added = {name: pair for name, pair in self._added.items() if name != lower}
        return True

    def _all(self) -> Any:
        return self.plain(self.raw)
