"""Thousands of ids at once, and every order of opening, replacing, closing and removing."""

from __future__ import annotations

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.registry.conftest import OpenStore

import keyturn

if TYPE_CHECKING:
    from keyturn.plugins import Response, TokenRequest

TENANTS = 1000
# Those whose tokens are revoked.
REVOKED = range(0, TENANTS, 5)
CALLERS = 8


class Endpoint:
    """A token endpoint in this process, in place of the transport."""

    def __init__(self) -> None:
        self.sent = 0
        self._count = itertools.count(1)
        self._lock = threading.Lock()

    def send(self, request: TokenRequest, *_: object) -> Response:
        """Return a response with a new token."""
        with self._lock:
            self.sent += 1
        secret = dict(request.parameters)["client_secret"]
        assert isinstance(secret, keyturn.Secret)
        fields = {"access_token": f"{next(self._count)}-of-{secret.reveal()}", "expires_in": 3600}
        body = json.dumps(fields | {"token_type": "Bearer"}).encode()
        headers = {"content-type": "application/json"}
        return keyturn.plugins.Response(200, headers, body, time.time())


ENDPOINT = Endpoint()
ACME = keyturn.plugins.provider_from_data(
    {
        "name": "acme",
        "token_url": "https://login.acme.example/token",
        "client_authentication": "client_secret_post",
    }
)


@pytest.fixture(autouse=True)
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """Replace the transport with a new endpoint."""
    monkeypatch.setattr("keyturn._connection._transport", lambda: ENDPOINT)
    ENDPOINT.sent = 0
    return ENDPOINT


def row(tenant: object, secret: object = 0) -> dict[str, str]:
    """Return a tenant's settings."""
    return {"client_id": f"client-{tenant}", "client_secret": f"made-up-secret-{tenant}-{secret}"}


def test_mass_revocation_causes_one_renewal_for_each_token(endpoint: Endpoint) -> None:
    """After a provider revokes all tokens, it would get several token requests for each."""
    with (
        keyturn.Connections(store="memory://") as connections,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        for each in range(TENANTS):
            connections.open(f"tenant-{each}", ACME, row(each))

        def first(each: int) -> keyturn.Token:
            return connections[f"tenant-{each}"].token()

        tokens = [*pool.map(first, range(TENANTS))]
        assert endpoint.sent == TENANTS

        def refused(each: int) -> str:
            return connections[f"tenant-{each}"].token(stale=tokens[each]).access_token

        # Several calls of each tenant get a 401, concurrently and later.
        calls = [tenant for tenant in REVOKED for _ in range(3)] + [*REVOKED]
        renewed = [*pool.map(refused, calls, chunksize=1)]
        assert endpoint.sent == TENANTS + len(REVOKED)
        assert len(set(renewed)) == len(REVOKED)
        assert not {token.access_token for token in tokens} & set(renewed)


IDS = strategies.sampled_from("abc")
SECRETS = strategies.integers(0, 2)


class Life(RuleBasedStateMachine):
    """Connections compared with a model: the row of each id, and the stored tokens of each id."""

    def __init__(self) -> None:
        super().__init__()
        self.store = OpenStore()
        self.connections = keyturn.Connections(store=self.store)
        self.rows: dict[str, tuple[int, bool]] = {}
        self.objects: dict[str, keyturn.Connection] = {}
        self.held: dict[str, list[keyturn.Connection]] = {}
        # The tokens in the store: by secret, and by id if the id is isolated.
        self.listed: dict[tuple[int, str], set[str]] = {}

    @rule(id=IDS, secret=SECRETS, isolate=strategies.booleans())
    def open(self, id: str, secret: int, isolate: bool) -> None:
        """Open an id, with the same row or another."""
        connection = self.connections.open(id, ACME, row("all", secret), isolate=isolate)
        is_same = self.rows.get(id) == (secret, isolate)
        assert (connection is self.objects.get(id)) == is_same
        self.rows[id], self.objects[id] = (secret, isolate), connection
        self.held.setdefault(id, []).append(connection)

    @rule(id=IDS, which=strategies.integers(0, 9))
    def use(self, id: str, which: int) -> None:
        """Use an object of an id, an old one or the latest."""
        if id in self.rows:
            held = self.held[id]
            token = held[which % len(held)].token()
            secret, isolate = self.rows[id]
            assert token.access_token.endswith(f"-of-{row('all', secret)['client_secret']}")
            self.listed.setdefault((secret, id if isolate else ""), set()).add(id)

    @rule(id=IDS)
    def close(self, id: str) -> None:
        """Close an id."""
        self.connections.close(id)
        self._drop(id)

    @rule(id=IDS, in_another_process=strategies.booleans())
    def remove(self, id: str, in_another_process: bool) -> None:
        """Remove an id here, or close it here and remove it in another process."""
        if in_another_process:
            self.connections.close(id)
            keyturn.Connections(store=self.store).remove(id)
        else:
            self.connections.remove(id)
        self._drop(id)
        for key, ids in [*self.listed.items()]:
            ids.discard(id)
            if not ids:
                del self.listed[key]

    @invariant()
    def agrees(self) -> None:
        """Check that ids, objects and stored tokens are as in the model."""
        assert {*self.connections} == self.rows.keys()
        for id, connection in self.objects.items():
            assert self.connections[id] is connection
        tokens = [key for key in self.store.entries if len(key) == 64]
        assert len(tokens) == len(self.listed)
        indexed = [key for key in self.store.entries if key.startswith("connection-")]
        assert len(indexed) == len(set().union(*self.listed.values()))

    def teardown(self) -> None:
        """Close everything."""
        self.connections.close()

    def _drop(self, id: str) -> None:
        self.rows.pop(id, None)
        self.objects.pop(id, None)
        for connection in self.held.pop(id, []):
            with pytest.raises(keyturn.errors.ConfigurationError):
                connection.token()


def test_every_order_of_operations(endpoint: Any) -> None:
    """Some order of operations would leave a removed tenant's token, or mix up two tenants."""
    del endpoint

    class Case(Life.TestCase):
        settings = settings(max_examples=40, stateful_step_count=25, deadline=None)

    Case("runTest").runTest()
