"""Two accounts never share a token, whatever their settings are."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn
from keyturn.stores import EncryptedStore

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import RawServer

    from keyturn.stores._base import TokenStore

HttpResponse: TypeAlias = "Callable[..., bytes]"
Serve: TypeAlias = "Callable[..., RawServer]"

# --- the cache key ---

USUAL: dict[str, dict[str, Any]] = {
    "norce-commerce": {
        "client_id": "cid",
        "client_secret": "s3cret",
        "client": "acme",
        "environment": "stage",
    },
    "norce-storm": {"client_id": "cid", "client_secret": "s3cret", "scope": "lab"},
    "orocommerce": {"client_id": "cid", "client_secret": "s3cret", "url": "https://shop.example"},
    "commercelayer": {"client_id": "cid", "client_secret": "s3cret", "kind": "integration"},
    "generic": {
        "token_url": "https://acme.example/token",
        "client_id": "cid",
        "client_secret": "s3cret",
    },
}
# Another value for each setting that changes the token …
EFFECTIVE: dict[str, dict[str, Any]] = {
    "norce-commerce": {
        "client_id": "other",
        "client_secret": "other",
        "token_url": "https://other.example/token",
        "client": "other",
        "region": "other",
        "environment": "playground",
        "scope": "lab",
    },
    "norce-storm": {
        "client_id": "other",
        "client_secret": "other",
        "token_url": "https://other.example/token",
        "scope": "lab qa",
    },
    "orocommerce": {
        "client_id": "other",
        "client_secret": "other",
        "token_url": "https://other.example/token",
        "url": "https://other.example",
        "side": "storefront",
        "body_format": "form",
        "scope": "read",
    },
    "commercelayer": {
        "client_id": "other",
        "client_secret": "other",
        "token_url": "https://other.example/token",
        "kind": "sales_channel",
        "lifetime": 9000,
        "market": "code:europe",
        "store_scope": "code:shop",
        "scope": "market:all",
        "domain": "other.example",
    },
    "generic": {
        "client_id": "other",
        "client_secret": "other",
        "token_url": "https://other.example/token",
        "scope": "read",
        "scope_name": None,  # only with a scope
        "scope_separator": ",",
        "method": None,  # only with body_format
        "body_format": "json",
        "client_authentication": "client_secret_basic",
        "client_id_name": "other",
        "client_secret_name": "other",
        "username": None,  # only where a parameter or header uses it; so does the next
        "password": None,
        "grant_type": "other",
        "parameters": {"a": "b"},
        "token_headers": {"X-A": "b"},
        "query": {"a": "b"},
        "body": None,  # only with content_type
        "content_type": "application/vnd.acme+json",
        "values": None,  # only where a parameter, header or body uses them
        "token_field": "id_token",
        "token_header": "X-Token",
        "lifetime_header": "X-Lifetime",
        "token_type": "",
        "lifetime_field": "other",
        "lifetime_format": "milliseconds",
        "lifetime_timezone": None,  # only with a lifetime_format that is a date
        "media_types": "text/plain",
        "response_format": "form",
        "response_encoding": "utf-8-sig",
        "scope_format": "array",
        "missing_lifetime": 60.0,
        "error_field": "other",
        "error_description_field": "other",
        "error_codes": {"E1": "invalid_client"},
        "success_codes": ["200"],
        # The rest applies to authentication by key or certificate, which has its own tests.
        "private_key": None,
        "key_id": None,
        "certificate": None,
        "certificate_key": None,
        "certificate_password": None,
        "assertion_name": None,
        "assertion_algorithm": None,
        "assertion_key_header": None,
        "assertion_headers": None,
        "assertion_audience": None,
        "assertion_claims": None,
        "assertion_lifetime": None,
    },
}
# … and for each setting that doesn't: connections that differ in them share tokens.
ELSEWHERE = {
    "api_url": "https://other.example",
    "revocation_url": "https://other.example/revoke",
}
CONTEXT: dict[str, dict[str, Any]] = {
    "norce-commerce": ELSEWHERE | {"application_id": 7},
    "norce-storm": ELSEWHERE | {"application_id": 7},
    "orocommerce": ELSEWHERE | {"backend_prefix": "other"},
    "commercelayer": {
        **ELSEWHERE,
        "organization": "other",
        "require_market": True,
        "stock_location": None,  # needs a market, which changes the token
    },
    "generic": {
        **ELSEWHERE,
        "per_minute": None,  # only with burst
        "burst": None,
        "max_margin": 7.0,
        "token_status": 201,
        "api_url_field": "url",
        "api_domains": None,  # only with api_url_field
        "authorization_header": "X-Token",
        "authorization_scheme": "Token",
        "authorization_value": "Token {token}",
        "authorization_query": "access_token",
        "api_headers": {"X-A": "b"},
        "api_query": {"a": "b"},
        "rejected_status": [401, 403],
        "rejected_codes": ["expired"],
        "rejected_field": "code",
    },
}


def fingerprint(provider: str, **settings: object) -> str:
    """Return the cache key of a connection."""
    return keyturn.connect(provider, **(USUAL[provider] | settings)).token_request().fingerprint


def changes(table: dict[str, dict[str, Any]]) -> list[tuple[str, str, object]]:
    """Return provider, setting and value of each row that can be tried by itself."""
    return [
        (provider, setting, value)
        for provider, settings in table.items()
        for setting, value in settings.items()
        if value is not None
    ]


def test_every_setting_is_in_one_of_the_tables() -> None:
    """A new setting could be left out of the key, and two accounts would share a token."""
    for provider in USUAL:
        names = set(keyturn.provider(provider).settings_schema()["properties"])
        assert names == EFFECTIVE[provider].keys() | CONTEXT[provider].keys()


@for_each(("provider", "setting", "value"), changes(EFFECTIVE))
def test_setting_that_changes_the_token_gives_another_key(
    provider: str, setting: str, value: object
) -> None:
    """Two accounts would share a token."""
    assert fingerprint(provider) != fingerprint(provider, **{setting: value})


@for_each(("provider", "setting", "value"), changes(CONTEXT))
def test_setting_of_api_requests_gives_the_same_key(
    provider: str, setting: str, value: object
) -> None:
    """Two applications with one account would each request a token."""
    assert fingerprint(provider) == fingerprint(provider, **{setting: value})


def test_stock_location_gives_another_key() -> None:
    """Two stock locations would share a token."""
    market = {"market": "code:europe"}
    keys = {
        fingerprint("commercelayer", **market, stock_location=place)
        for place in (None, "code:a", "code:b", "id:a")
    }
    assert len(keys) == 4


# Characters that could end a value or begin the next one, and letters to put around them.
STRINGS = st.text('ab&=:,;"[]{}\\/%+|-', min_size=1, max_size=4)
LABELS = st.text("ab", min_size=1, max_size=2)
SCOPES = st.lists(st.text("ab:,[]|+", min_size=1, max_size=3), min_size=1, max_size=3)
ACCOUNTS = st.fixed_dictionaries(
    {
        "client_id": STRINGS,
        "client_secret": STRINGS,
        "client": LABELS,
        "region": LABELS,
        "environment": st.sampled_from(["stage", "playground", "prod"]),
        "scope": SCOPES,
    }
)


FIELDS = ["client_id", "client_secret", "client", "region", "environment", "scope"]


@given(ACCOUNTS, ACCOUNTS, st.sets(st.sampled_from(FIELDS)))
def test_keys_are_equal_only_for_equal_accounts(
    one: dict[str, Any], other: dict[str, Any], taken: set[str]
) -> None:
    """A user who chooses a tenant's name could get another account's key, and its token."""
    other = one | {name: other[name] for name in taken}
    same = one | {"scope": set(one["scope"])} == other | {"scope": set(other["scope"])}

    assert (fingerprint("norce-commerce", **one) == fingerprint("norce-commerce", **other)) is same


@given(ACCOUNTS, st.permutations(["client_id", "client_secret", "client", "region"]))
def test_swapped_settings_give_another_key(account: dict[str, Any], order: list[str]) -> None:
    """An account whose ID is another's secret, or whose tenant is another's region, would match."""
    names = ["client_id", "client_secret", "client", "region"]
    swapped = {"client_id": "b", "client_secret": "a", "client": "b", "region": "a"}
    values = [swapped[name] for name in order]
    changed = account | dict(zip(names, values, strict=True))
    account |= dict(zip(names, swapped.values(), strict=True))
    keys = [fingerprint("norce-commerce", **each) for each in (account, changed)]

    assert (keys[0] == keys[1]) == (account == changed)


@given(ACCOUNTS, st.randoms())
def test_order_of_scope_values_gives_the_same_key(account: dict[str, Any], shuffler: Any) -> None:
    """One account would have several tokens, and request them too often."""
    scope = [*account["scope"], *account["scope"][:1]]
    shuffler.shuffle(scope)

    assert fingerprint("norce-commerce", **account) == fingerprint(
        "norce-commerce", **(account | {"scope": " ".join(scope)})
    )


# --- a million calls with swapped settings ---


class NamedSettings(keyturn.plugins.ConfidentialSettings):
    """The settings of a platform whose tokens name what they were issued for."""

    tenant: str = keyturn.plugins.label("Tenant")
    environment: str = keyturn.plugins.label("Environment")
    scope: tuple[str, ...] = keyturn.plugins.setting("Scope")


class Named(keyturn.plugins.Provider[NamedSettings]):
    """A platform whose tokens name what they were issued for; it has no rate limit."""

    name = "named"
    settings = NamedSettings
    token_url = "https://replaced.example"
    body_format = "json"
    rate_limit = keyturn.plugins.RateLimit(per_minute=1_000_000, burst=1_000_000)

    def __init__(self, server: RawServer) -> None:
        self.base = server.url.removesuffix("/token")

    def token_request(self, settings: NamedSettings) -> keyturn.plugins.TokenRequest:
        """Return the request to the tenant's token endpoint."""
        request = super().token_request(settings)
        return attrs.evolve(request, url=f"{self.base}/{settings.tenant}/{settings.environment}")


def named(tenant: str, environment: str, client_id: str, secret: str, *scope: str) -> str:
    """Return the beginning of a token that was issued for these settings."""
    return "/".join(["", tenant, environment, client_id, secret, "+".join(scope), ""])


ACCOUNT = ("a", "b", "x", "y", "r", "w")
SWAPPED = [
    ACCOUNT,
    ("a", "b", "y", "x", "r", "w"),  # client ID and secret swapped
    ("b", "a", "x", "y", "r", "w"),  # tenant and environment swapped
    ("x", "b", "a", "y", "r", "w"),  # tenant and client ID swapped
    ("a", "b", "x", "y", "r"),  # a narrower scope
    ("a", "b", "x", "y", "w"),  # another scope
    ("ab", "c", "x", "y", "r", "w"),  # a value that contains a separator
    ("a", "bc", "x", "y", "r", "w"),
]


@pytest.fixture
def issuer(serve: Serve, http_response: HttpResponse) -> RawServer:
    """Yield a token endpoint that writes the request's values into each token."""
    numbers = itertools.count()

    def issue(server: RawServer, connection: socket.socket) -> None:
        head, _, body = server.read_request(connection).partition(b"\r\n\r\n")
        fields = json.loads(body)
        _, tenant, environment = head.split()[1].decode().split("/")
        account = (tenant, environment, fields["client_id"], fields["client_secret"])
        number = next(numbers)
        token = named(*account, *fields["scope"].split()) + str(number)
        # Every third token expires while the test runs.
        seconds = 1 if number % 3 == 0 else 3600
        fields = {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
        connection.sendall(http_response(fields, connection="close"))

    return serve(issue)


def opened(account: tuple[str, ...], issuer: RawServer, store: TokenStore) -> keyturn.Connection:
    """Return a new connection for an account."""
    tenant, environment, client_id, secret, *scope = account
    settings = NamedSettings(
        tenant=tenant,
        environment=environment,
        client_id=client_id,
        client_secret=keyturn.Secret(secret),
        scope=tuple(scope),
    )
    return keyturn.Connection(Named(issuer), settings, store=store)


class Crowd:
    """Threads that use the tokens of all accounts at once, and check each one that they get.

    Args:
        connect: Opens a connection to an account.
        renew_every: After how many calls a thread renews a token, by one of several methods.
    """

    def __init__(
        self, connect: Callable[[tuple[str, ...]], keyturn.Connection], renew_every: int
    ) -> None:
        self.connect = connect
        self.renew_every = renew_every
        self.calls: list[int] = []
        self.wrong: list[str] = []
        # Two connections to each account, for all threads.
        self.members = [(connect(account), named(*account)) for account in SWAPPED * 2]

    def run(self, threads: int, rounds: int) -> None:
        """Let each thread call `token` of every connection that many times in a row."""
        workers = [
            threading.Thread(target=self._work, args=(random.Random(number), rounds))  # noqa: S311 - no secret
            for number in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _work(self, chance: random.Random, rounds: int) -> None:
        mine = list(self.members)
        chance.shuffle(mine)
        for number in range(rounds):
            for connection, expected in mine:
                token = connection.token().access_token
                if not token.startswith(expected):
                    self.wrong.append(f"{token} for {expected}")
            if number % 10 == 0:
                for connection, expected in mine:
                    shown = connection.headers()["Authorization"]
                    if not shown.startswith(f"Bearer {expected}"):
                        self.wrong.append(f"{shown} for {expected}")
            if number % self.renew_every == 0:
                self._renew(mine, chance)
        self.calls.append(rounds * len(mine))

    def _renew(self, mine: list[tuple[keyturn.Connection, str]], chance: random.Random) -> None:
        place = chance.randrange(len(mine))
        connection, expected = mine[place]
        token = connection.token()
        way = chance.choice(["invalidate", "stale", "anew", "async"])
        try:
            if way == "invalidate":
                connection.invalidate(token)
            elif way == "stale":
                token = connection.token(stale=token)
            elif way == "async":
                connection.invalidate(token)
                token = asyncio.run(connection.atoken())
            else:
                account = next(each for each in SWAPPED if named(*each) == expected)
                mine[place] = self.connect(account), expected
                token = mine[place][0].token()
        except keyturn.errors.RateLimited:
            pass  # a token that is rejected again and again is not replaced
        if not token.access_token.startswith(expected):
            self.wrong.append(f"{token.access_token} for {expected}, {way}")


@pytest.fixture
def impatient() -> Iterator[None]:
    """Switch between threads ten times as often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 10)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("impatient")
def test_accounts_with_swapped_settings_never_share_a_token_in_a_million_calls(
    issuer: RawServer,
) -> None:
    """Under load, one customer would act in the name of another."""
    store = keyturn.stores.from_url("memory://")
    crowd = Crowd(lambda account: opened(account, issuer, store), renew_every=75)
    crowd.run(threads=4, rounds=16_000)

    assert crowd.wrong == []
    assert sum(crowd.calls) >= 1_000_000
    assert len(issuer.received) >= 100


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("encrypted", [False, True], ids=["disk", "encrypted disk"])
def test_accounts_with_swapped_settings_never_share_a_token_on_disk(
    issuer: RawServer, tmp_path: Path, encrypted: bool
) -> None:
    """A process could read another account's token from a shared store."""
    disk = keyturn.stores.from_url(f"disk://{tmp_path}/tokens")
    store = EncryptedStore(disk, EncryptedStore.generate_key()) if encrypted else disk
    crowd = Crowd(lambda account: opened(account, issuer, store), renew_every=20)
    crowd.run(threads=4, rounds=400)

    assert crowd.wrong == []
    assert sum(crowd.calls) == 4 * 400 * 16
    assert len(issuer.received) >= 20


def test_each_account_starts_with_its_own_token(issuer: RawServer) -> None:
    """The tests above would also pass if all accounts had the same token."""
    store = keyturn.stores.from_url("memory://")
    tokens = {opened(account, issuer, store).token().access_token for account in SWAPPED * 2}

    assert len(tokens) == len(SWAPPED)
    assert len(issuer.received) == len(SWAPPED)
