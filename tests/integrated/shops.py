"""A connection `shop` to the emulator, for a platform's configuration."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
from tests.integrated.environments import binaries
from tests.integrated.leaks import assert_finds, leaks, secrets_of

if TYPE_CHECKING:
    from pathlib import Path

    from keyturn.testing import Emulator

SECRET_VARIABLE = "SHOP_SECRET"


@attrs.frozen
class Shop:
    """A running emulator, and a program's environment in which `shop` is a connection to it.

    The connection's secret is in the environment variable `SHOP_SECRET`, which `keyturn.toml`
    refers to.

    Args:
        emulator: The emulator.
        directory: The working directory of programs; all of its files are searched for leaks.
        variables: The environment variables.
    """

    emulator: Emulator
    directory: Path
    variables: dict[str, str]

    @classmethod
    def at(cls, emulator: Emulator, directory: Path) -> Shop:
        """Write a configuration; return a shop for programs."""
        settings = emulator.settings("orocommerce")
        secret = settings.pop("client_secret")
        lines = ["[connections.shop]", 'provider = "orocommerce"']
        lines += [f'client_secret = {{ env = "{SECRET_VARIABLE}" }}']
        lines += [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        config = directory / "keyturn.toml"
        config.write_text("\n".join(lines), encoding="utf-8")
        api = f"{settings['url']}/admin/api"
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(api))
        work = directory / "work"
        work.mkdir()
        variables = {
            "HOME": str(directory),
            "PATH": os.environ["PATH"],
            "KEYTURN_CONFIG": str(config),
            "KEYTURN_STORE": "memory://",
            SECRET_VARIABLE: secret,
            "SHOP_API": api,
            "SHOP_REVOKE": f"{origin}/-/revoke-tokens",
        }
        return cls(emulator, work, variables)

    @property
    def token_requests(self) -> int:
        """The number of token requests so far."""
        return self.emulator.token_requests("orocommerce")

    def run(self, environment: str, *command: Any, status: int = 0, **variables: str) -> str:
        """Run a program of an environment; return its standard output and standard error.

        Args:
            environment: The environment's name: `scrapy` for `.cache/integrated-scrapy`.
            command: The program, of the environment's `bin`, and its arguments.
            status: The expected exit status.
            variables: Further environment variables.
        """
        program = binaries(environment) / str(command[0])
        done = subprocess.run(
            [program, *map(str, command[1:])],
            check=False,
            cwd=self.directory,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def leaks(self, *outputs: str) -> list[str]:
        """Return the places of secrets and tokens in the working directory and in outputs.

        It also checks that the search finds a secret that is added to the output.
        """
        secrets = secrets_of(self.emulator)
        added = leaks(secrets[:1], f"{outputs}{secrets[0]}")
        assert added == ["output"]
        found = leaks(secrets, self.directory, *outputs)
        if not found:
            assert_finds(secrets, self.directory)
        return found
