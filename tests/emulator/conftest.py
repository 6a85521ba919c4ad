"""An emulator with a clock set by tests, and the documented token request of each provider."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from keyturn.testing import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FakeClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.25

    def __call__(self) -> float:
        """Return the time in epoch seconds."""
        return self.time


class Requester:
    """Sends requests to one emulator."""

    def __init__(self, emulator: Emulator, http: httpx.Client) -> None:
        self.emulator = emulator
        self.http = http

    def token(self, provider: str, **variant: Any) -> httpx.Response:
        """Send the documented token request, with the settings that the variant changes."""
        settings = self.emulator.settings(provider, **variant)
        names = ("client_id", "client_secret", "scope")
        body = {"grant_type": "client_credentials"}
        body |= {name: settings[name] for name in names if name in settings}
        if provider in ("norce-commerce", "norce-storm"):
            body.setdefault("scope", settings.get("environment", ""))
            return self.http.post(settings["token_url"], data=body)
        url = settings.get("token_url") or f"{settings['url']}/oauth2-token"
        return self.http.post(url, json=body)

    def access_token(self, provider: str, **variant: Any) -> str:
        """Return a token."""
        token: str = self.token(provider, **variant).json()["access_token"]
        return token

    def api(
        self,
        provider: str,
        access_token: str,
        headers: dict[str, str] | None = None,
        **variant: Any,
    ) -> httpx.Response:
        """Request the protected resource."""
        settings = self.emulator.settings(provider, **variant)
        prefix = "/admin" if settings.get("side") == "backoffice" else ""
        base = settings.get("api_url") or f"{settings['url']}{prefix}/api"
        own = {"ApplicationId": "7"} if provider.startswith("norce") else {}
        return self.http.get(
            base + self.emulator.resource(provider, **variant),
            headers={"Authorization": f"Bearer {access_token}", **own, **(headers or {})},
        )


def decode(part: str) -> dict[str, Any]:
    """Return one part of a JWT, decoded."""
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "==="))
    return value


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """Yield an HTTP client that ignores proxies."""
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that does not advance by itself."""
    return FakeClock()


@pytest.fixture
def emulator(clock: FakeClock) -> Iterator[Emulator]:
    """Yield a running emulator."""
    with Emulator(now=clock) as running:
        yield running


@pytest.fixture
def requester(emulator: Emulator, http: httpx.Client) -> Requester:
    """Return a helper that sends requests to the emulator."""
    return Requester(emulator, http)


@pytest.fixture
def jwt() -> Callable[[str], tuple[dict[str, Any], dict[str, Any]]]:
    """Return a function that decodes the header and the claims of a JWT."""

    def parts(access_token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        header, claims, _ = access_token.split(".")
        return decode(header), decode(claims)

    return parts
