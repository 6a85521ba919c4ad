"""The bodies of requests: with a length, or in chunks (RFC 9112 sections 6 and 7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message
    from io import BufferedIOBase

_MAX_BODY = 1 << 20
_MAX_LINE = 4096
_MAX_TRAILERS = 100


class UnreadableBody(Exception):
    """A body can't be read.

    Args:
        status: The status of the response.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def read_body(headers: Message, file: BufferedIOBase) -> bytes:
    """Return the body that follows the headers of a request.

    Raises:
        UnreadableBody: Its length is unknown or too large, or a chunk is malformed.
    """
    lengths = headers.get_all("Content-Length", [])
    if codings := headers.get_all("Transfer-Encoding", []):
        if lengths:
            raise UnreadableBody(400)
        if [coding.strip().lower() for coding in codings] != ["chunked"]:
            raise UnreadableBody(501)
        return _read_chunks(file)
    length = lengths[0] if lengths else "0"
    if len(lengths) > 1 or not (length.isascii() and length.isdigit()):
        raise UnreadableBody(400)
    if len(length) > len(str(_MAX_BODY)) or int(length) > _MAX_BODY:
        raise UnreadableBody(413)
    return file.read(int(length))


def _read_chunks(file: BufferedIOBase) -> bytes:
    body = b""
    while size := _chunk_size(file.readline(_MAX_LINE)):
        if len(body) + size > _MAX_BODY:
            raise UnreadableBody(413)
        chunk = file.read(size + 2)
        if len(chunk) != size + 2 or not chunk.endswith(b"\r\n"):
            raise UnreadableBody(400)
        body += chunk[:-2]
    for _ in range(_MAX_TRAILERS):
        if not file.readline(_MAX_LINE).strip():
            return body
    raise UnreadableBody(400)


def _chunk_size(line: bytes) -> int:
    match = re.fullmatch(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?\r\n", line)
    if match is None:
        raise UnreadableBody(400)
    return int(match[1], 16)
