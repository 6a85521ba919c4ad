"""keyturn on a Python that lacks a module or a function: it works, or names what is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import RawServer

# Removes modules and functions before keyturn is imported.
WITHOUT = """
import hashlib, hmac, json, os, signal, sys, time

modules, functions, url, place = json.loads(sys.argv[1])

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for name in [name for name in sys.modules if name.split(".")[0].strip("_") in {
        each.strip("_") for each in modules}]:
    del sys.modules[name]
for name in functions:
    module, _, function = name.partition(".")
    delattr(sys.modules[module], function)

import logging
import keyturn
logging.basicConfig(format="%(message)s")
settings = {"kind": "integration", "token_url": url, "client_id": "a", "client_secret": "b"}

def token(store):
    with keyturn.connect("commercelayer", settings, store=store) as connection:
        return connection.token().access_token
"""
SQLITE = """
for name, value in settings.items():
    os.environ[f"KEYTURN_CONNECTIONS__SHOP__{name.upper()}"] = value
os.environ["KEYTURN_CONNECTIONS__SHOP__PROVIDER"] = "commercelayer"
with keyturn.load_connection("shop") as first, keyturn.load_connection("shop") as second:
    found = [token("memory://"), first.token().access_token, second.token().access_token]
try:
    token(f"disk://{place}")
except keyturn.errors.ConfigurationError as error:
    found.append(str(error))
print(json.dumps(found))
"""
WINDOWS = """
print(json.dumps([token(f"disk://{place}"), token(f"disk://{place}"), token("memory://")]))
"""
FIPS = """
def approved(name):
    return name.lower().replace("-", "").replace("_", "") in {
        "sha224", "sha256", "sha384", "sha512", "sha3224", "sha3256", "sha3384", "sha3512"}

def only_approved(new):
    def wrapped(name, *args, **kwargs):
        if not (isinstance(name, str) and approved(name) or kwargs.get("usedforsecurity") is False):
            raise ValueError(f"[digital envelope routines] unsupported: {name}")
        return new(name, *args, **kwargs)
    return wrapped

def forbidden(*_, **__):
    raise ValueError("[digital envelope routines] unsupported")

import _blake2, _hashlib, _md5, _sha1, random
hashlib.new = only_approved(hashlib.new)
_hashlib.new = only_approved(_hashlib.new)
for module, names in ((hashlib, ("md5", "sha1", "blake2b", "blake2s")), (_blake2, (
        "blake2b", "blake2s")), (_md5, ("md5",)), (_sha1, ("sha1",)), (_hashlib, (
        "openssl_md5", "openssl_sha1"))):
    for name in names:
        setattr(module, name, forbidden)
"""


@pytest.fixture
def run(
    serve: Callable[..., RawServer],
    token_response: bytes,
    new_python: Callable[..., Any],
    tmp_path: Any,
) -> Callable[..., tuple[Any, str, int]]:
    """Return a function that runs code; it returns the result, the log and the token requests."""

    def run_code(
        code: str,
        *,
        modules: tuple[str, ...] = (),
        functions: tuple[str, ...] = (),
        first: str = "",
    ) -> tuple[Any, str, int]:
        server = serve(token_response)
        given = json.dumps([modules, functions, server.url, str(tmp_path / "store")])
        begin = WITHOUT.replace("import logging\n", first + "import logging\n", 1)
        process = new_python(begin + code, given, KEYTURN_STORE=None, HOME=str(tmp_path))
        output, trouble = process.communicate(timeout=40)
        assert process.returncode == 0, trouble
        return json.loads(output), trouble, len(server.received)

    return run_code


def test_python_without_sqlite_keeps_tokens_in_memory(
    run: Callable[..., tuple[Any, str, int]],
) -> None:
    """A Python without sqlite3 would get no token, or a ModuleNotFoundError."""
    (*tokens, problem), log, _ = run(SQLITE, modules=("_sqlite3",))

    assert tokens == ["t0ken"] * 3
    assert "the module _sqlite3 is missing" in problem
    assert "use memory:// or redis://" in problem
    assert log.count("\n") == 1
    assert "_sqlite3" in log
    assert "KEYTURN_STORE" in log


def test_system_without_fcntl_and_fork_hooks_keeps_tokens_on_disk(
    run: Callable[..., tuple[Any, str, int]],
) -> None:
    """On Windows, no token would be issued, or no store would be shared between processes."""
    tokens, log, requests = run(
        WINDOWS,
        modules=("fcntl", "pwd", "grp", "resource"),
        functions=(
            *("os.register_at_fork", "os.geteuid", "os.getuid", "os.O_NOFOLLOW", "os.fork"),
            *("time.clock_gettime", "time.CLOCK_BOOTTIME", "time.CLOCK_MONOTONIC"),
            *("signal.pthread_sigmask", "signal.sigwait", "signal.SIGKILL"),
        ),
    )

    assert (tokens, log, requests) == (["t0ken"] * 3, "", 2)


def test_host_in_fips_mode_gets_a_token(run: Callable[..., tuple[Any, str, int]]) -> None:
    """A hash that FIPS 140 doesn't approve would fail each token request, or each import."""
    tokens, log, requests = run(WINDOWS, first=FIPS)

    assert (tokens, log, requests) == (["t0ken"] * 3, "", 2)
