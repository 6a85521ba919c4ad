"""The quick way of `keyturn token NAME`: the same response as the ordinary way, for less."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn import _config as config
from keyturn._cli import quick as _quick
from keyturn._cli.parser import make_parser
from keyturn._tokens import lifetime

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from keyturn.testing import Emulator

    from .conftest import User

SECRET = "s3cret-for-tests"
SLOW = ["argparse", "attr", "cattrs", "diskcache", "httpx", "importlib.metadata", "logging"]
SLOW += ["pathlib", "platformdirs", "pluggy", "ssl", "tomllib", "typing"]


def test_second_process_imports_hardly_anything(user: User, run_python: Callable[..., str]) -> None:
    """Every token in a shell's loop would take four times as long."""
    code = f"""
import sys
before = set(sys.modules)  # what measures the tests' coverage imports some of them
from keyturn._cli import main
assert main(["token", "shop"]) == 0
print(sorted(set({SLOW}) & (set(sys.modules) - before)))
"""
    token, _ = run_python(code).splitlines()

    assert run_python(code).splitlines() == [token, "[]"]
    assert user.token() == token


@pytest.mark.parametrize("form", ["token", "header", "json"])
def test_both_ways_print_the_same(user: User, emulator: Emulator, form: str) -> None:
    """A script would see another response the second time."""
    options = ("--format", form, "--config", str(user.config))
    ordinary = user.token(*options)
    with user.patch.context() as patch:
        patch.setattr("keyturn._cli.commands.run", pytest.fail)
        quick = user.token(*options)

    assert quick == ordinary
    assert quick == user.token("-v", *options)
    assert emulator.token_requests("orocommerce") == 1


@pytest.mark.parametrize("form", ["env", "exec-credential"])
def test_other_formats_have_no_quick_way(user: User, form: str) -> None:
    """They tell what only the provider knows."""
    user.token("--format", form)

    assert user.quick("--format", form) is None
    assert user.notes == []


def test_note_is_private_and_tells_no_secret(user: User) -> None:
    """Whoever gets hold of a backup of the cache would get a secret with it."""
    token = user.token()
    (note,) = user.notes

    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert stat.S_IMODE(note.parent.stat().st_mode) == 0o700
    assert token not in note.read_text()
    assert os.environ["SHOP_SECRET"] not in note.read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('env = "SHOP_SECRET"', 'command = ["printenv", "SHOP_SECRET"]'),
        ('env = "SHOP_SECRET"', 'file = "~root/..{home}/secret"'),
        ("[connections.shop]", 'store_key = "{key}"\n[connections.shop]'),
        ("[connections.shop]", 'store = "memory://"\n[connections.shop]'),
    ],
    ids=["command", "another user's home", "encrypted", "memory"],
)
def test_no_note_where_the_response_could_change_unseen(user: User, old: str, new: str) -> None:
    """A rotated secret would be overlooked, or a token come from elsewhere than the store."""
    (user.home / "secret").write_text(os.environ["SHOP_SECRET"])
    user.reconfigure(old, new.replace("{home}", str(user.home)).replace("{key}", "A" * 43))

    user.token()

    assert user.notes == []


def test_no_note_where_there_is_a_warning(
    user: User, emulator: Emulator, configure: Callable[..., Path]
) -> None:
    """Told only once, it would be taken for settled."""
    settings = emulator.settings("commercelayer", kind="sales_channel", market=None)
    settings.pop("market")
    configure(shop={"provider": "commercelayer", **settings})

    first, second = user.run("token", "shop"), user.run("token", "shop")

    assert "set market" in first.err
    assert (second.out, second.err) == (first.out, first.err)
    assert user.notes == []


def test_no_note_about_a_token_that_is_stale_already(user: User) -> None:
    """Those who use it would not renew it."""
    user.token()
    user.notes[0].unlink()
    user.write_entry(issued_at=time.time() - 3500, expires_at=time.time() + 100)

    user.token()

    assert user.notes == []


def test_note_ends_before_any_process_renews(user: User) -> None:
    """Those who use it would go on with a token that the others have renewed."""
    user.token()
    note = json.loads(user.notes[0].read_text().partition("\n")[0])
    plan = lifetime.plan(note["fresh_from"], note["fresh_from"] + 3600)

    assert note["fresh_until"] == pytest.approx(plan.renew_at, abs=1)


def test_no_note_about_a_token_that_another_process_has_replaced(user: User) -> None:
    """It would prove a response that was never given."""
    renewed = user.token()
    user.patch.setattr("keyturn._cli.tokens._FORMATS", {"token": lambda *_: "replaced"})
    user.notes[0].unlink()

    assert user.token() == "replaced"
    assert renewed != "replaced"
    assert user.notes == []


def rotate(user: User) -> None:
    """Let the secret be another."""
    user.patch.setenv("SHOP_SECRET", SECRET)


def move_secret(user: User) -> None:
    """Let the same secret be in a file."""
    user.reconfigure('env = "SHOP_SECRET"', 'file = "~/secret"')


@pytest.mark.parametrize("change", [rotate, move_secret])
@pytest.mark.parametrize("undo", [False, True])
def test_change_while_the_command_runs_leaves_no_note(
    user: User, change: Callable[[User], None], *, undo: bool
) -> None:
    """The note would promise the old secret's token to whoever has the new one."""
    read, before = config.read, (user.config.read_text(), os.environ["SHOP_SECRET"])
    (user.home / "secret").write_text(before[1])
    calls: list[None] = []

    def read_and_change(given: Any = None) -> config.Configuration:
        calls.append(None)
        if len(calls) == 1:
            found = read(given)
            change(user)
            return found
        if undo:
            user.config.write_text(before[0])
            user.patch.setenv("SHOP_SECRET", before[1])
        return read(given)

    user.patch.setattr("keyturn._cli.output.configuration", lambda given: read(given.config))
    user.patch.setattr("keyturn._config.read", read_and_change)

    user.token()

    assert len(calls) == 2
    assert user.notes == []


def test_note_that_can_not_be_left_costs_nothing(user: User) -> None:
    """A strange cache directory would be an error, though the token is there."""
    user.cache.mkdir(parents=True, mode=0o700)
    (user.cache / "notes").write_text("")

    user.token()

    assert "there is no quick way to shop" in user.run("-v", "token", "shop").err


def test_notes_of_ended_tokens_are_removed(user: User) -> None:
    """A script with a new configuration file each time would fill the disk."""
    user.token()
    (ended,) = user.notes
    assert ended.stat().st_mtime > time.time() + 3000
    os.utime(ended, (1, 1))

    user.token("--config", str(user.config))

    assert len(user.notes) == 1
    assert user.notes != [ended]


def test_key_in_its_file_serves(user: User, run_python: Callable[..., str]) -> None:
    """Nearly nobody sets KEYTURN_FINGERPRINT_KEY, and nothing would be quick for them."""
    command = "import sys; from keyturn._cli import main; sys.exit(main(['token', 'shop']))"
    quick = "from keyturn._cli import _quick; print(_quick.response(['token', 'shop']))"
    token = run_python(command, KEYTURN_FINGERPRINT_KEY=None)

    assert run_python(quick, KEYTURN_FINGERPRINT_KEY=None) == token
    assert run_python(quick, KEYTURN_FINGERPRINT_KEY=None, HOME=str(user.home / "x")) == "None"


@pytest.mark.parametrize("variables", [{}, {"XDG_CACHE_HOME": "/x", "XDG_DATA_HOME": "/y/"}])
def test_directories_are_those_of_platformdirs(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """The key would be looked for where nobody has put it."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = [_quick._user_directory(f"XDG_{kind}_HOME") for kind in ("CACHE", "DATA")]  # noqa: SLF001 - no other way to see it

    assert [Path(each) for each in found] == [
        Path(platformdirs.user_cache_dir("keyturn")),
        Path(platformdirs.user_data_dir("keyturn")),
    ]


WORDS = ["token", "shop", "--format", "--config", "--format=json", "--config=x", "json", "env"]
WORDS += ["--renew", "-v", "--", "-x", "", "--form", "header", "--config="]


@given(st.lists(st.sampled_from(WORDS), max_size=7))
def test_what_is_quick_means_the_same_to_the_parser(arguments: list[str]) -> None:
    """The quick way would response another question than the one that was asked."""
    question = _quick.as_question(arguments)
    if question is None:
        return

    parsed = make_parser().parse_args(arguments)

    assert (parsed.name, parsed.format, parsed.config) == question
    assert (parsed.command, parsed.renew, parsed.verbose) == ("_tokens:token", False, False)


@pytest.mark.parametrize(
    "arguments",
    [
        "token shop",
        "token --format json shop",
        "token shop --format=header --config=x",
        "--config x token shop --format token",
    ],
)
def test_usual_words_have_a_quick_way(arguments: str) -> None:
    """People write options before the name and after it."""
    assert _quick.as_question(arguments.split()) is not None


@pytest.mark.parametrize(
    "arguments",
    [
        "--format json token shop",
        "token shop --format env",
        "token shop --format xml --format json",
        "token shop --renew",
        "-v token shop",
        "token",
        "token shop --config",
        "token shop shop",
        "revoke shop",
    ],
)
def test_other_words_have_none(arguments: str) -> None:
    """Wrong usage would be answered, or another command than this."""
    assert _quick.as_question(arguments.split()) is None


def test_note_is_never_put_into_the_working_directory(user: User) -> None:
    """A home that is not absolute would leave notes wherever the command is run."""
    user.patch.setenv("KEYTURN_STORE", f"disk://{user.home}/store")
    user.patch.chdir(user.home)
    user.patch.setenv("HOME", "relative")

    user.token()

    assert "no quick way to shop (Doubt)" in user.run("-v", "token", "shop").err
    assert not (user.home / "relative").exists()


def test_reader_that_has_enough_is_no_failure_to_talk_of(
    user: User, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """A broken pipe is everyday use, on the quick way too."""
    first = start("token", "shop")
    token, _ = first.communicate(timeout=30)
    process = start("token", "shop")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None

    assert process.stderr.read() == ""
    assert process.wait(30) == 1
    assert user.token() + "\n" == token
