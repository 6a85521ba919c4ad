"""The Python of a fork server, whose socket is the first argument: run code or a module there.

It stands for the process: it ends as that does, and passes signals on; killed, it takes it along.
"""

from __future__ import annotations

# The modules that are made of these take longer to import than Python takes to start.
import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import sys

TYPE_CHECKING = False  # typing takes as long, too
if TYPE_CHECKING:
    from types import FrameType


def main(path: str, *arguments: str) -> None:
    """Have the server run the arguments, and end as the process does."""
    server = _socket.socket(_socket.AF_UNIX)
    server.connect(path)

    def pass_on(number: int, _: FrameType | None) -> None:
        server.sendall(bytes([number]))

    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, pass_on)
    directory = os.getcwd()  # noqa: PTH109 - pathlib takes as long, too
    data = marshal.dumps((directory, dict(os.environ), arguments))
    descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
    head = len(data).to_bytes(4, sys.byteorder)
    server.sendmsg([head], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    server.sendall(data)
    if server.recv(1) == b"\0":
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - a test's command
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
