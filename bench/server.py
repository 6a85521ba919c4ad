"""The token endpoint and API of the bench, in its own process.

`python -m bench.server` prints its port and ends when its standard input does. `PUT /` with a JSON
object makes a scenario with its own path; below it are `…/token`, `…/api`, `…/counts`, and the
discovery document that some libraries require. A token contains its serial number and expiry.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.tokens import expiry, new_token

_BACKLOG = 1024


@dataclass
class Counts:
    """The requests that a scenario got.

    Args:
        token_requests: Requests to the token endpoint, refused ones too.
        refused: Of these, the ones over the rate limit.
        api_requests: Requests to the API, refused ones too.
        unauthorized: Of these, the ones whose token had expired.
    """

    token_requests: int = 0
    refused: int = 0
    api_requests: int = 0
    unauthorized: int = 0


@dataclass
class Scenario:
    """One behaviour of the token endpoint.

    Args:
        latency: Seconds that a token request takes.
        lifetime: Seconds that a token is valid.
        burst: Token requests that are allowed at once.
        per_minute: Token requests that are allowed each minute besides; 0 for no limit.
    """

    latency: float = 0.0
    lifetime: int = 3600
    burst: int = 0
    per_minute: float = 0.0
    counts: Counts = field(default_factory=Counts)
    tokens_left: float | None = None
    updated_at: float = 0.0

    async def token(self) -> tuple[int, dict[str, Any]]:
        """Respond to a token request."""
        self.counts.token_requests += 1
        if not self._within_rate_limit():
            self.counts.refused += 1
            return 429, {"error": "temporarily_unavailable"}
        serial = self.counts.token_requests
        await asyncio.sleep(self.latency)
        token = new_token(serial, time.time() + self.lifetime)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}

    def api(self, authorization: str) -> tuple[int, dict[str, Any]]:
        """Respond to an API request."""
        self.counts.api_requests += 1
        if time.time() < expiry(authorization.removeprefix("Bearer ")):
            return 200, {}
        self.counts.unauthorized += 1
        return 401, {"error": "invalid_token"}

    def _within_rate_limit(self) -> bool:
        if not self.per_minute:
            return True
        now = time.monotonic()
        before = self.burst if self.tokens_left is None else self.tokens_left
        refill = (now - self.updated_at) * self.per_minute / 60
        self.tokens_left, self.updated_at = min(self.burst, before + refill), now
        if self.tokens_left < 1:
            return False
        self.tokens_left -= 1
        return True


class Server:
    """The scenarios, by path, and the HTTP/1.1 around them."""

    def __init__(self) -> None:
        self._scenarios: dict[str, Scenario] = {}

    async def serve(self) -> None:
        """Listen on a free port of the loopback interface until standard input ends."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0, backlog=_BACKLOG)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = (line.partition(":") for line in head[1:] if line)
                headers = {name.lower(): value.strip() for name, _, value in fields}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = head[0].split(" ")
                status, response = await self._response(method, target, headers, body)
                text = json.dumps(response).encode()
                start = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
                writer.write(f"{start}Content-Length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _response(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, Any]]:
        if method == "PUT":
            path = f"s{len(self._scenarios)}"
            self._scenarios[path] = Scenario(**json.loads(body))
            return 200, {"path": path}
        parts = target.partition("?")[0].strip("/").split("/")
        scenario = self._scenarios.get(parts[0])
        if scenario is None:
            return 404, {}
        if parts[-1] == "token":
            return await scenario.token()
        if parts[-1] == "api":
            return scenario.api(headers.get("authorization", ""))
        if parts[-1] == "counts":
            return 200, asdict(scenario.counts)
        return 200, _discovery(f"https://{headers['host']}/{parts[0]}")


def _discovery(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
    }


if __name__ == "__main__":
    asyncio.run(Server().serve())
