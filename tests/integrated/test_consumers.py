"""Programs and libraries without keyturn that use `keyturn serve` as its page describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integrated.conftest import BEHIND_SERVE, PYTHON, SECRET, Agent, survive
from tests.integrated.results import record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NODE = """
const [url, secret] = process.argv.slice(1);
const headers = { "X-Keyturn-Secret": secret, "Content-Type": "application/json" };
const response = await fetch(url, { headers });
console.log(response.status);
"""
PHP = """
[$_, $url, $secret] = $argv;
$context = stream_context_create(["http" => ["header" => "X-Keyturn-Secret: $secret"]]);
file_get_contents($url, false, $context);
echo explode(" ", $http_response_header[0])[1], "\\n";
$curl = curl_init($url);
curl_setopt_array($curl, [
    CURLOPT_RETURNTRANSFER => true, CURLOPT_HTTPHEADER => ["X-Keyturn-Secret: $secret"],
]);
curl_exec($curl);
echo curl_getinfo($curl, CURLINFO_RESPONSE_CODE), "\\n";
"""
AZURE = """
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
for credential in (ManagedIdentityCredential(), ManagedIdentityCredential(client_id="shop"),
                   DefaultAzureCredential()):
    print(credential.get_token("https://shop.example/.default").token)
"""
GOOGLE = """
import google.auth, google.auth.transport.requests
from google.auth import compute_engine
request = google.auth.transport.requests.Request()
for credentials in (compute_engine.Credentials(), google.auth.default()[0]):
    credentials.refresh(request)
    print(credentials.token)
"""


def test_curl(agent: Agent, run: Callable[..., str], tmp_path: Path) -> None:
    """A script with curl could not call the API, or would get the 401 of a revoked token."""
    headers = tmp_path / "headers"
    headers.write_text(f"X-Keyturn-Secret: {SECRET}\n")
    status = ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
    url = f"{agent.url}/shop{agent.path}"
    shown = survive(agent, lambda: run("curl", *status, "--header", f"@{headers}", url))
    assert run("curl", *status, f"{agent.secret_url}/shop{agent.path}") == "200"
    body = ["--request", "GET", "--data", "@-"]
    assert run("curl", *status, *body, "--header", f"@{headers}", url, given="a" * 9000) == "200"
    assert run("curl", *status, url) == "404"
    version = run("curl", "--version").split()[1]
    point = "`--header @FILE`, to `keyturn serve`"
    record(platform="curl", version=version, extension_point=point, **shown)


def test_node(agent: Agent, run: Callable[..., str]) -> None:
    """A program with Node's fetch could not call the API."""
    url = f"{agent.url}/shop{agent.path}"
    code = ["--input-type=module", "--eval", NODE, url, SECRET]
    shown = survive(agent, lambda: run("node", *code))
    version = run("node", "--version").removeprefix("v")
    point = "a header of `fetch`, to `keyturn serve`"
    record(platform="Node.js", version=version, extension_point=point, **shown)


def test_php(agent: Agent, run: Callable[..., str]) -> None:
    """A program in PHP could not call the API, through streams or through curl."""
    url = f"{agent.url}/shop{agent.path}"

    def call() -> str:
        return run("php", "-r", PHP, "--", url, SECRET)

    shown = survive(agent, lambda: "200" if call() == "200\n200" else "other")
    version = run("php", "-r", "echo PHP_VERSION;")
    point = "a header of streams and curl, to `keyturn serve`"
    record(platform="PHP", version=version, extension_point=point, **shown)


def test_azure_identity(agent: Agent, run: Callable[..., str]) -> None:
    """azure-identity could not read the token when only its variables are set."""
    variables = {"IDENTITY_ENDPOINT": f"{agent.url}/-/azure/shop", "IDENTITY_HEADER": SECRET}
    assert run(PYTHON, "-c", AZURE, **variables).split() == [agent.token()] * 3
    record_reader(run, "azure-identity", "`IDENTITY_ENDPOINT`, `IDENTITY_HEADER`")


def test_google_auth(agent: Agent, run: Callable[..., str]) -> None:
    """google-auth could not read the token when only its variables are set."""
    place = f"{agent.host}/{SECRET}/-/google/shop"
    variables = {"GCE_METADATA_HOST": place, "GCE_METADATA_IP": place}
    assert run(PYTHON, "-c", GOOGLE, **variables).split() == [agent.token()] * 2
    record_reader(run, "google-auth", "`GCE_METADATA_HOST`, `GCE_METADATA_IP`")


def record_reader(run: Callable[..., str], library: str, point: str) -> None:
    """Record a library that reads a token, but does not report a rejected one."""
    code = f"import importlib.metadata as m; print(m.version({library!r}))"
    shown = {"lines": 0, "healed": False, "parallel": 1, "secrets": BEHIND_SERVE}
    version = run(PYTHON, "-c", code)
    record(platform=library, version=version, extension_point=point, **shown)
