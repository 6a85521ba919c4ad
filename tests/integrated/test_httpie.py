"""HTTPie in its own environment, with the plugin from its entry point."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.integrated.environments import ROOT, version
from tests.integrated.results import record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integrated.shops import Shop

OPTIONS = ("--auth-type", "keyturn", "--auth")
MODULES = [ROOT / f"core/keyturn/integrations/{name}.py" for name in ("httpie", "_httpie")]


class Http:
    """Runs HTTPie, and measures the coverage of the plugin.

    Args:
        shop: The connection.
        directory: The directory for tokens and measurements, which is not searched for tokens.
    """

    def __init__(self, shop: Shop, directory: Path) -> None:
        self._shop = shop
        self._variables = {
            "KEYTURN_STORE": f"disk://{directory}/store",
            "COVERAGE_FILE": f"{directory}/coverage",
        }

    def __call__(self, *arguments: Any, status: int = 0) -> str:
        """Run HTTPie; return its output."""
        measured = (
            "coverage",
            "run",
            "--branch",
            "--parallel-mode",
            "-m",
            "httpie",
            "--ignore-stdin",
        )
        return self._shop.run("httpie", *measured, *arguments, status=status, **self._variables)

    def check_covered(self) -> None:
        """Assert that each line and branch of the plugin was executed."""
        self._shop.run("httpie", "coverage", "combine", "--quiet", **self._variables)
        which = f"--include={','.join(map(str, MODULES))}"
        report = ("report", "--fail-under=100", "--show-missing", which)
        self._shop.run("httpie", "coverage", *report, **self._variables)


@pytest.fixture
def http(shop: Shop, tmp_path: Path) -> Http:
    """Return a runner of HTTPie."""
    return Http(shop, tmp_path)


@pytest.mark.timeout(240)
def test_calls_survive_a_revocation(shop: Shop, http: Http) -> None:
    """A script would get a 401 after a revocation, or its output or session would show a token."""
    url = f"{shop.variables['SHOP_API']}/users"
    outputs: list[str] = []

    def call(number: int) -> int:
        session = shop.directory / f"session-{number}.json"
        options = ("--verbose", "--all", "--follow", "--debug", "--session", session)
        output = http(*OPTIONS, "shop", *options, "--check-status", url)
        outputs.append(output)
        return output.count("HTTP/1.1 200 OK")

    with ThreadPoolExecutor(8) as pool:
        for number in (1, 2):
            assert list(pool.map(call, range(8))) == [1] * 8
            assert shop.token_requests == number
            shop.emulator.revoke_tokens("orocommerce")
    outputs.append(http("--offline", *OPTIONS, "shop:", url))
    # A session stores the name, so that the command line needs none.
    session = shop.directory / "session-0.json"
    assert json.loads(session.read_text("utf-8"))["auth"] == {"type": "keyturn", "raw_auth": "shop"}
    # HTTPie sends its own Accept header for JSON. OroCommerce needs another one, which a user's
    # replaces.
    for accept, options in (("application/vnd.api+json", ()), ("text/csv", ("Accept:text/csv",))):
        assert "405" in http("--headers", *OPTIONS, "shop", "POST", url, "name=value", *options)
        assert shop.emulator.requests("orocommerce")[-1].headers["accept"] == accept
    assert "200 OK" in http("--headers", "--session", session, url)
    assert all("Authorization: ********" in output for output in outputs)
    assert shop.leaks(*outputs) == []
    check_mistakes(http)
    http.check_covered()
    record(
        platform="HTTPie",
        version=version("httpie", "httpie"),
        extension_point="entry point `httpie.plugins.auth.v1`",
        lines=0,
        healed=True,
        parallel=8,
        secrets="`keyturn.toml`, environment; searched: session files, `--verbose`, `--offline`",
    )


def check_mistakes(http: Http) -> None:
    """Assert that another host gets no token, and that no secret is accepted."""
    elsewhere = "http://127.0.0.1:9/"
    foreign = http(*OPTIONS, "shop", elsewhere, status=1)
    assert "ForeignOrigin: shop: http://127.0.0.1:9 is not the API's origin" in foreign
    assert "keyturn takes no password" in http(*OPTIONS, "shop:x", elsewhere, status=1)
    assert "no connection is named 'other'" in http(*OPTIONS, "other", elsewhere, status=1)


@pytest.mark.timeout(240)
def test_types(shop: Shop) -> None:
    """The modules would not match the types in HTTPie's environment."""
    configured = ("--config-file", ROOT / "pyproject.toml")
    shop.run("httpie", "python", "-m", "mypy", *configured, *MODULES, MYPYPATH=f"{ROOT}/core")
