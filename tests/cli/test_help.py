"""Help, versions, and suggestions for misspelt names."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyturn import errors
from keyturn._cli.about import ABOUT, DOCUMENTATION, KEYTURN, error_page
from keyturn._cli.parser import make_parser
from keyturn._cli.table import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Result

    Keyturn = Callable[..., Result]


# Examples that ask questions, send requests to shop.example, run until they are interrupted, take
# long, or do what the emulator's OroCommerce does not support: other tests run these commands.
RUN_ELSEWHERE = (
    *("init", "connections add", "serve", "emulate", "demo", "verify"),
    *("request shop POST", "revoke"),
)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"


def section(command: str) -> str:
    """Return the anchor of the section about a command, and "" if the page has none."""
    has_section = f"\n### keyturn {command}\n" in PAGE.read_text("utf-8")
    return f"#keyturn-{command.replace(' ', '-')}" if has_section else ""


def test_keyturn_alone_prints_its_help(keyturn: Keyturn) -> None:
    """A new user who types the name alone would see an error."""
    alone = keyturn()

    assert (alone.code, alone.err) == (0, "")
    assert alone.out == keyturn("help").out == keyturn("--help").out
    assert "\n    token " in alone.out
    assert keyturn("version").out == keyturn("--version").out


@pytest.mark.parametrize("name", [name for name, each in COMMANDS.items() if each.summary])
def test_help_of_each_command_describes_everything(keyturn: Keyturn, name: str) -> None:
    """A user would have to guess the meaning of an argument, and the syntax of the command."""
    found = keyturn("help", *name.split())

    assert (found.code, found.err) == (0, "")
    assert found.out == keyturn(*name.split(), "--help").out
    assert found.out.endswith(f"\ndocumentation: {DOCUMENTATION}{section(name)}\n")
    assert f"keyturn {name}" in found.out.partition("\nexamples:\n")[2]
    assert all(options["help"] for options in COMMANDS[name].arguments.values())


def test_documentation_address_is_the_one_in_the_metadata() -> None:
    """A user would be sent to an outdated address."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))

    assert DOCUMENTATION.startswith(project["project"]["urls"]["Documentation"])


@pytest.mark.parametrize(
    ("error", "page"),
    [
        (errors.RateLimited("x", retry_after=1.0), "RateLimited"),
        (errors.ConfigurationError("x"), "ConfigurationError"),
        (errors.InvalidClient("x", error="invalid_client"), "InvalidClient"),
        (errors.TokenRequestRefused("x", error="invalid_grant"), "invalid_grant"),
        (errors.TokenRequestRefused("x", error="of-its-own"), "TokenRequestRefused"),
    ],
)
def test_error_has_the_address_of_its_page(error: errors.KeyturnError, page: str) -> None:
    """The address in a message would lead to a missing page, or to another error."""
    address = error_page(error)

    assert address == f"{DOCUMENTATION.rpartition('/')[0]}/errors/{page}.html"
    assert (Path(__file__).parents[2] / f"docs/reference/errors/{page}.md").is_file()


def examples() -> Iterator[list[str]]:
    """Yield the arguments of keyturn in each example."""
    for each in (KEYTURN, *ABOUT.values()):
        for example in each.examples:
            (own,) = re.findall(r'(?:^|\$\()(keyturn (?:(?! \| |\)").)*)', example)
            yield shlex.split(own)[1:]


def test_each_example_is_one_that_keyturn_takes() -> None:
    """A user would copy an example that fails."""
    for words in examples():
        assert make_parser().parse_args(words).command


def test_each_example_that_ends_by_itself_succeeds(
    shop: Path, keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As above, for what the arguments alone do not show, such as a file's format."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user.json").write_text('{"data": {"type": "users"}}')
    keyturn("new-provider", "acme", "--data")
    shutil.copy("keyturn-acme/src/keyturn_acme/acme.toml", tmp_path)
    written = shop.read_text("utf-8")
    failed = {}
    for words in examples():
        if " ".join(words).startswith(RUN_ELSEWHERE):
            continue
        shop.write_text(written, "utf-8")
        shutil.rmtree("keyturn-acme", ignore_errors=True)
        result = keyturn(*words)
        if result.code:
            failed[" ".join(words)] = result.out + result.err

    assert failed == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["connections", "ad"], "unknown command 'ad'. Did you mean add?"),
        (["tokn"], "unknown command 'tokn'. Did you mean token?"),
        (["xyz"], "unknown command 'xyz'. Run keyturn help for the commands."),
        (["help", "requst"], "unknown command 'requst'. Did you mean request?"),
        (["token", "shop", "--fromat=s3cret"], "unknown option --fromat. Did you mean --format?"),
        (["--cofig", "x", "token"], "unknown option --cofig. Did you mean --config?"),
        (["-x", "token"], "unknown option -x."),
        (["token", "shop", "--format", "jsn"], "invalid choice 'jsn'. Did you mean json?"),
        (["token", "shop", "--format", "x"], "invalid choice 'x'. Choose from token, header, "),
        (["token", "shop", "x\x1b"], "unexpected argument 'x\\x1b'."),
    ],
)
def test_misspelt_word_gets_a_suggestion(
    keyturn: Keyturn, arguments: list[str], message: str
) -> None:
    """A user would have to look up the right spelling."""
    result = keyturn(*arguments)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "s3cret" not in result.err
    command = arguments[0] if arguments[0] != "help" else ""
    assert result.err.endswith(f"\nkeyturn: See {DOCUMENTATION}{section(command)}\n")


def test_unambiguous_abbreviation_of_an_option_is_accepted(shop: Path, keyturn: Keyturn) -> None:
    """Existing scripts with shortened options would fail."""
    assert keyturn("--conf", str(shop), "-v", "token", "shop", "--form", "json").code == 0


def test_misspelt_variable_is_a_warning(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, shop: Path
) -> None:
    """A misspelt variable would be ignored silently; or another program's would cause a warning."""
    variables = {
        "KEYTURN_STOER": "memory://",
        "KEYTURN_CONECTIONS__SHOP__URL": "s3cret",
        "keyturn_config": str(shop),
        "KEYTURN_SOMETHING_ELSE": "x",
        "KEYTURN_CONNECTIONS__SHOP__MARGIN": "10",
        "KEYTURN_ACCESS_TOKEN": "s3cret",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    result = keyturn("token", "shop")

    assert result.code == 0
    assert sorted(result.err.splitlines()) == [
        (
            "keyturn: WARNING: keyturn does not read KEYTURN_CONECTIONS__SHOP__URL. Did you mean "
            "KEYTURN_CONNECTIONS__NAME__SETTING?"
        ),
        "keyturn: WARNING: keyturn does not read KEYTURN_STOER. Did you mean KEYTURN_STORE?",
        "keyturn: WARNING: keyturn does not read keyturn_config. Did you mean KEYTURN_CONFIG?",
    ]
