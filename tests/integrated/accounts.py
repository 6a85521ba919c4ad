"""The emulator's accounts, in the form that clients other than keyturn need."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import trustme

from keyturn import connect

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from keyturn.testing import Emulator

JSON_API = {"Accept": "application/vnd.api+json"}
SCOPES = {"norce-commerce": "playground", "norce-storm": "lab"}
VARIANTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("norce-commerce", {}),
    ("norce-storm", {}),
    ("orocommerce", {"side": "backoffice"}),
    ("orocommerce", {"side": "storefront"}),
    ("commercelayer", {"kind": "integration"}),
    ("commercelayer", {"kind": "sales_channel"}),
)


def accounts(emulator: Emulator) -> list[dict[str, Any]]:
    """Return each account: what a provider gives to a user, and the address of its metadata."""
    return [_account(emulator, provider, variant) for provider, variant in VARIANTS]


def _account(emulator: Emulator, provider: str, variant: dict[str, str]) -> dict[str, Any]:
    settings = emulator.settings(provider, **variant)
    with connect(provider, settings, store="memory://") as connection:
        api = connection.api_url + emulator.resource(provider, **variant)
        token_url = connection.token_request().url
    norce = provider.startswith("norce")
    role = next(iter(variant.values()), "")
    found = _addresses(token_url, provider, role)
    client = {name: settings.get(name) for name in ("client_id", "client_secret")}
    scope = SCOPES.get(provider) or ("market:code:europe" if role == "sales_channel" else None)
    account = {
        "name": f"{provider} {role}".strip(),
        "role": role if provider == "commercelayer" else None,
        **client,
        "scope": scope,
        "public": client["client_secret"] is None,
        "json": not norce,
        "token_url": token_url,
        "api": api,
        "headers": {"ApplicationId": str(settings["application_id"])} if norce else JSON_API,
        **found,
    }
    return account | _messages(account)


def _addresses(token_url: str, provider: str, role: str) -> dict[str, str | None]:
    """Return the issuer, and the addresses of its metadata and keys, if it publishes them."""
    if provider.startswith("norce"):
        issuer = token_url.removesuffix("connect/token")
        metadata = f"{issuer}.well-known/openid-configuration"
        return {"issuer": issuer, "metadata": metadata, "keys": f"{metadata}/jwks"}
    if provider == "orocommerce":
        below, part = token_url.removesuffix("oauth2-token"), "admin/" * (role == "backoffice")
        metadata = f"{below}.well-known/oauth-authorization-server/{part}oauth2-server"
        return {"issuer": f"{below}{part}oauth2-server", "metadata": metadata, "keys": None}
    return {"issuer": token_url.removesuffix("/oauth/token"), "metadata": None, "keys": None}


def _messages(account: dict[str, Any]) -> dict[str, str]:
    """Return the bodies of token requests, and a header, for a client without OAuth support."""
    fields = {"grant_type": "client_credentials"}
    fields |= {
        name: account[name] for name in ("client_id", "client_secret", "scope") if account[name]
    }
    wrong = fields | {"client_id" if account["public"] else "client_secret": "wrong"}
    write, kind = (json.dumps, "json") if account["json"] else (urlencode, "x-www-form-urlencoded")
    header, value = next(iter(account["headers"].items()))
    bodies = {"body": write(fields), "wrong_body": write(wrong)}
    return {"media_type": f"application/{kind}", "header": header, "value": value, **bodies}


@contextlib.contextmanager
def over_tls(port: int, directory: Path, *names: str) -> Generator[tuple[int, Path]]:
    """Also serve a port of this machine over TLS.

    Args:
        port: The port.
        directory: The directory to which the authority's certificate is written.
        names: The host names of the certificate.

    Yields:
        The port with TLS, and the authority's certificate.
    """
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    file = directory / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, port), daemon=True).start()
        yield listener.getsockname()[1], file
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=_relay, args=(plain, context, port), daemon=True).start()


def _relay(plain: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Forward a connection, one request and its response at a time."""
    with (
        contextlib.suppress(OSError),
        context.wrap_socket(plain, server_side=True) as outside,
        socket.create_connection(("127.0.0.1", port)) as inside,
    ):
        back = threading.Thread(target=_copy, args=(inside, outside), daemon=True)
        back.start()
        _copy(outside, inside)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
