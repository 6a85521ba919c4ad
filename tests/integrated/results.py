"""The results of the platforms' runs, from which `scripts/integrations.py` makes a page."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# CI writes them to another directory: the page shows the versions of the last complete run.
DIRECTORY = Path(os.environ.get("RESULTS", Path(__file__).parent / "results"))
START, END = "# What the user writes:", "# End of what the user writes."


def record(
    *,
    platform: str,
    version: str,
    extension_point: str,
    lines: int,
    healed: bool,
    parallel: int,
    secrets: str,
    command: str = "make test-platforms",
) -> None:
    """Write the row of a platform; call it at the end of a test, with the results of the run.

    Args:
        platform: The platform's name.
        version: Its version in this run.
        extension_point: The parameter or class of the platform for the adapter, in backquotes.
        lines: The number of lines of the user's code that only keyturn needs; see `lines_of`.
        healed: Whether no caller got a 401 after the API had revoked all tokens during the run.
        parallel: How many workers called the API at the same time, with one token request.
        secrets: The place of the secret, and the output that was searched for secrets and tokens.
        command: The command that repeats the run.
    """
    row = {
        "platform": platform,
        "version": version,
        "extension_point": extension_point,
        "lines": lines,
        "healed": healed,
        "parallel": parallel,
        "secrets": secrets,
        "command": command,
    }
    _write(DIRECTORY, platform, row)


def record_client(
    client: str,
    version: str,
    accounts: Sequence[Mapping[str, Any]],
    *,
    discovered: Sequence[str] = (),
    verified: Sequence[str] = (),
    lost: Sequence[str] = (),
) -> None:
    """Write the row of a client that got tokens from the emulator, as `record` does.

    Args:
        client: The client's name.
        version: Its version in this run.
        accounts: The accounts whose API it has called, by `name`.
        discovered: The providers whose metadata it has found.
        verified: The providers whose tokens were verified with the published keys.
        lost: The providers whose error messages it does not show.
    """
    row = {
        "client": client,
        "version": version,
        "accounts": [account["name"] for account in accounts],
        "discovered": list(discovered),
        "verified": list(verified),
        "lost": list(lost),
        "command": "make test-platforms PLATFORMS=vendors",
    }
    _write(DIRECTORY / "clients", client, row)


def _write(directory: Path, name: str, row: Mapping[str, object]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    file = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    content = json.dumps(row, indent=2, ensure_ascii=False)
    (directory / f"{file}.json").write_text(f"{content}\n", encoding="utf-8")


def lines_of(program: Path) -> int:
    """Return the number of lines between `START` and `END` in a program, without empty ones."""
    lines = [line.strip() for line in program.read_text(encoding="utf-8").splitlines()]
    return sum(map(bool, lines[lines.index(START) + 1 : lines.index(END)]))
