"""`keyturn token` and the other commands about one connection's token."""

from __future__ import annotations

import datetime as dt
import io
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Result

    Keyturn = Callable[..., Result]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, keyturn: Keyturn) -> Keyturn:
    """Give a function that asks the connection `shop` as a credential helper."""

    def ask_for(question: str) -> Result:
        monkeypatch.setattr("sys.stdin", io.StringIO(question))
        return keyturn("token", "shop", "--format", "credential-helper")

    return ask_for


@pytest.mark.parametrize("provider", Emulator.providers)
def test_token_of_each_provider(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn, provider: str
) -> None:
    """The token alone must be on standard output, for `$(keyturn token NAME)`."""
    configure(x={"provider": provider, **emulator.settings(provider)})

    first, second = keyturn("token", "x"), keyturn("token", "x")

    assert (first.code, first.err) == (0, "")
    assert first.out.count(".") == 2
    assert first.out.endswith("\n")
    assert second.out == first.out
    assert emulator.token_requests(provider) == 1


@pytest.mark.usefixtures("shop")
def test_renew_brings_another_token(emulator: Emulator, keyturn: Keyturn) -> None:
    """After the permissions of a client have changed, its old token is of no use."""
    assert keyturn("token", "shop", "--renew").code == 0
    first = keyturn("token", "shop")

    renewed = keyturn("token", "shop", "--renew")

    assert renewed.code == 0
    assert renewed.out != first.out
    assert keyturn("token", "shop").out == renewed.out
    assert emulator.token_requests("orocommerce") == 2


@pytest.mark.usefixtures("shop")
def test_header_is_curls(keyturn: Keyturn) -> None:
    """`keyturn token NAME --format header | curl -H @- URL` keeps the token off command lines."""
    token = keyturn("token", "shop").out

    assert keyturn("token", "shop", "--format", "header").out == f"Authorization: Bearer {token}"


@pytest.mark.usefixtures("shop")
def test_json_tells_all_that_a_script_needs(keyturn: Keyturn) -> None:
    """A script that keeps the token must know when it ends."""
    found = keyturn("token", "shop", "--format", "json").json()

    assert sorted(found) == ["access_token", "expires_at", "scope", "token_type"]
    assert found["access_token"] + "\n" == keyturn("token", "shop").out
    assert found["expires_at"] == pytest.approx(dt.datetime.now(dt.UTC).timestamp() + 3599, abs=60)


@pytest.mark.usefixtures("shop")
def test_env_is_safe_for_a_shell(emulator: Emulator, keyturn: Keyturn) -> None:
    """What a server puts into a response must not be run by the shell that reads it."""
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
def test_exec_credential_is_kubectls(keyturn: Keyturn) -> None:
    """A Kubernetes client takes its own form alone, the end as RFC 3339 included."""
    found = keyturn("token", "shop", "--format", "exec-credential").json()

    assert (found["apiVersion"], found["kind"]) == (
        "client.authentication.k8s.io/v1",
        "ExecCredential",
    )
    assert found["status"]["token"] + "\n" == keyturn("token", "shop").out
    end = found["status"]["expirationTimestamp"]
    assert end.endswith("Z")
    assert dt.datetime.fromisoformat(end) > dt.datetime.now(dt.UTC)


@pytest.mark.usefixtures("shop")
def test_credential_helper_is_bazels(emulator: Emulator, ask: Keyturn, keyturn: Keyturn) -> None:
    """Bazel expects lists of header values, and the provider may need more than the token."""
    url = emulator.settings("orocommerce")["url"]

    found = ask(json.dumps({"uri": f"{url}/admin/api/users?page=1"})).json()

    token = keyturn("token", "shop").out.rstrip()
    assert found["headers"] == {
        "Authorization": [f"Bearer {token}"],
        "Accept": ["application/vnd.api+json"],
    }
    assert found["expires"].endswith("Z")


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("uri", ["https://evil.example/", "http://127.0.0.1:1/", "x", ""])
def test_credential_helper_responses_for_its_own_origin_only(ask: Keyturn, uri: str) -> None:
    """Whoever writes a build file must not get the token sent to a host of theirs."""
    result = ask(json.dumps({"uri": uri}))

    assert (result.code, result.out) == (2, "")
    assert "goes nowhere else" in result.err


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("question", ["", "[", "[]", "{}", '{"uri": 3}', "[" * 50_000])
def test_credential_helper_refuses_another_question(ask: Keyturn, question: str) -> None:
    """A token given away without knowing what for is given away."""
    result = ask(question)

    assert (result.code, result.out) == (2, "")
    assert '{"uri": "https://api.example/"}' in result.err


@pytest.mark.usefixtures("shop")
def test_explain_shows_the_exchange_and_no_secret(emulator: Emulator, keyturn: Keyturn) -> None:
    """Support must see what is sent, and may be anybody."""
    settings = emulator.settings("orocommerce")

    result = keyturn("explain", "shop")

    assert result.code == 0
    assert f"POST {settings['url']}/oauth2-token" in result.out
    assert settings["client_secret"] not in result.out
    assert keyturn("token", "shop").out.rstrip() not in result.out


def test_revoke_ends_the_token_at_the_provider(
    emulator: Emulator, configure: Callable[..., Path], keyturn: Keyturn
) -> None:
    """A token that leaked must be of no use to its finder."""
    configure(x={"provider": "commercelayer", **emulator.settings("commercelayer")})

    nothing = keyturn("revoke", "x")
    keyturn("token", "x")
    revoked = keyturn("revoke", "x")

    assert (nothing.code, nothing.err) == (0, "there is no token to revoke.\n")
    assert (revoked.code, revoked.out, revoked.err) == (0, "", "revoked.\n")
    assert keyturn("status", "--format", "json").json()[0]["state"] == "none"
    assert [request.path for request in emulator.requests("commercelayer")] == [
        "/oauth/token",
        "/oauth/revoke",
    ]


@pytest.mark.usefixtures("shop")
def test_revoke_tells_when_there_is_no_way(keyturn: Keyturn) -> None:
    """Who believes that a token was revoked looks no further after a leak."""
    keyturn("token", "shop")

    result = keyturn("revoke", "shop")

    assert result.code == 2
    assert "orocommerce has no way to revoke a token" in result.err


@pytest.mark.usefixtures("shop")
def test_forget_makes_the_next_call_ask_again(emulator: Emulator, keyturn: Keyturn) -> None:
    """After a secret was mended at the provider nobody wants to wait for what is remembered."""
    first = keyturn("token", "shop")

    result = keyturn("forget", "shop")

    assert (result.code, result.out, result.err) == (0, "", "forgotten.\n")
    assert keyturn("token", "shop").out != first.out
    assert emulator.token_requests("orocommerce") == 2
