"""What keeps `keyturn token NAME` from the quick way: anything that is not as the note has it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import sys
import time
import types
from typing import TYPE_CHECKING

import pytest

from keyturn._cli import quick as _quick
from keyturn._tokens.keyfile import fingerprint_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyturn.testing import Emulator

    from .conftest import User

SECRET = "s3cret-for-tests"


def pipe_configuration(user: User) -> None:
    """Let the configuration come from a pipe, which can be read but once."""
    user.config.unlink()
    os.mkfifo(user.config)


def replace_module(user: User) -> None:
    """Edit a module of the provider, and keep its time of modification."""
    path = user.home / "provider.py"
    before = path.stat()
    path.write_text("x = 2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def plant_entry(user: User) -> None:
    """Plant another token in the entry, fingerprint and all."""
    user.write_entry(access_token="planted")


def move(path: Path, place: Path) -> None:
    """Put a symbolic link in the place of a file or directory."""
    path.symlink_to(path.rename(place))


def rewrite_note(user: User, change: Callable[[str, str], str]) -> None:
    """Change a note, given its line and its seal."""
    (note,) = user.notes
    line, _, seal = note.read_text().partition("\n")
    note.write_text(change(line, seal))


def prolong_note(user: User) -> None:
    """Let a note be valid for longer."""

    def prolonged(line: str, seal: str) -> str:
        return json.dumps(json.loads(line) | {"fresh_until": 1e12}) + "\n" + seal

    rewrite_note(user, prolonged)


def seal_with_another_key(user: User) -> None:
    """Seal a note as another user would."""
    rewrite_note(user, lambda line, _: _quick.sealed(json.loads(line), b"x" * 32))


def seal_with_another_hash(user: User) -> None:
    """Seal a note with a hash of the same key that was made for an entry."""
    rewrite_note(user, lambda line, _: f"{line}\n{_quick.digest(fingerprint_key(), 'entry', line)}")


def pipe_note(user: User) -> None:
    """Put a pipe in the place of a note: to wait for a writer would be to wait for ever."""
    (note,) = user.notes
    note.unlink()
    os.mkfifo(note, 0o600)


def become_another_user(user: User) -> None:
    """Let everything belong to another user."""
    euid = os.geteuid()
    user.patch.setattr(os, "geteuid", lambda: euid + 1)


DOUBTS: dict[str, Callable[[User], object]] = {
    "secret rotated": lambda user: user.patch.setenv("SHOP_SECRET", SECRET),
    "secret gone": lambda user: user.patch.delenv("SHOP_SECRET"),
    "setting overridden": lambda user: user.patch.setenv(
        "KEYTURN_CONNECTIONS__SHOP__SIDE", "storefront"
    ),
    "another store": lambda user: user.patch.setenv("KEYTURN_STORE", "memory://"),
    "another directory": lambda user: user.patch.setenv("XDG_CONFIG_HOME", "/x"),
    "another key": lambda user: user.patch.setenv("KEYTURN_FINGERPRINT_KEY", "another-made-up-key"),
    "no home": lambda user: user.patch.delenv("HOME"),
    "relative home": lambda user: user.patch.setenv("HOME", "x"),
    "configuration changed": lambda user: user.configure_more("margin = 10"),
    "configuration huge": lambda user: user.configure_more(f"# {'x' * 1024 * 1024}"),
    "configuration open": lambda user: user.config.chmod(0o644),
    "configuration gone": lambda user: user.config.unlink(),
    "configuration from a pipe": pipe_configuration,
    "distribution installed": lambda user: (user.home / "site" / "acme.dist-info").mkdir(),
    "imports from elsewhere": lambda user: user.patch.syspath_prepend(str(user.home)),
    "provider's code changed": replace_module,
    "entry forgotten": lambda user: user.run("forget", "shop"),
    "entry planted": plant_entry,
    "row of a pickle": lambda user: user.write_columns(mode=4),
    "row with a raw key": lambda user: user.write_columns(raw=0),
    "row with a file": lambda user: user.write_columns(filename="/etc/passwd"),
    "row without an end": lambda user: user.write_columns(tag="text"),
    "row that ended": lambda user: user.write_columns(tag=1.0),
    "row that ends by diskcache's clock": lambda user: user.write_columns(expire_time=1e12),
    "row of bytes": lambda user: user.write_columns(value=b"x"),
    "row too long": lambda user: user.write_columns(value="x" * 2 * 1024 * 1024),
    "database gone": lambda user: user.database.unlink(),
    "database destroyed": lambda user: user.database.write_bytes(b"x" * 8192),
    "database empty": lambda user: user.database.write_bytes(b""),
    "database a link": lambda user: move(user.database, user.home / "elsewhere"),
    "database open": lambda user: user.database.chmod(0o640),
    "store a link": lambda user: move(user.cache, user.home / "elsewhere"),
    "store open": lambda user: user.cache.chmod(0o755),
    "note gone": lambda user: user.notes[0].unlink(),
    "note empty": lambda user: user.notes[0].write_text(""),
    "note prolonged": prolong_note,
    "note sealed with another key": seal_with_another_key,
    "note sealed with another hash": seal_with_another_hash,
    "note a link": lambda user: move(user.notes[0], user.home / "elsewhere"),
    "note a pipe": pipe_note,
    "note open": lambda user: user.notes[0].chmod(0o622),
    "notes a link": lambda user: move(user.notes[0].parent, user.home / "elsewhere"),
    "notes open": lambda user: user.notes[0].parent.chmod(0o711),
    "another user's": become_another_user,
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_doubt_leads_to_the_ordinary_way(user: User, doubt: str) -> None:
    """A token would come out that the ordinary way would not give, or one that was planted."""
    (user.home / "site").mkdir()
    user.patch.syspath_prepend(str(user.home / "site"))
    module = types.ModuleType("keyturn_orocommerce.made_up")
    module.__file__ = str(user.home / "provider.py")
    (user.home / "provider.py").write_text("x = 1")
    user.patch.setitem(sys.modules, module.__name__, module)
    user.token()
    assert user.quick() is not None

    DOUBTS[doubt](user)

    assert user.quick() is None


def test_what_does_not_matter_is_no_doubt(user: User) -> None:
    """Where a shell stands, and what else it has set, has nothing to do with a token."""
    token = user.token()
    user.patch.chdir(user.home)
    user.patch.setenv("COLUMNS", "80")
    os.utime(user.config)

    assert user.quick() == token


def test_note_of_one_connection_is_none_of_another(
    user: User, emulator: Emulator, configure: Callable[..., Path]
) -> None:
    """A copied note would give the token of another account."""
    settings = {"provider": "orocommerce", **emulator.settings("orocommerce")}
    configure(shop=settings, other=settings | {"side": "storefront"})
    shop = user.token()
    (note,) = user.notes
    other = user.token(name="other")
    (other_note,) = set(user.notes) - {note}
    assert (user.quick(), user.quick(name="other")) == (shop, other)

    shutil.copy(note, other_note)

    assert (user.quick(), user.quick(name="other")) == (shop, None)


@pytest.mark.parametrize(
    ("seconds", "is_quick"), [(0, True), (3200, True), (3400, False), (3700, False), (-30, False)]
)
def test_token_that_is_not_fresh_is_for_the_ordinary_way(
    user: User, seconds: float, *, is_quick: bool
) -> None:
    """It would never be renewed ahead of its end; or one that ended would come out."""
    user.token()
    issued_at = time.time()
    user.patch.setattr(time, "time", lambda: issued_at + seconds)

    assert (user.quick() is not None) == is_quick


def test_busy_database_is_for_the_ordinary_way(user: User) -> None:
    """Its patience is longer, and it can mend what a killed writer has left."""
    token = user.token()
    with contextlib.closing(sqlite3.connect(user.database, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert user.quick() is None

    assert user.quick() == token


def test_rotated_secret_in_a_file_is_seen_at_once(user: User, emulator: Emulator) -> None:
    """The old secret's token would be given until it ends."""
    secret = user.home / "secret"
    secret.write_text(os.environ["SHOP_SECRET"])
    user.reconfigure('env = "SHOP_SECRET"', 'file = "~/secret"')
    first = user.token()
    assert user.quick() == first

    secret.write_text(SECRET)

    assert user.quick() is None
    assert user.run("token", "shop").code == 3
    secret.write_text(os.environ["SHOP_SECRET"])
    assert user.token() == first
    assert emulator.token_requests("orocommerce") == 2


def test_revoked_token_does_not_come_out(
    user: User, emulator: Emulator, configure: Callable[..., Path]
) -> None:
    """After a leak the revoked token would go on being handed out."""
    configure(shop={"provider": "commercelayer", **emulator.settings("commercelayer")})
    first = user.token()
    assert user.quick() == first

    assert user.run("revoke", "shop").code == 0

    assert user.quick() is None
    assert user.token() != first


def test_renewal_leaves_a_new_note(user: User) -> None:
    """The first renewal would be the end of the quick way, or the old token would come out."""
    first = user.token()
    renewed = user.token("--renew")

    assert renewed != first
    assert user.quick() == renewed
    assert len(user.notes) == 1
