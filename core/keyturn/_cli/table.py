"""All commands: the function that runs each, what it does, and its arguments."""

from __future__ import annotations

from argparse import SUPPRESS
from typing import TYPE_CHECKING, Any, NamedTuple

from keyturn._cli import arguments as types
from keyturn._cli.token_formats import FORMATS

if TYPE_CHECKING:
    from typing import TypeAlias

    Arguments: TypeAlias = dict[str, dict[str, Any]]


class Command(NamedTuple):
    """A command, or a group of commands.

    Args:
        module: The module of `keyturn._cli` with its function; empty for a group.
        summary: What it does, without a full stop; empty for a command that help does not list.
        arguments: Its arguments: their names, and what `argparse` takes for each.
    """

    module: str
    summary: str
    arguments: Arguments


# What stands before a command or after it. Suppressed: the default of a command's parser would
# replace the value of an option before the command.
COMMON: Arguments = {
    "-h --help": {"action": "help", "help": "show this help message and exit"},
    "--config": {
        "metavar": "FILE",
        "default": SUPPRESS,
        "help": "the configuration file (default: $KEYTURN_CONFIG, else the user's keyturn.toml)",
    },
    "-v --verbose": {
        "action": "count",
        "default": SUPPRESS,
        "help": "write what happens to standard error: each step, attempt, retry and pause; "
        "-vv writes all of the log",
    },
}
# Completion offers values by an argument's choices, name and metavar.
_TABLE: Arguments = {
    "--format": {
        "choices": ("table", "json"),
        "default": "table",
        "help": "a table for people, or JSON for programs (default: table)",
    }
}
_NAME: Arguments = {"name": {"metavar": "NAME", "help": "the connection"}}
_PROVIDER: Arguments = {
    "provider": {"metavar": "PROVIDER", "help": "its name, or the path of a TOML file"}
}

_CONNECTION: Arguments = {
    "new_name": {"metavar": "NAME", "nargs": "?", "help": "the connection's name"},
    "provider": {**_PROVIDER["provider"], "nargs": "?"},
    "--set": {
        "metavar": "SETTING=VALUE",
        "action": "append",
        "default": [],
        "help": "a setting of the provider, or an option such as timeout; never a secret",
    },
    **{
        f"--secret-{source}": {
            "metavar": f"SETTING={metavar}",
            "action": "append",
            "default": [],
            "help": f"refer to a secret: {where}",
        }
        for source, metavar, where in (
            ("env", "VARIABLE", "the environment variable that has it"),
            ("file", "PATH", "the file that has it"),
            ("keyring", "SERVICE/USER", "the entry of the system's keyring that has it"),
        )
    },
    "--no-check": {"action": "store_true", "help": "request no token"},
}

# In the order of `keyturn --help`. The name of a command in a group has two words.
COMMANDS: dict[str, Command] = {
    "init": Command("connections", "Set up a connection, with questions", _CONNECTION),
    "connections": Command("", "Add, list or remove connections", {}),
    "connections add": Command(
        "connections", "Add a connection to the configuration file", _CONNECTION
    ),
    "connections list": Command("connections", "List the configured connections", _TABLE),
    "connections remove": Command(
        "connections",
        "Remove a connection from the configuration file",
        {**_NAME, "--yes": {"action": "store_true", "help": "don't ask at a terminal"}},
    ),
    "config": Command("", "Show the configuration", {}),
    "config path": Command("config", "Print where the configuration file is, or would be", {}),
    "config show": Command(
        "config",
        "Show each value of the configuration, and where it comes from",
        {"name": {"metavar": "NAME", "nargs": "?", "help": "show only this connection"}, **_TABLE},
    ),
    "check": Command(
        "overview",
        "Check the configuration, and get a token for each connection",
        {"name": {"metavar": "NAME", "nargs": "?", "help": "check only this connection"}, **_TABLE},
    ),
    "status": Command("overview", "Show the state of each token; no request is sent", _TABLE),
    "doctor": Command(
        "doctor", "Show what works here, and what to set; no token is requested", _TABLE
    ),
    "token": Command(
        "tokens",
        "Print a token that can be used now",
        {
            "--format": {
                "choices": tuple(FORMATS),
                "default": "token",
                "help": "the token alone, headers, JSON, variables for a shell, or what kubectl or "
                "Bazel reads (default: token)",
            },
            "--renew": {
                "action": "store_true",
                "help": "request a new token even if the cached one is valid",
            },
            "--refused": {
                "metavar": "-",
                "choices": ("-",),
                "help": "read from standard input a token that an API refused; request a new one "
                "if it is still the current one",
            },
            **_NAME,
        },
    ),
    "explain": Command("tokens", "Show how a token is acquired, redacted", _NAME),
    "request": Command(
        "api_request",
        "Send an API request with a token",
        {
            **_NAME,
            "method": {"metavar": "METHOD", "help": "the HTTP method, such as GET"},
            "path": {"metavar": "PATH", "help": "below the API's URL, or a URL of the API"},
            "-d --data": {
                "metavar": "DATA",
                "help": "the request's body; @FILE is a file's content, @- standard input; JSON "
                "is sent as application/json",
            },
            "-H --header": {
                "metavar": "'NAME: VALUE'",
                "type": types.header,
                "action": "append",
                "default": [],
                "help": "a header; Accept is the provider's by default",
            },
        },
    ),
    "serve": Command(
        "serve",
        "Serve tokens, a proxy that adds them, and a status page to programs of this host",
        {
            "--port": {
                "metavar": "PORT",
                "type": types.port,
                "default": 0,
                "help": "of 127.0.0.1 (default: a free one)",
            },
            "--socket": {
                "metavar": "PATH",
                "help": "a Unix socket instead, for this user alone",
            },
            "--secret-file": {
                "metavar": "PATH",
                "help": "has the session secret, and is created if there is none (default: "
                "$KEYTURN_SERVE_SECRET, else a new one, printed)",
            },
            "--token-file": {
                "metavar": "NAME=PATH",
                "action": "append",
                "default": [],
                "help": "a file that always has a usable token of a connection",
            },
        },
    ),
    "revoke": Command("tokens", "Revoke the token at the provider", _NAME),
    "forget": Command(
        "tokens",
        "Forget the token on this side",
        {
            "--rate-limits": {
                "action": "store_true",
                "help": "also what is counted for its token endpoint, for all who share the store",
            },
            **_NAME,
        },
    ),
    "providers": Command("providers", "List the installed providers", _TABLE),
    "plugins": Command(
        "plugins",
        "List providers, stores, secret sources and listeners, and their states",
        {
            **_TABLE,
            "--json": {
                "action": "store_const",
                "dest": "format",
                "const": "json",
                "help": "the same as --format json",
            },
        },
    ),
    "schema": Command("providers", "Print a provider's settings as JSON Schema", _PROVIDER),
    "new-provider": Command(
        "new_provider",
        "Write a distribution with a new provider",
        {
            "new_name": {"metavar": "NAME", "help": "the provider's name"},
            "--directory": {
                "metavar": "DIRECTORY",
                "default": ".",
                "help": "where to create keyturn-NAME (default: the working directory)",
            },
            "--data": {
                "action": "store_true",
                "help": "describe the provider in a TOML file, without code",
            },
        },
    ),
    "verify": Command(
        "providers",
        "Run every check on a provider",
        {
            **_PROVIDER,
            "settings": {
                "metavar": "SETTING=VALUE",
                "nargs": "*",
                "help": "made-up settings; a required one that is missing is made up",
            },
            **_TABLE,
        },
    ),
    "demo": Command("demo", "Show what keyturn does, against its own emulator", {}),
    "emulate": Command(
        "emulate",
        "Run the emulator of the four providers",
        {
            "--output": {
                "metavar": "PATH",
                "help": "write the keyturn.toml to this file, for this user alone, instead of "
                "printing it",
            },
            "--host": {
                "metavar": "HOST",
                "default": "127.0.0.1",
                "help": "the name or IPv4 address to listen on (default: 127.0.0.1); in a "
                "container 0.0.0.0",
            },
            "--port": {
                "metavar": "PORT",
                "type": types.port,
                "default": 0,
                "help": "the first of four ports (default: free ones)",
            },
            "--lifetime": {
                "type": types.lifetime,
                "metavar": "SECONDS",
                "help": "of all tokens (default: the providers' own)",
            },
            "--stable": {
                "action": "store_true",
                "help": "the same client IDs and secrets at each start, which anyone knows",
            },
        },
    ),
    "completion": Command(
        "completion",
        "Print the script that completes keyturn's arguments in a shell",
        {"shell": {"metavar": "SHELL", "choices": ("bash", "zsh", "fish"), "help": "the shell"}},
    ),
    "complete": Command("completion", "", {"words": {"nargs": "*", "help": "what was typed"}}),
    "help": Command(
        "about",
        "Show the help of keyturn, or of a command",
        {"words": {"metavar": "COMMAND", "nargs": "*", "help": "the command"}},
    ),
    "version": Command("about", "Show keyturn's version", {}),
}
