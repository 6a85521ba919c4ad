"""The commands about keyturn itself, and the details and examples of every help text."""

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
    """The details of a command besides its arguments.

    Args:
        details: Sentences.
        examples: Command lines; some use a connection with the name shop.
    """

    details: str
    examples: tuple[str, ...]


KEYTURN: Final = About(
    "", ("keyturn init", "keyturn check", "keyturn token shop", "keyturn help token")
)
ABOUT: Final = {
    "init": About(
        "It asks the same questions as keyturn connections add, and creates the configuration "
        "file.",
        ("keyturn init", "keyturn init shop orocommerce"),
    ),
    "connections add": About(
        "At a terminal, it asks for each missing setting by its title and description, and hides "
        "secrets. It stores a secret in the system's keyring, or in a file that only this user "
        "can read, and writes a reference into the configuration. It requests a token before it "
        "changes the file. It keeps comments and formatting.",
        (
            "keyturn connections add shop",
            (
                "keyturn connections add shop orocommerce --set url=https://shop.example"
                " --set client_id=made-up --secret-env client_secret=SHOP_SECRET"
            ),
        ),
    ),
    "connections list": About(
        "It imports no provider and reads no secret.",
        ("keyturn connections list", "keyturn connections list --format json"),
    ),
    "connections remove": About(
        "At a terminal, it asks for confirmation. It also deletes the secrets that keyturn "
        "stored for the connection. It keeps comments and formatting of the rest. To revoke the "
        "token as well, run keyturn revoke first.",
        ("keyturn connections remove shop", "keyturn connections remove shop --yes"),
    ),
    "config path": About(
        "The path comes from --config, else from KEYTURN_CONFIG, else it is in the user's "
        "configuration directory. The file need not exist.",
        ("keyturn config path", '${EDITOR:-vi} "$(keyturn config path)"'),
    ),
    "config show": About(
        "The source is the file, an environment variable, or the default. It shows references to "
        "secrets, and neither reads nor shows the secrets.",
        ("keyturn config show", "keyturn config show shop --format json"),
    ),
    "check": About(
        "It checks all connections in parallel. The exit code is the highest of all connections. "
        "In the JSON output, message and hint describe each failure.",
        ("keyturn check", "keyturn check shop --format json"),
    ),
    "status": About(
        "The state is fresh, stale (valid, renewed at the next use), none, or a cached error "
        "response.",
        ("keyturn status", "keyturn status --format json"),
    ),
    "doctor": About(
        "It checks Python, the system, plugins, the configuration, the stores, each connection "
        "and the network connection to its token endpoint. It resolves secret references, "
        "including commands, and shows no secret. It says what to change.",
        ("keyturn doctor", "keyturn doctor --format json"),
    ),
    "token": About(
        "Standard output contains only the token, in the chosen format.",
        (
            "keyturn token shop",
            "keyturn token shop --format headers | curl --header @- https://shop.example/api",
            'eval "$(keyturn token shop --format env)"',
        ),
    ),
    "explain": About(
        "It shows the request, its reason, and the response.", ("keyturn explain shop",)
    ),
    "request": About(
        "It writes the response's body to standard output. The exit code is 1 for an HTTP status "
        "of 400 or more.",
        (
            "keyturn request shop GET /users",
            "keyturn request shop POST /users --data @user.json",
            "keyturn request shop POST /users --data '{\"data\": {}}'",
        ),
    ),
    "serve": About(
        "It runs until it is interrupted, on 127.0.0.1 or on a Unix socket. It prints its "
        "address. The address contains a new session secret unless a file or KEYTURN_SERVE_SECRET "
        "sets one.",
        ("keyturn serve --port 8080", "keyturn serve --socket /run/user/1000/keyturn.sock"),
    ),
    "revoke": About("It also discards the cached token.", ("keyturn revoke shop",)),
    "forget": About(
        "It also discards a cached error response. With --rate-limits, it also resets the store's "
        "counts for the token endpoint: the rate limit, the cooldown that the server requested, "
        "and refused requests and tokens. This affects all connections to that host that share "
        "the store.",
        ("keyturn forget shop", "keyturn forget shop --rate-limits"),
    ),
    "providers": About("It imports none of them.", ("keyturn providers",)),
    "plugins": About(
        "It "
        "imports "
        "none "
        "of "
        "them. "
        "The "
        "state "
        "is "
        "ok, "
        "conflict, "
        "ignored, "
        "disabled, "
        "too "
        "new, "
        "too "
        "old "
        "or "
        "failed, "
        "as "
        "far "
        "as "
        "it "
        "is "
        "known "
        "without "
        "an "
        "import.",
        ("keyturn plugins", "keyturn plugins --json"),
    ),
    "schema": About(
        "Forms and editors can use the schema.",
        ("keyturn schema orocommerce", "keyturn schema ./acme.toml"),
    ),
    "new-provider": About(
        "It overwrites no file.", ("keyturn new-provider acme", "keyturn new-provider acme --data")
    ),
    "verify": About(
        "The checks send requests to their own endpoint on loopback. The exit code is 1 if a "
        "check fails.",
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
        "installed providers. It sends no request.",
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
    # importlib.metadata takes 40 ms to import.
    from keyturn._plugins.discovery import own_release

    return f"keyturn {own_release()}"


def about(command: str) -> About:
    """Return the details of a command, of a group, or of keyturn ("")."""
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
    """Return the examples of a command or of keyturn (""), and its documentation's address."""
    listed = "".join(f"  {example}\n" for example in about(command).examples)
    codes = "" if command else _EXIT_CODES
    return f"\nexamples:\n{listed}{codes}\ndocumentation: {command_page(command)}\n"


def command_page(command: str) -> str:
    """Return the address of the section about a command; for a group, of the page about all."""
    section = f"#keyturn-{command.replace(' ', '-')}" if command in ABOUT else ""
    return f"{DOCUMENTATION}{section}"
