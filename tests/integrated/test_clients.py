"""Client libraries and frameworks with keyturn's adapters, in their own environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.integrated.conftest import HERE
from tests.integrated.environments import ROOT
from tests.integrated.results import record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integrated.shops import Shop

DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/users": {"get": {"operationId": "get_users", "responses": {"200": {"description": "ok"}}}}
    },
}


@pytest.mark.timeout(300)
def test_parallel_calls_survive_a_revocation_with_one_token_request(
    shop: Shop, tmp_path: Path
) -> None:
    """Users of these libraries would get a 401, or each call would request a token."""
    (shop.directory / "shop.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
    shop.run("clients", "openapi-python-client", "generate", "--path", "shop.json")
    paths = f"{shop.directory}/shop-client:{ROOT}"
    # Stores may contain tokens, and are not searched.
    command = ("python", HERE / "clients_program.py", tmp_path / "stores")
    output = shop.run("clients", *command, PYTHONPATH=paths)
    rows = [json.loads(line) for line in output.splitlines() if line.startswith('{"platform"')]
    assert len(rows) == 12
    for row in rows:
        # Each revocation has cost one token request.
        fine = ["200"] * 8
        expected = [{"statuses": fine, "token_requests": number} for number in (1, 2)]
        assert row.pop("rounds") == expected, row
    assert "DEBUG:httpcore" in output
    assert shop.leaks(output) == []
    for row in rows:
        searched = "; searched: logs at DEBUG, `/docs`" if row["platform"] == "FastAPI" else ""
        secrets = f"environment{searched or '; searched: logs at DEBUG'}"
        record(**row, healed=True, parallel=8, secrets=secrets)
