"""The body of a proxied request: streamed, and kept as long as the request may be repeated."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from keyturn._server.responses import ClientGone, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope

# The most bytes of a body that are kept to repeat the request.
MAX_KEPT = 1_048_576
# The longest pause of a client, in seconds.
MAX_SILENCE = 60.0


class RequestBody:
    """One request's body.

    Args:
        scope: The request.
        receive: Receives the body's parts.

    Attributes:
        receive: Receives its parts.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        self.receive = receive
        self._kept: list[bytes] = []
        self._size = 0
        self._is_read = asyncio.Event()
        if b"transfer-encoding" not in headers and not int(headers.get(b"content-length", b"0")):
            self._is_read.set()

    @property
    def kept(self) -> bytes | None:
        """The whole body, if it has been read, or is empty, and is small enough to be repeated."""
        if self._size > MAX_KEPT or not self._is_read.is_set():
            return None
        return b"".join(self._kept)

    async def stream(self) -> AsyncGenerator[bytes]:
        """Yield the body's parts as they arrive.

        Raises:
            ClientGone: The client closed the connection, or sends nothing.
        """
        more = True
        while more:
            try:
                async with asyncio.timeout(MAX_SILENCE):
                    message = await self.receive()
            except TimeoutError:
                raise ClientGone from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            chunk = message.get("body", b"")
            self._keep(chunk)
            yield chunk
        self._is_read.set()

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= MAX_KEPT:
            self._kept.append(chunk)
        else:
            self._kept.clear()

    async def read(self) -> bytes:
        """Return the whole body.

        Raises:
            TooLarge: It has more than `MAX_KEPT` bytes.
            ClientGone: The client closed the connection, or sends nothing.
        """
        while self.kept is None:
            async for _ in self.stream():
                if self._size > MAX_KEPT:
                    raise TooLarge(MAX_KEPT)
        return self.kept

    async def gone(self) -> None:
        """Return when the client closes the connection after it has sent the whole body."""
        await self._is_read.wait()
        while (await self.receive())["type"] != "http.disconnect":
            pass
