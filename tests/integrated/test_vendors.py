"""Clients other than keyturn, including the vendors' own, with the emulator."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
import pytest
from tests.integrated.accounts import accounts, over_tls
from tests.integrated.results import record_client

from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".cache/integrated-vendors/bin/python"
VENDORS = HERE / "vendors"
MODULES = VENDORS / "node_modules"
# The messages of each vendor's server for a wrong secret.
WORDS = {
    "norce-commerce": "invalid_client",
    "norce-storm": "invalid_client",
    "orocommerce": "Client authentication failed",
    "commercelayer": "Client authentication failed due to unknown client, no client",
}
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@attrs.frozen
class Clients:
    """Runs clients in their own processes.

    Args:
        emulator: The emulator.
        directory: Their working directory, and home directory.
    """

    emulator: Emulator
    directory: Path

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """The emulator's accounts."""
        return accounts(self.emulator)

    def run(
        self, *command: str | Path, given: str = "", status: int = 0, **variables: str
    ) -> tuple[str, str]:
        """Run a program that can reach only this machine; return its output."""
        done = subprocess.run(
            command,
            check=False,
            cwd=self.directory,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "NODE_OPTIONS": f"--import={VENDORS / 'loopback.mjs'}",
                "LOOKED_UP": str(self.directory / "names"),
                "HTTPS_PROXY": "http://127.0.0.1:9",
                "HTTP_PROXY": "http://127.0.0.1:9",
                "NO_PROXY": "127.0.0.1,localhost,.localhost",
                "OAUTHLIB_INSECURE_TRANSPORT": "1",
                "NO_UPDATE_NOTIFIER": "1",
                **variables,
            },
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return ESCAPES.sub("", done.stdout), " ".join(done.stderr.split())

    def report(
        self, *command: str | Path, among: Sequence[dict[str, Any]], **variables: str
    ) -> list[dict[str, Any]]:
        """Run a program that prints its results for each account, and check them."""
        output, _ = self.run(*command, given=json.dumps(among), **variables)
        shown: list[dict[str, Any]] = json.loads(output)
        for account, seen in zip(among, shown, strict=True):
            assert seen["name"] == account["name"]
            assert seen["status"] == 200, seen
            assert client_of(seen["token"]) == (account["client_id"], account["role"])
            assert seen.get("verified") in (None, claims_of(seen["token"]))
        return shown

    def looked_up(self) -> set[str]:
        """Return the host names that programs of Node.js have resolved."""
        names = self.directory / "names"
        return set(names.read_text("utf-8").split()) if names.exists() else set()


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Clients]:
    """Return a runner of clients with an emulator."""
    with Emulator() as emulator:
        yield Clients(emulator, tmp_path)


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token."""
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==="))
    return claims


def client_of(token: str) -> tuple[str, str | None]:
    """Return the client that the token names, and its kind if the token contains it."""
    claims = claims_of(token)
    if "application" in claims:
        return claims["application"]["client_id"], claims["application"]["kind"]
    return claims.get("client_id") or claims["aud"], None


def version(package: str) -> str:
    """Return the version of a Node.js package."""
    found: str = json.loads((MODULES / package / "package.json").read_text("utf-8"))["version"]
    return found


def words_of(seen: dict[str, Any]) -> str:
    """Return the message of the vendor's server for a wrong secret of an account."""
    return WORDS[seen["name"].split()[0]]


@pytest.mark.parametrize("client", ["oauth4webapi", "openid-client"])
def test_clients_that_discover(client: str, clients: Clients) -> None:
    """A program with discovery would need a special configuration for the emulator."""
    shown = clients.report("node", VENDORS / f"{client}.mjs", among=clients.accounts)

    assert all(words_of(seen) in seen["error"] for seen in shown), shown
    discovered = {seen["name"].split()[0] for seen in shown if seen["discovered"]}
    verified = {seen["name"].split()[0] for seen in shown if seen["verified"]}
    assert discovered == {"norce-commerce", "norce-storm", "orocommerce"}
    assert verified == {"norce-commerce", "norce-storm"}
    assert clients.looked_up() == set()
    record_client(
        client, version(client), shown, discovered=sorted(discovered), verified=sorted(verified)
    )


@pytest.mark.parametrize("client", ["simple-oauth2", "newman"])
def test_clients_of_node(client: str, clients: Clients) -> None:
    """A program, or a collection of requests, could not be tried with the emulator."""
    shown = clients.report("node", VENDORS / f"{client}.mjs", among=clients.accounts)

    assert all(words_of(seen) in seen["error"] for seen in shown), shown
    assert clients.looked_up() == set()
    record_client(client, version(client), shown)


@pytest.mark.parametrize(
    ("client", "lost"),
    [("authlib", "unsupported_token_type"), ("requests-oauthlib", "missing_token")],
)
def test_clients_of_python(client: str, lost: str, clients: Clients) -> None:
    """A program could not be tried, or the table would claim errors that it does not show.

    Both clients read only errors of RFC 6749, so those of Commerce Layer are lost.
    """
    program = (PYTHON, VENDORS / "python_clients.py", client)
    shown = clients.report(*program, among=clients.accounts)

    for seen in shown:
        ours = seen["name"].startswith("commercelayer")
        assert (lost if ours else words_of(seen)) in seen["error"]
    code = f"import importlib.metadata as m; print(m.version({client!r}))"
    record_client(client, clients.run(PYTHON, "-c", code)[0].strip(), shown, lost=["commercelayer"])


def of_commercelayer(clients: Clients) -> list[dict[str, Any]]:
    """Return the accounts of Commerce Layer."""
    return [each for each in clients.accounts if each["name"].startswith("commercelayer")]


@contextlib.contextmanager
def https(clients: Clients) -> Iterator[tuple[str, dict[str, str]]]:
    """Serve Commerce Layer over TLS at names below localhost.

    Yields:
        The domain of both names with a port, and the variables of a program that trusts it.
    """
    port = urlsplit(of_commercelayer(clients)[0]["token_url"]).port
    assert port is not None
    names = ("auth.localhost", "emulated.localhost")
    with over_tls(port, clients.directory, *names) as (secure, authority):
        yield f"localhost:{secure}", {"NODE_EXTRA_CA_CERTS": str(authority)}


def test_js_auth(clients: Clients) -> None:
    """The vendor's client would send a secret or a token to the vendor's real host."""
    with https(clients) as (domain, variables):
        among = [{**account, "domain": domain} for account in of_commercelayer(clients)]
        shown = clients.report("node", VENDORS / "js-auth.mjs", among=among, **variables)

    for account, seen in zip(among, shown, strict=True):
        assert words_of(seen) in seen["error"]
        assert seen["address"] == f"https://emulated.{domain}"
        assert seen["kind"] == account["role"]
        assert (seen["used"], seen["ended"], seen["after"]) == (200, {}, 401)
    assert clients.looked_up() == {"auth.localhost", "emulated.localhost"}
    package = "@commercelayer/js-auth"
    record_client(package, version(package), shown, verified=["commercelayer"])


def test_js_auth_in_a_browser(clients: Clients) -> None:
    """A shop's page could not be tried: a browser would reject the emulator's response."""
    with https(clients) as (domain, variables):
        among = [{**of_commercelayer(clients)[1], "domain": domain}]
        browser = {"CHROMIUM": shutil.which("chromium") or "", **variables}
        [seen] = clients.report("node", VENDORS / "browser.mjs", among=among, **browser)

    assert words_of(seen) in seen["error"]
    assert (seen["ended"], seen["after"]) == ({}, 401)
    assert seen["hosts"] == ["auth.localhost", "emulated.localhost", "shop.localhost"]
    package = "@commercelayer/js-auth"
    name = f"{package} in Chromium"
    record_client(name, version(package), [seen], verified=["commercelayer"])


@pytest.mark.timeout(240)
def test_command_line_of_commercelayer(clients: Clients) -> None:
    """The vendor's command line could not log in, or could not get or revoke a token."""
    package = "@commercelayer/cli"
    program = ("node", MODULES / package / "bin/run.js")
    integration, channel = of_commercelayer(clients)
    scopes = ("market:code:europe", "stock_location:code:eu_warehouse")
    with https(clients) as (domain, variables):
        shop = ("--organization", "emulated", "--domain", domain, "--clientId")
        login = (*program, "applications:login", *shop)
        own = (integration["client_id"], "--clientSecret", integration["client_secret"])
        _, failure = clients.run(
            *login, own[0], own[1], "wrong", "--alias", "bad", status=2, **variables
        )
        # The command wraps its lines.
        assert words_of(integration) in failure.replace(" \u203a ", " ")
        output, _ = clients.run(*login, *own, "--alias", "shop", **variables)
        assert "Login successful!" in output
        scoped = [part for scope in scopes for part in ("--scope", scope)]
        alias = ("--alias", "channel")
        clients.run(*login, channel["client_id"], *scoped, *alias, **variables)
        output, _ = clients.run(*program, "applications:token", "--info", **variables)
        assert f"scope: '{' '.join(scopes)}'" in output
        plugin = MODULES / "@commercelayer/cli-plugin-token"
        clients.run(*program, "plugins:link", plugin, "--no-install", **variables)
        output, _ = clients.run(*program, "token:get", *shop, *own, **variables)
        [token] = re.findall(r"^eyJ\S+$", output, re.MULTILINE)
        assert client_of(token) == (own[0], "integration")
        revoke = (*program, "token:revoke", token, *shop, *own)
        output, _ = clients.run(*revoke, **variables)
        assert "successfully revoked" in output
        # A token that is already revoked is revoked again (RFC 7009 section 2.2).
        clients.run(*revoke, **variables)
    requests = clients.emulator.requests("commercelayer")
    revoked = [request for request in requests if request.path == "/oauth/revoke"]
    assert [json.loads(request.body)["token"] for request in revoked] == [token, token]
    assert clients.looked_up() == {"auth.localhost", "emulated.localhost"}
    record_client(package, version(package), [integration, channel])
