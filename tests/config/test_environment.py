"""Settings in environment variables, with and without a configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import keyturn
from keyturn import _config as config
from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = """
[connections.norce-stage]
provider = "norce-commerce"
client = "acme"
environment = "stage"
client_id = "from-the-file"
client_secret = { env = "NOT_SET" }
application_id = 1042
"""
ALONE = {
    "PROVIDER": "norce-commerce",
    "CLIENT": "acme",
    "ENVIRONMENT": "stage",
    "CLIENT_ID": "made-up",
    "CLIENT_SECRET": "s3cret-for-tests",
}
TOKEN = keyturn.Token("made-up", "Bearer", 2e9)


@pytest.fixture
def override(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that sets variables of a connection."""

    def override_settings(connection: str, **settings: str) -> None:
        for setting, value in settings.items():
            monkeypatch.setenv(f"KEYTURN_CONNECTIONS__{connection}__{setting}", value)

    return override_settings


def problems(name: str, path: Path | None = None) -> tuple[str, ...]:
    """Return the problems that loading a connection reports."""
    with pytest.raises(ConfigurationError) as caught:
        keyturn.load_connection(name, config=path)
    return tuple(map(str, caught.value.problems))


def test_variable_overrides_one_setting(
    write: Callable[..., Path], override: Callable[..., None]
) -> None:
    """A deployment could not change one setting without its own file."""
    override(
        "NORCE_STAGE",
        CLIENT_ID="from-the-environment",
        CLIENT_SECRET="s3cret-for-tests",
        APPLICATION_ID="7",
    )

    connection = keyturn.load_connection("norce-stage", config=write(FILE, 0o644))

    assert b"client_id=from-the-environment" in connection.token_request().body
    assert connection.provider.api_request_headers(connection.settings, TOKEN) == {
        "ApplicationId": "7"
    }


@pytest.mark.parametrize("name", ["norce-stage", "norce_stage", "norce.stage"])
def test_environment_without_a_file_is_enough(override: Callable[..., None], name: str) -> None:
    """A container without a file could not configure a connection named with a hyphen or a dot."""
    override("NORCE_STAGE", **ALONE, TIMEOUT="5", STORE="memory://")

    assert sorted(config.read().connections) == ["norce-stage"]
    assert keyturn.load_connection(name).name == "norce-stage"


def test_strings_are_read_as_numbers_and_booleans(override: Callable[..., None]) -> None:
    """A number or a boolean in an environment variable would be refused as a string."""
    override(
        "CL",
        PROVIDER="commercelayer",
        KIND="sales_channel",
        CLIENT_ID="made-up",
        MARKET="code:europe",
        LIFETIME="7200",
        REQUIRE_MARKET="True",
        STORE="memory://",
    )

    assert keyturn.load_connection("cl").token_request().scope == ("market:code:europe",)


def test_string_that_is_not_a_number_is_reported_with_its_variable(
    override: Callable[..., None],
) -> None:
    """The error would not name the variable, or would show a value that may be secret."""
    override("X", **ALONE, APPLICATION_ID="s3cret", TIMEOUT="[", WAIT="true")

    timeout, wait, application_id = problems("x")
    assert timeout.startswith("KEYTURN_CONNECTIONS__X__TIMEOUT: must be a number of seconds")
    assert wait.startswith("KEYTURN_CONNECTIONS__X__WAIT: must be a number of seconds")
    assert application_id.startswith("KEYTURN_CONNECTIONS__X__APPLICATION_ID: must be ")
    assert "s3cret" not in application_id


def test_number_in_the_file_stays_strict_beside_variables(
    write: Callable[..., Path], override: Callable[..., None]
) -> None:
    """A variable would hide a mistake in the file."""
    override("NORCE_STAGE", CLIENT_SECRET="s3cret-for-tests")

    (problem,) = problems("norce-stage", write(FILE.replace("1042", '"ten"')))

    assert problem.startswith("connections.norce-stage.application_id: must be ")


@pytest.mark.parametrize(
    ("variable", "question"),
    [
        ("NORCE_STGE__CLIENT_ID", " Did you mean NORCE_STAGE?"),
        ("CLIENT_ID", ""),
        ("__PROVIDER", ""),
        ("_A__PROVIDER", ""),
    ],
)
def test_variable_of_an_unknown_connection_is_reported(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, variable: str, question: str
) -> None:
    """The variable would be ignored, and the account that it should replace stay in use."""
    monkeypatch.setenv(f"KEYTURN_CONNECTIONS__{variable}", "s3cret-for-tests")

    assert problems("norce-stage", write(FILE)) == (
        f"KEYTURN_CONNECTIONS__{variable}: belongs to no configured connection.{question}",
    )


def test_variable_of_an_unknown_setting_is_reported(override: Callable[..., None]) -> None:
    """The variable would be ignored, and the setting that it should replace stay in use."""
    override("X", **ALONE, CLIENT_IDD="made-up")

    assert problems("x") == (
        (
            "KEYTURN_CONNECTIONS__X__CLIENT_IDD: is not a setting of this provider. "
            "Did you mean client_id?"
        ),
    )
