#!/usr/bin/env python3
"""Write docs/reference/integrations.md from the results of `make test-platforms`.

Each file of tests/integrated/results is a row that a test wrote at the end of its run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "integrations.md"
RESULTS = ROOT / "tests" / "integrated" / "results"
CLIENT_RESULTS = sorted((RESULTS / "clients").glob("*.json"))
INTRODUCTION = """# Platforms that keyturn runs in

Each row is from a run of `make test-platforms`. The platform, in its own environment, calls the
emulator's API with a keyturn connection. During the run, the API revokes all tokens. kubectl calls
a test server, which checks each token with the emulator.

- **lines**: the number of lines of code or configuration that keyturn needs, without imports.
- **401 hidden**: whether no caller saw a 401 after the revocation.
- **parallel**: the number of workers that called the API at the same time. After the revocation,
  they caused one token request.
- **secrets**: the location of the secret, and the outputs that the test searched for the secret and
  the tokens. To check the search, the test first finds a secret that it planted.
"""
CLIENTS = """
## Clients that get tokens from the emulator

Each row is from a run of `make test-platforms PLATFORMS=vendors`. The client, without keyturn, gets
a token for each account from [the emulator](../how-to/test.md), and calls the API with it. It also
sends a wrong secret. It connects to no other host.

- **accounts**: the providers, and the emulator's kinds of client for them.
- **metadata**: the providers whose metadata configure the client. The client finds Norce's metadata
  by the issuer only; it is given the address of OroCommerce's.
- **keys**: the providers whose published keys verify the token in this run.
- **wrong secret**: whether the client shows the message of the provider's error response.
"""
CLIENTS_HEAD = ("client", "version", "accounts", "metadata", "keys", "wrong secret")
HEAD = ("platform", "version", "extension point", "lines", "401 hidden", "parallel", "secrets")
NOT_INSTALLED: dict[str, str] = {
    "Bazel": "credential helpers need Bazel 7; Debian 12 has 4.2.3, npm has 2.1.0, and PyPI has "
    "none. Tests run `keyturn token --format credential-helper` with the requests and responses of "
    "[Bazel's proposal](https://github.com/bazelbuild/proposals/blob/main/designs/2022-06-07-bazel-credential-helpers.md).",
}


def page() -> str:
    """Return the page."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    lines = [INTRODUCTION, _row(*HEAD), _row(*["---"] * len(HEAD))]
    for row in sorted(rows, key=lambda row: row["platform"].lower()):
        healed = "yes" if row["healed"] else "no"
        lines.append(
            _row(
                *(row["platform"], row["version"], row["extension_point"], row["lines"]),
                *(healed, row["parallel"], row["secrets"]),
            )
        )
    lines += [CLIENTS, _row(*CLIENTS_HEAD), _row(*["---"] * len(CLIENTS_HEAD))]
    lines += [_client(json.loads(path.read_text("utf-8"))) for path in CLIENT_RESULTS]
    if NOT_INSTALLED:
        lines += ["", "## Not run", ""]
        lines += [f"- **{name}**: {reason}" for name, reason in sorted(NOT_INSTALLED.items())]
    return "\n".join(lines) + "\n"


def _client(row: dict[str, Any]) -> str:
    roles: dict[str, list[str]] = {}
    for account in row["accounts"]:
        provider, _, role = account.partition(" ")
        roles.setdefault(provider, []).extend([f"`{role}`"] if role else [])
    accounts = [
        f"`{provider}`" + (f" ({', '.join(kinds)})" if kinds else "")
        for provider, kinds in roles.items()
    ]
    lost = " and ".join(f"`{provider}`" for provider in row["lost"])
    return _row(
        *(row["client"], row["version"], ", ".join(accounts)),
        *(
            ", ".join(f"`{each}`" for each in row[name]) or "-"
            for name in ("discovered", "verified")
        ),
        f"not of {lost}" if lost else "shown",
    )


def _row(*cells: object) -> str:
    written = [str(cell).replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(written)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
