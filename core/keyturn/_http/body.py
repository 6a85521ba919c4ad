"""Reading a response's body, with a bound on its size whatever its compression."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from keyturn import errors
from keyturn._http.response import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Iterable

_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def read_capped(chunks: Iterable[bytes], encoding: str) -> bytes:
    """Return a body of at most `MAX_BODY` bytes, decompressed step by step.

    Args:
        chunks: The body as it came.
        encoding: Its `Content-Encoding`.

    Raises:
        keyturn.errors.InvalidTokenResponse: It is larger, or encoded in another way than gzip or
            deflate.
        zlib.error: It can't be decompressed, or was cut off.
    """
    encoding = encoding.strip().lower()
    if encoding not in {"", "identity", *_WINDOW_BITS}:
        raise errors.InvalidTokenResponse(
            "the token endpoint's response has a Content-Encoding that was not asked for.",
            hint="The token endpoint must send it uncompressed, or with gzip or deflate.",
        )
    window_bits = _WINDOW_BITS.get(encoding)
    unpacker = None if window_bits is None else zlib.decompressobj(window_bits)
    body = bytearray()
    for chunk in chunks:
        body += chunk if unpacker is None else unpacker.decompress(chunk, MAX_BODY + 1)
        if len(body) > MAX_BODY:
            message = f"the token endpoint's response is larger than {MAX_BODY} bytes."
            raise errors.InvalidTokenResponse(message)
    if body and unpacker is not None and not unpacker.eof:
        raise zlib.error("it ends before its checksum")
    return bytes(body)
