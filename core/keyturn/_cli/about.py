"""The commands about keyturn itself, and what every help ends with: details and examples."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from keyturn import errors
from keyturn._http.error_codes import OAUTH_CODES

if TYPE_CHECKING:
    import argparse

_REFERENCE: Final = "https://keyturn.github.io/keyturn/reference"
DOCUMENTATION: Final = f"{_REFERENCE}/command-line.html"
_EXIT_CODES: Final = """
exit codes: 0 done, 2 usage or configuration, 3 credentials or scope refused, 4 rate limited,
5 endpoint or network, 130 interrupted, 1 any other failure
"""


class About(NamedTuple):
    """What a user has to know about a command besides its arguments.

    Args:
        details: Sentences.
        examples: Command lines; some are for a connection that is named shop.
    """

    details: str
    examples: tuple[str, ...]


KEYTURN: Final = About(
    "", ("keyturn init", "keyturn check", "keyturn token shop", "keyturn help token")
)
ABOUT: Final = {
    "init": About(
        "It asks as keyturn connections add does, for a first connection, and creates the "
        "configuration file.",
        ("keyturn init", "keyturn init shop orocommerce"),
    ),
    "connections add": About(
        "At a terminal it asks for what is not given: each setting by its title and description, "
        "secrets hidden. A secret goes into the system's keyring, or into a file of this user "
        "alone; the configuration refers to it. A token is requested before the file is changed. "
        "Comments and formatting stay.",
        (
            "keyturn connections add shop",
            (
                "keyturn connections add shop orocommerce --set url=https://shop.example"
                " --set client_id=made-up --secret-env client_secret=SHOP_SECRET"
            ),
        ),
    ),
    "connections list": About(
        "No provider is imported and no secret read.",
        ("keyturn connections list", "keyturn connections list --format json"),
    ),
    "connections remove": About(
        "At a terminal it asks whether to. The secrets that keyturn keeps for the connection are "
        "deleted too. Comments and formatting of the rest stay. To end its token as well, run "
        "keyturn revoke before.",
        ("keyturn connections remove shop", "keyturn connections remove shop --yes"),
    ),
    "config path": About(
        "It is the path of --config, else of KEYTURN_CONFIG, else in the user's directory.",
        ("keyturn config path", '${EDITOR:-vi} "$(keyturn config path)"'),
    ),
    "config show": About(
        "The source is the file, an environment variable, or the default. No secret is shown, and "
        "none is read: only the reference to it.",
        ("keyturn config show", "keyturn config show shop --format json"),
    ),
    "check": About(
        "All connections are checked at the same time. The exit code is the highest of them. With "
        "JSON, message and hint say what failed.",
        ("keyturn check", "keyturn check shop --format json"),
    ),
    "status": About(
        "The state is fresh, stale (valid, and about to be renewed), none, or an error response "
        "that is cached.",
        ("keyturn status", "keyturn status --format json"),
    ),
    "doctor": About(
        "It examines Python, the system, plugins, the configuration, the stores, each connection "
        "and whether its token endpoint can be connected to. It resolves secret references, a "
        "command too, and shows no secret.",
        ("keyturn doctor", "keyturn doctor --format json"),
    ),
    "token": About(
        "Standard output has the token alone, in the format that you choose.",
        (
            "keyturn token shop",
            "keyturn token shop --format headers | curl --header @- https://shop.example/api",
            'eval "$(keyturn token shop --format env)"',
        ),
    ),
    "explain": About(
        "It shows what is sent where, why, and what came back.", ("keyturn explain shop",)
    ),
    "request": About(
        "Standard output has the response's body. An HTTP status of 400 or more gives exit code 1.",
        (
            "keyturn request shop GET /users",
            "keyturn request shop POST /users --data @user.json",
            "keyturn request shop POST /users --data '{\"data\": {}}'",
        ),
    ),
    "serve": About(
        "It runs until it is interrupted, on 127.0.0.1 or on a Unix socket. It prints its address, "
        "with a new session secret in it unless a file or KEYTURN_SERVE_SECRET has one.",
        ("keyturn serve --port 8080", "keyturn serve --socket /run/user/1000/keyturn.sock"),
    ),
    "revoke": About("The token is also forgotten on this side.", ("keyturn revoke shop",)),
    "forget": About(
        "A cached error response is forgotten too. With --rate-limits also what the store counts "
        "for the token endpoint: the rate limit, the pause that the server asked for, and refused "
        "requests and tokens; for all connections to that host which share the store.",
        ("keyturn forget shop", "keyturn forget shop --rate-limits"),
    ),
    "providers": About("None of them is imported.", ("keyturn providers",)),
    "plugins": About(
        "None of them is imported. The state is ok, conflict, ignored, disabled, too new, too old "
        "or failed, as far as it shows so.",
        ("keyturn plugins", "keyturn plugins --json"),
    ),
    "schema": About(
        "Forms and editors are made from it.",
        ("keyturn schema orocommerce", "keyturn schema ./acme.toml"),
    ),
    "new-provider": About(
        "It overwrites no file.", ("keyturn new-provider acme", "keyturn new-provider acme --data")
    ),
    "verify": About(
        "The checks use an endpoint of their own on loopback. The exit code is 1 when one fails.",
        ("keyturn verify orocommerce", "keyturn verify ./acme.toml tenant=blue"),
    ),
    "demo": About("It needs no configuration, and takes a few seconds.", ("keyturn demo",)),
    "emulate": About(
        "It listens on four ports until it is interrupted. It prints a keyturn.toml for them, or "
        "writes it to a file.",
        (
            "keyturn emulate --output emulator.toml",
            "keyturn emulate --port 9000 --lifetime 60 --stable",
        ),
    ),
    "completion": About(
        "It completes commands, options, formats, and the names of configured connections and "
        "installed providers; nothing is sent.",
        (
            'eval "$(keyturn completion bash)"',
            'eval "$(keyturn completion zsh)"',
            "keyturn completion fish | source",
        ),
    ),
    "help": About("The same as --help after a command.", ("keyturn help", "keyturn help token")),
    "version": About("The same as keyturn --version.", ("keyturn version",)),
}


def help(arguments: argparse.Namespace) -> None:  # noqa: A001 - a command's function has its name
    """Print the help of keyturn, or of a command."""
    from keyturn._cli.parser import make_parser

    with contextlib.redirect_stdout(arguments.out):
        make_parser().parse_args([*arguments.words, "--help"])


def version(arguments: argparse.Namespace) -> None:
    """Print keyturn's version."""
    print(version_line(), file=arguments.out)


def version_line() -> str:
    """Return keyturn's name and version."""
    # importlib.metadata takes 40 ms to import: only when the version is asked for.
    from keyturn._plugins.discovery import own_release

    return f"keyturn {own_release()}"


def about(command: str) -> About:
    """Return what is to know about a command, about a group, or about keyturn ("")."""
    if command in ABOUT or not command:
        return ABOUT.get(command, KEYTURN)
    own = [each for name, each in ABOUT.items() if name.startswith(f"{command} ")]
    return About("", tuple(example for each in own for example in each.examples))


def error_page(error: errors.KeyturnError) -> str:
    """Return the address of the page about an error: about its OAuth code, or its class."""
    code = getattr(error, "error", None)
    has_code = type(error) is errors.TokenRequestRefused and code in OAUTH_CODES
    return f"{_REFERENCE}/errors/{code if has_code else type(error).__name__}.html"


def help_ending(command: str) -> str:
    """Return the examples of a command, "" for keyturn, and where its documentation is."""
    listed = "".join(f"  {example}\n" for example in about(command).examples)
    codes = "" if command else _EXIT_CODES
    section = f"#keyturn-{command.replace(' ', '-')}" if command else ""
    return f"\nexamples:\n{listed}{codes}\ndocumentation: {DOCUMENTATION}{section}\n"
