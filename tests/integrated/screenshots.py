"""Write the screenshots of the status page into docs/images; needs `make test-platforms` once.

Usage: python -m tests.integrated.screenshots
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import httpx
from tests.integrated.conftest import HERE, running_agent

IMAGES = Path(__file__).parents[2] / "docs/images"


def main() -> None:
    """Serve connections in several states, and take pictures of the page."""
    with tempfile.TemporaryDirectory() as directory, running_agent(Path(directory), 12) as agent:
        emulator, client = agent.emulator, httpx.Client(base_url=agent.secret_url, trust_env=False)
        with client:
            for name in ("shop", "commercelayer", "tenant-0003", "tenant-0007"):
                client.get(f"/-/token/{name}")
            emulator.revoke_tokens("orocommerce")
            client.get(f"/shop{agent.path}")
            emulator.fault("norce-commerce", "html", times=5)
            client.get("/-/token/norce-commerce")
            client.get("/-/token/norce-storm")
        subprocess.run(
            [shutil.which("node") or "node", "browse.mjs"],
            cwd=HERE,
            env={**os.environ, "CHROMIUM": shutil.which("chromium") or ""},
            input=json.dumps({"url": agent.secret_url, "directory": str(IMAGES)}),
            text=True,
            check=True,
        )


if __name__ == "__main__":
    main()
