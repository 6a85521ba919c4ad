# niquests brings another urllib3, and is not locked for development: all of it that keyturn uses.
from collections.abc import Callable, MutableMapping
from typing import Any

class PreparedRequest:
    method: str | None
    url: str | None
    headers: MutableMapping[str, str]
    body: Any
    hooks: MutableMapping[str, list[Callable[..., Any]]]
    def copy(self) -> PreparedRequest: ...
    def register_hook(self, event: str, hook: Callable[..., Any]) -> None: ...

class Response:
    request: PreparedRequest
    status_code: int
    headers: MutableMapping[str, str]
    history: list[Any]
    connection: Any
    @property
    def content(self) -> bytes | None: ...
    def close(self) -> None: ...

class AsyncResponse(Response):
    @property
    async def content(self) -> bytes | None: ...  # type: ignore[override]
    async def close(self) -> None: ...  # type: ignore[override]
