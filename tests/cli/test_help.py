"""Help, versions, and the names that are meant where one is misspelt."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyturn import errors
from keyturn._cli.about import ABOUT, DOCUMENTATION, KEYTURN, error_page
from keyturn._cli.parser import make_parser
from keyturn._cli.table import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Result

    Keyturn = Callable[..., Result]


def test_keyturn_alone_prints_its_help(keyturn: Keyturn) -> None:
    """A new user types the name alone, and would see an error."""
    alone = keyturn()

    assert (alone.code, alone.err) == (0, "")
    assert alone.out == keyturn("help").out == keyturn("--help").out
    assert "\n    token " in alone.out
    assert keyturn("version").out == keyturn("--version").out


@pytest.mark.parametrize("name", [name for name, each in COMMANDS.items() if each.summary])
def test_help_of_each_command_describes_everything(keyturn: Keyturn, name: str) -> None:
    """A user would have to guess what an argument means, and how the command is called."""
    found = keyturn("help", *name.split())

    assert (found.code, found.err) == (0, "")
    assert found.out == keyturn(*name.split(), "--help").out
    assert f"documentation: {DOCUMENTATION}#keyturn-" in found.out
    assert f"keyturn {name}" in found.out.partition("\nexamples:\n")[2]
    assert all(options["help"] for options in COMMANDS[name].arguments.values())


def test_documentation_is_where_the_distribution_says() -> None:
    """A user would be sent to an address of an older site."""
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
    """A user who follows the address would find nothing, or another error."""
    address = error_page(error)

    assert address == f"{DOCUMENTATION.rpartition('/')[0]}/errors/{page}.html"
    assert (Path(__file__).parents[2] / f"docs/reference/errors/{page}.md").is_file()


def test_each_example_is_one_that_keyturn_takes() -> None:
    """A user would copy an example that fails."""
    for each in (KEYTURN, *ABOUT.values()):
        for example in each.examples:
            (own,) = re.findall(r'(?:^|\$\()(keyturn (?:(?! \| |\)").)*)', example)
            words = own.replace("'{\"data\": {}}'", "{}").replace("'", "").split()[1:]
            assert make_parser().parse_args(words).command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
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
def test_what_is_meant_is_named(keyturn: Keyturn, arguments: list[str], message: str) -> None:
    """A user would have to look up what the misspelt word should be."""
    result = keyturn(*arguments)

    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "s3cret" not in result.err


def test_options_may_be_shortened_as_long_as_they_are_clear(shop: Path, keyturn: Keyturn) -> None:
    """A check for misspelt options would reject what worked before."""
    assert keyturn("--conf", str(shop), "-v", "token", "shop", "--form", "json").code == 0


def test_misspelt_variable_is_a_warning(
    keyturn: Keyturn, monkeypatch: pytest.MonkeyPatch, shop: Path
) -> None:
    """A store that is misspelt is not used, and nothing shows it; another program's is fine."""
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
