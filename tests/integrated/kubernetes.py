"""The part of the Kubernetes API for `kubectl get namespaces`, with tokens of the emulator."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import trustme

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

# https://kubernetes.io/docs/reference/using-api/api-concepts/
NAMESPACES = {
    "name": "namespaces",
    "singularName": "namespace",
    "namespaced": False,
    "kind": "Namespace",
    "verbs": ["get", "list"],
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [NAMESPACES]},
    "/api/v1/namespaces": {
        "kind": "NamespaceList",
        "apiVersion": "v1",
        "metadata": {},
        "items": [{"metadata": {"name": "shop"}}],
    },
}
REASONS = {401: "Unauthorized", 404: "NotFound"}


class Handler(BaseHTTPRequestHandler):
    """Accepts each request whose token a resource of the emulator accepts."""

    protocol_version = "HTTP/1.1"
    resource: str

    def do_GET(self) -> None:
        """Send a document, or an error as Kubernetes does."""
        headers = {"Authorization": self.headers.get("Authorization", "")}
        status = httpx.get(self.resource, headers=headers, trust_env=False).status_code
        document = DOCUMENTS.get(self.path.partition("?")[0])
        if status == 200 and document is None:
            status = 404
        if status != 200:
            reason = {"status": "Failure", "reason": REASONS[status], "code": status}
            document = {"kind": "Status", "apiVersion": "v1", **reason}
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Log nothing."""


@contextlib.contextmanager
def kubernetes(resource: str, directory: Path) -> Generator[tuple[str, Path]]:
    """Run the server.

    Args:
        resource: The URL of the resource of the emulator.
        directory: The directory to which the certificate of the server's authority is written.

    Yields:
        The server's address, and that certificate.
    """
    authority = trustme.CA()
    file = directory / "kubernetes.pem"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    handler = type("BoundHandler", (Handler,), {"resource": resource})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}", file
        finally:
            server.shutdown()
            thread.join()
