"""A response of the API: streamed to the client, or read to check whether it refuses the token."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from typing import TYPE_CHECKING

import attrs

from keyturn._server.request_body import MAX_SILENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from starlette.types import Send

    from keyturn._server.headers import RawHeaders

# The most bytes of a response that may refuse the token, before and after decoding.
_MAX_REFUSAL = 1_000_000


class ResponseCut(Exception):
    """A response can't be completed: the connection must end, so that the client detects it."""


async def set_location_aside(response: httpx.Response) -> None:
    """Hide the `Location` of a redirect from httpx, which fails if it is not a valid URL."""
    raw = response.headers.raw
    response.extensions["location"] = [pair for pair in raw if pair[0].lower() == b"location"]
    response.headers.pop("location", None)


@attrs.define(eq=False)
class ApiResponse:
    """A response of the API.

    Args:
        response: Its status and headers.
        chunks: The unread part of its body, not decoded.
        beginning: The part that was read.
    """

    response: httpx.Response
    chunks: AsyncIterator[bytes]
    beginning: bytes = b""

    @property
    def headers(self) -> RawHeaders:
        """Its headers."""
        return [*self.response.headers.raw, *self.response.extensions["location"]]

    async def read_beginning(self) -> bytes:
        """Return the beginning of the body, decoded."""
        async for chunk in self.chunks:
            self.beginning += chunk
            if len(self.beginning) > _MAX_REFUSAL:
                break
        if self.response.headers.get("content-encoding", "").lower() in {"gzip", "deflate"}:
            for bits in (32 + zlib.MAX_WBITS, -zlib.MAX_WBITS):  # gzip or zlib, else no header
                with contextlib.suppress(zlib.error):
                    return zlib.decompressobj(bits).decompress(self.beginning, _MAX_REFUSAL)
        return self.beginning

    async def relay(self, headers: RawHeaders, send: Send) -> None:
        """Send it to the client, as it comes in.

        Args:
            headers: The headers for the client.
            send: Sends to the client.

        Raises:
            httpx.TransportError: The API has not completed it.
            ResponseCut: The client does not read.
        """
        status = self.response.status_code
        try:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            if self.beginning:
                await _send_body(send, self.beginning)
            async for chunk in self.chunks:
                await _send_body(send, chunk)
            await _send_body(send, b"", more=False)
        finally:
            await self.response.aclose()


async def _send_body(send: Send, chunk: bytes, *, more: bool = True) -> None:
    try:
        async with asyncio.timeout(MAX_SILENCE):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
    except TimeoutError:
        raise ResponseCut from None
