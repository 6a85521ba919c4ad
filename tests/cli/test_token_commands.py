"""`keyturn token` and the other commands about one connection's token."""

from __future__ import annotations

import datetime as dt
import functools
import io
import json
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from keyturn import plugins
from keyturn._plugins.loading import plugin_manager
from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Result

    Keyturn = Callable[..., Result]


@pytest.fixture
def credential_helper(monkeypatch: pytest.MonkeyPatch, keyturn: Keyturn) -> Keyturn:
    """Return a function that calls the connection `shop` as a credential helper."""

    def call(request: str) -> Result:
        monkeypatch.setattr("sys.stdin", io.StringIO(request))
        return keyturn("token", "shop", "--format", "credential-helper")

    return call


@pytest.mark.parametrize("provider", Emulator.providers)
def test_token_of_each_provider_is_printed(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn, provider: str
) -> None:
    """Other output would be in the value of `$(keyturn token NAME)`."""
    configure(x={"provider": provider, **emulator.settings(provider)})

    first, second = keyturn("token", "x"), keyturn("token", "x")

    assert (first.code, first.err) == (0, "")
    assert first.out.count(".") == 2
    assert first.out.endswith("\n")
    assert second.out == first.out
    assert emulator.token_requests(provider) == 1


@pytest.mark.usefixtures("shop")
def test_renew_requests_another_token(emulator: Emulator, keyturn: Keyturn) -> None:
    """After a client's permissions change, a user would still get the old token."""
    assert keyturn("token", "shop", "--renew").code == 0
    first = keyturn("token", "shop")

    renewed = keyturn("token", "shop", "--renew")

    assert renewed.code == 0
    assert renewed.out != first.out
    assert keyturn("token", "shop").out == renewed.out
    assert emulator.token_requests("orocommerce") == 2


@pytest.mark.usefixtures("shop")
def test_exit_waits_only_for_unreported_events(
    monkeypatch: pytest.MonkeyPatch, keyturn: Keyturn
) -> None:
    """Every command that requests a token would end a second late."""
    monkeypatch.setattr("keyturn._tokens.single_flight._EXIT_PATIENCE", 3600)

    assert keyturn("token", "shop").code == 0
    assert keyturn("token", "shop", "--renew").code == 0


class Hangs:
    """An event listener that blocks until the test ends."""

    ended = threading.Event()

    @plugins.hookimpl
    def keyturn_event(self) -> None:
        """Wait."""
        self.ended.wait(30)


@pytest.mark.usefixtures("shop")
def test_listener_that_hangs_does_not_delay_a_command(
    monkeypatch: pytest.MonkeyPatch, keyturn: Keyturn, request: pytest.FixtureRequest
) -> None:
    """A script that needs a token would wait for an unrelated plugin."""
    monkeypatch.setattr("keyturn._tokens.single_flight._EXIT_PATIENCE", 0.01)
    listener = Hangs()
    request.addfinalizer(functools.partial(plugin_manager().unregister, listener))
    request.addfinalizer(listener.ended.set)
    plugin_manager().register(listener)

    assert keyturn("token", "shop").code == 0
    assert not listener.ended.is_set()


@pytest.mark.usefixtures("shop")
def test_header_format_can_be_read_by_curl(keyturn: Keyturn) -> None:
    """`keyturn token NAME --format header | curl -H @- URL` would not work."""
    token = keyturn("token", "shop").out

    assert keyturn("token", "shop", "--format", "header").out == f"Authorization: Bearer {token}"


@pytest.mark.usefixtures("shop")
def test_json_format_has_the_token_and_its_expiry(keyturn: Keyturn) -> None:
    """A script that caches the token would not know when it expires."""
    found = keyturn("token", "shop", "--format", "json").json()

    assert sorted(found) == ["access_token", "expires_at", "scope", "token_type"]
    assert found["access_token"] + "\n" == keyturn("token", "shop").out
    assert found["expires_at"] == pytest.approx(dt.datetime.now(dt.UTC).timestamp() + 3599, abs=60)


@pytest.mark.usefixtures("shop")
def test_env_is_safe_for_a_shell(emulator: Emulator, keyturn: Keyturn) -> None:
    """A shell that reads the output could run text from a server's response."""
    assignments = keyturn("token", "shop", "--format", "env").out
    script = assignments + 'printf "%s|" "$KEYTURN_ACCESS_TOKEN" "$KEYTURN_TOKEN_TYPE"\n'
    script += 'printf "%s|" "$KEYTURN_API_URL" "$KEYTURN_EXPIRES_AT"'
    done = subprocess.run(
        ["sh"],  # noqa: S607 - any POSIX shell
        input=script,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )

    token, token_type, api_url, expires_at, _ = done.stdout.split("|")
    assert token + "\n" == keyturn("token", "shop").out
    assert token_type == "Bearer"
    assert api_url == emulator.settings("orocommerce")["url"] + "/admin/api"
    assert expires_at.isdigit()


@pytest.mark.usefixtures("shop")
def test_exec_credential_has_the_format_of_kubectl(keyturn: Keyturn) -> None:
    """A Kubernetes client would reject the credential or its expiry."""
    found = keyturn("token", "shop", "--format", "exec-credential").json()

    assert (found["apiVersion"], found["kind"]) == (
        "client.authentication.k8s.io/v1",
        "ExecCredential",
    )
    assert found["status"]["token"] + "\n" == keyturn("token", "shop").out
    expiry = found["status"]["expirationTimestamp"]
    assert expiry.endswith("Z")
    assert dt.datetime.fromisoformat(expiry) > dt.datetime.now(dt.UTC)


@pytest.mark.usefixtures("shop")
def test_credential_helper_has_the_format_of_bazel(
    emulator: Emulator, credential_helper: Keyturn, keyturn: Keyturn
) -> None:
    """Bazel would reject the headers, or the API would miss one."""
    url = emulator.settings("orocommerce")["url"]

    found = credential_helper(json.dumps({"uri": f"{url}/admin/api/users?page=1"})).json()

    token = keyturn("token", "shop").out.rstrip()
    assert found["headers"] == {
        "Authorization": [f"Bearer {token}"],
        "Accept": ["application/vnd.api+json"],
    }
    assert found["expires"].endswith("Z")


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("uri", ["https://evil.example/", "http://127.0.0.1:1/", "x", ""])
def test_credential_helper_serves_only_the_origin_of_the_api(
    credential_helper: Keyturn, uri: str
) -> None:
    """The author of a build file could have the token sent to their host."""
    result = credential_helper(json.dumps({"uri": uri}))

    assert (result.code, result.out) == (2, "")
    assert "the token was not attached" in result.err


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("request_", ["", "[", "[]", "{}", '{"uri": 3}', "[" * 50_000])
def test_credential_helper_rejects_a_malformed_request(
    credential_helper: Keyturn, request_: str
) -> None:
    """Without an address in its request, the token could go to any host."""
    result = credential_helper(request_)

    assert (result.code, result.out) == (2, "")
    assert '{"uri": "https://api.example/"}' in result.err


@pytest.mark.usefixtures("shop")
def test_explain_shows_the_exchange_and_no_secret(emulator: Emulator, keyturn: Keyturn) -> None:
    """Support staff would miss what was sent, or see the secret."""
    settings = emulator.settings("orocommerce")

    result = keyturn("explain", "shop")

    assert result.code == 0
    assert f"POST {settings['url']}/oauth2-token" in result.out
    assert settings["client_secret"] not in result.out
    assert keyturn("token", "shop").out.rstrip() not in result.out


def test_revoke_invalidates_the_token_at_the_provider(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn
) -> None:
    """A token that leaked would stay valid."""
    configure(x={"provider": "commercelayer", **emulator.settings("commercelayer")})

    nothing = keyturn("revoke", "x")
    keyturn("token", "x")
    revoked = keyturn("revoke", "x")

    assert (nothing.code, nothing.err) == (0, "keyturn: no token to revoke.\n")
    assert (revoked.code, revoked.out, revoked.err) == (0, "", "keyturn: revoked the token.\n")
    assert keyturn("status", "--format", "json").json()[0]["state"] == "none"
    assert [request.path for request in emulator.requests("commercelayer")] == [
        "/oauth/token",
        "/oauth/revoke",
    ]


@pytest.mark.usefixtures("shop")
def test_revoke_fails_when_the_provider_cannot_revoke(keyturn: Keyturn) -> None:
    """A user would believe that a leaked token is no longer valid."""
    keyturn("token", "shop")

    result = keyturn("revoke", "shop")

    assert result.code == 2
    assert "orocommerce" in result.err
    assert "does not support revocation" in result.err


@pytest.mark.usefixtures("shop")
def test_forget_makes_the_next_call_request_a_token(emulator: Emulator, keyturn: Keyturn) -> None:
    """After a user has fixed the client at the provider, the cached error would remain."""
    first = keyturn("token", "shop")

    result = keyturn("forget", "shop")

    assert (result.code, result.out, result.err) == (0, "", "keyturn: discarded the token.\n")
    assert keyturn("token", "shop").out != first.out
    assert emulator.token_requests("orocommerce") == 2


@pytest.mark.usefixtures("shop")
def test_stored_token_is_printed_without_slow_imports(
    keyturn: Keyturn, run_new_python: Callable[..., str]
) -> None:
    """A loop in a shell would wait for an HTTP client that it does not use."""
    code = """
import sys
from keyturn._cli import main
main(["token", "shop"])
slow = {"asyncio", "authlib", "cryptography", "httpx", "importlib.metadata", "joserfc", "ssl"}
print(sorted(slow & set(sys.modules)))
"""
    token = keyturn("token", "shop").out

    assert run_new_python(code, COVERAGE_PROCESS_CONFIG=None) == f"{token}[]"


@pytest.mark.parametrize("command", [["check"], ["forget", "shop"]])
def test_failing_store_is_one_warning_and_an_error(
    shop: Path, keyturn: Keyturn, command: list[str]
) -> None:
    """An operator would believe that hosts share tokens, or that a token was discarded."""
    place = shop.parent / "file"
    place.touch()
    shop.write_text(f'store = "disk://{place}/store"\n{shop.read_text()}')

    result = keyturn(*command)

    assert result.code == 1
    assert result.err.count("WARNING") == 1
    assert f"shop: the token store DiskStore {place}/store failed to" in result.err
    assert "Check store in the configuration." in result.err
    assert "discarded" not in result.err


@pytest.mark.parametrize("provider", ["norce-commerce", "orocommerce"])
def test_forget_discards_rate_limits_on_request(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn, provider: str
) -> None:
    """A long cooldown, or one stored by an attacker, would last for days."""
    configure(x={"provider": provider, **emulator.settings(provider)})
    emulator.fault(provider, "rate-limit", retry_after=3600)
    limited = [keyturn("token", "x").code for _ in range(2)]
    plain = keyturn("forget", "x")
    still = keyturn("token", "x").code
    cleared = keyturn("forget", "x", "--rate-limits")

    assert limited == [4, 4]
    assert (plain.code, still) == (0, 4)
    assert (cleared.code, cleared.err) == (0, "keyturn: discarded the token.\n")
    assert keyturn("token", "x").code == 0
