"""A client of the fork server, used like `python`; its first argument is the server's socket.

It represents the forked process: it exits with the same status, forwards signals to it, and ends it
when it is killed itself.
"""

from __future__ import annotations

# The usual modules, built on these, take longer to import than Python takes to start.
import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import sys

TYPE_CHECKING = False  # typing is slow to import, too
if TYPE_CHECKING:
    from types import FrameType


def main(path: str, *arguments: str) -> None:
    """Let the server run the arguments, and exit as the process does."""
    server = _socket.socket(_socket.AF_UNIX)
    server.connect(path)

    def pass_on(number: int, _: FrameType | None) -> None:
        server.sendall(bytes([number]))

    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, pass_on)
    directory = os.getcwd()  # noqa: PTH109 - pathlib is slow to import, too
    data = marshal.dumps((directory, dict(os.environ), arguments))
    descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
    head = len(data).to_bytes(4, sys.byteorder)
    server.sendmsg([head], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    server.sendall(data)
    if server.recv(1) == b"\0":
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - a test's own command
    for number in range(3):
        os.close(number)
    response = server.recv(4)
    status = int.from_bytes(response, sys.byteorder) if response else 255 << 8
    if os.WIFSIGNALED(status):
        for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGPIPE):
            _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(*sys.argv[1:])
