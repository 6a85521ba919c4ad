"""The token endpoints of very many tenants, over TLS, in their own process.

`python -m bench.tenant_server DIRECTORY DOMAIN` writes its certificate to `ca.pem` there, prints
its port, and ends when its standard input does. It takes every host below the domain, and needs
0.2 s for a token; a host whose name begins with `hang` accepts a connection and does not respond.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LATENCY = 0.2
_BACKLOG = 4096
_BODY = b'{"access_token":"token-%d","token_type":"Bearer","expires_in":3600}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Endpoint(asyncio.Protocol):
    """One connection."""

    served = 0

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for responses."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Respond to each whole request."""
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        fields = head.lower()
        length = int(fields.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if separator and len(body) >= length and b"host: hang" not in fields:
            self._received = body[length:]
            asyncio.get_running_loop().call_later(LATENCY, self._respond)

    def _respond(self) -> None:
        Endpoint.served += 1
        body = _BODY % Endpoint.served
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.write(_HEAD % len(body) + body)


def _context(directory: Path, domain: str) -> ssl.SSLContext:
    """Return the TLS context of a new certificate, which is its own authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, domain)])
    names = x509.SubjectAlternativeName([x509.DNSName(f"*.{domain}")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / "ca.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "ca.pem", directory / "key.pem")
    return context


async def serve(directory: Path, domain: str) -> None:
    """Listen on a free port of the loopback interface until standard input ends."""
    server = await asyncio.get_running_loop().create_server(
        Endpoint, "127.0.0.1", 0, ssl=_context(directory, domain), backlog=_BACKLOG
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
