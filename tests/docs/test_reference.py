"""The reference pages agree with the code."""

from __future__ import annotations

import inspect
import json
import re
import runpy
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.conftest import for_each

import keyturn
from keyturn._cli.commands import exit_code
from keyturn._cli.token_formats import FORMATS
from keyturn._http import error_codes
from keyturn._plugins import hooks
from keyturn._providers.data import DATA, Datum
from keyturn._providers.data_rules import DATA_RULES
from keyturn._tokens.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PROVIDERS = ["commercelayer", "generic", "norce-commerce", "norce-storm", "orocommerce"]


def page_text(name: str) -> str:
    """Return a reference page."""
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Return the rows of a page's tables, without their heads."""
    lines = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    rules = [number for number, row in enumerate(cells) if set("".join(row)) <= set("-: ")]
    return [
        row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules
    ]


def settings_table(provider: str) -> str:
    """Return the table of a provider's settings as the reference page must show it."""
    schema = keyturn.provider(provider).settings_schema()
    lines = ["| setting | kind | what it is |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        kind = "required" if name in schema["required"] else "optional"
        if "default" in field:
            kind = f"default `{json.dumps(field['default'])}`"
        described = " ".join([f"{field['title']}.", field.get("description", "")]).strip()
        lines.append(f"| `{name}` | {_type(field)}, {kind} | {described} |")
    return "\n".join(lines)


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"] if value)
    if "items" in field:
        return f"{(kind := field['items']['type'])} or list of {kind}s"
    if field.get("writeOnly"):
        return "secret"
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    names = {
        "string": "string",
        "integer": "integer",
        "number": "number",
        "boolean": "true or false",
        "object": "table of strings",
    }
    bounds = [f"{field[key]}" for key in ("minimum", "maximum") if key in field]
    kind = names[next(kind for kind in kinds if kind != "null")]
    return f"{kind} from {' to '.join(bounds)}" if bounds else kind


@pytest.mark.parametrize("provider", PROVIDERS)
def test_settings_on_the_page_are_those_of_the_schema(provider: str) -> None:
    """A user would not find a setting, or set one that does not exist."""
    assert settings_table(provider) in page_text("settings")


def test_every_extra_is_on_the_page_about_installing() -> None:
    """A user would miss the extra for a feature, or name one that does not exist."""
    page = (REFERENCE.parent / "how-to" / "install.md").read_text("utf-8")
    named = re.findall(r"`(\w+)`", " ".join(row[0] for row in rows(page)))
    project = tomllib.loads((REFERENCE.parents[1] / "pyproject.toml").read_text("utf-8"))

    assert sorted(named) == sorted(project["project"]["optional-dependencies"])


@pytest.mark.parametrize(
    "module",
    [keyturn, keyturn.integrations, keyturn.plugins, keyturn.stores, keyturn.testing],
    ids=lambda module: module.__name__,
)
def test_every_public_name_is_described(module: ModuleType) -> None:
    """A user would not find a public name, or use it without a description."""
    text, package = page_text("api"), module.__name__.rpartition(".")[2]
    names: list[str] = module.__all__

    assert [
        name for name in names if f"`{name}" not in text and f"`{package}.{name}" not in text
    ] == []


def default_of(datum: Datum) -> str:
    """Return a datum's default in the notation of the reference page."""
    if datum.default is attrs.NOTHING:
        return "required"
    if isinstance(datum.default, str):
        return f'`"{datum.default}"`'
    is_number = isinstance(datum.default, (int, float)) and datum.default != float("inf")
    return f"`{datum.default:g}`" if is_number else "none"


def test_provider_data_on_the_page_are_the_declared_ones() -> None:
    """The page would describe a datum, or its default, differently from the code."""
    table = {row[0]: row[1:3] for row in rows(page_text("api")) if len(row) == 4}
    declared = {f"`{name}`": [default_of(each), each.description] for name, each in DATA.items()}

    assert {name: cells for name, cells in table.items() if name != "`settings`"} == declared


def rules_table() -> str:
    """Return the table of the rules between data as the reference must have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for rule in DATA_RULES:
        named = ", ".join(f"`{name}`" for name in rule.when) or "nothing"
        found.setdefault((named, rule.problem), []).append(f"`{rule.setting}`")
    lines = [f"| {', '.join(each)} | {said} | {named} |" for (named, said), each in found.items()]
    return "\n".join(["| datum | rule | depends on |", "|---|---|---|", *lines])


def test_rules_between_data_are_the_declared_ones() -> None:
    """An author would meet a rule first as an error."""
    assert rules_table() in page_text("api")


LINK_REGEX = re.compile(r"\[[\w-]+\]\(([\w./-]+)\)")


@for_each("name", [*DATA, "settings"])
def test_each_provider_datum_has_a_real_example(name: str) -> None:
    """A datum could exist that no platform needs, or that has no example."""
    row = next(row for row in rows(page_text("api")) if f"`{name}`" in row[0] and len(row) == 4)
    linked = [(REFERENCE / link).read_text(encoding="utf-8") for link in LINK_REGEX.findall(row[3])]

    assert any(re.search(rf"^\s*\[?(?:provider\.)?{name}\b", text, re.MULTILINE) for text in linked)


@for_each(
    "cls",
    [
        keyturn.Connection,
        keyturn.ConnectionStatus,
        keyturn.Connections,
        keyturn.Event,
        keyturn.Problem,
        keyturn.ProviderInfo,
        keyturn.Secret,
        keyturn.Token,
        keyturn.integrations.AuthorizedRequest,
        keyturn.integrations.RequestAuth,
        keyturn.plugins.DynamicValue,
        keyturn.plugins.OAuthError,
        keyturn.plugins.Provider,
        keyturn.plugins.RateLimit,
        keyturn.plugins.Response,
        keyturn.plugins.TokenRequest,
        keyturn.testing.Emulator,
        keyturn.testing.ReceivedRequest,
    ],
)
def test_every_public_member_is_described(cls: type) -> None:
    """A user would not find a method or an attribute."""
    members = {name for name in dir(cls) if not name.startswith("_")}
    members |= set(inspect.signature(cls).parameters) if attrs.has(cls) else set()
    text = page_text("api").replace("`.", "`")

    assert [name for name in sorted(members) if f"`{name}" not in text] == []


def test_every_option_of_connect_is_described() -> None:
    """A user would not find an option, or use another default than the page says."""
    parameters = inspect.signature(keyturn.connect).parameters.values()
    options = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
    table = {row[0].strip("`"): row[1] for row in rows(page_text("api")) if len(row) == 3}

    assert {each.name for each in options} <= table.keys()
    for each in options:
        if isinstance(each.default, float):
            assert table[each.name] == f"{each.default:g}"


def test_every_field_of_an_event_is_described() -> None:
    """An author of a listener would miss a field, or read one that does not exist."""
    text = page_text("hooks").partition("### Events")[2]

    assert [row[0].strip("`") for row in rows(text.partition("\n## ")[0])] == [
        field.name for field in attrs.fields(keyturn.Event)
    ]


def error_rows() -> list[list[str]]:
    """Return the rows of the table of errors, the name of its class first."""
    found = [row for row in rows(page_text("errors")) if len(row) == 3]
    return [[re.findall("`(.*?)`", name)[0], *others] for name, *others in found]


def test_every_error_is_in_the_table() -> None:
    """A user could not look up how to handle an error."""
    known = {
        name: member
        for name, member in vars(keyturn.errors).items()
        if inspect.isclass(member) and issubclass(member, keyturn.errors.KeyturnError)
    }
    described = {row[0] for row in error_rows()}

    assert known.keys() == described


def test_every_class_of_error_has_a_page() -> None:
    """The address in an error message would lead to a missing page."""
    members = vars(keyturn.errors).values()
    kinds = {each for each in members if inspect.isclass(each) and issubclass(each, Exception)}
    pages = {path.stem for path in REFERENCE.glob("errors/*.md")}

    assert {each.__name__ for each in kinds} | error_codes.OAUTH_CODES <= pages


@pytest.mark.parametrize(
    "code", sorted(error_codes.OAUTH_CODES | error_codes.UNAVAILABLE_CODES | error_codes.RATE_CODES)
)
def test_every_oauth_error_code_is_described(code: str) -> None:
    """A user would miss a code, or read about another error than keyturn raises."""
    pages = {path.stem: path.read_text("utf-8") for path in REFERENCE.glob("errors/*.md")}
    found = pages.get(code) or next(
        each for each in pages.values() if f"`{code}`" in each and "The same holds for" in each
    )
    raised = error_codes.kind_and_hint(code, 400, "")[0].__name__
    if code in error_codes.UNAVAILABLE_CODES:
        raised = "EndpointUnavailable"
    if code in error_codes.RATE_CODES:
        raised = "RateLimited"

    assert f"raises [`{raised}`]({raised}.md)" in " ".join(found.split())


def test_every_plugin_hook_is_described() -> None:
    """A plugin's author would not find a hook."""
    named = {name for name in vars(hooks.Hooks) if name.startswith("keyturn_")}

    assert {name for name in named if f"`{name}(" not in page_text("hooks")} == set()


def test_every_key_of_a_connection_is_described() -> None:
    """A user would not find an option for the configuration file."""
    described = {row[0].strip("`") for row in rows(page_text("configuration"))}
    options = {field.name for field in attrs.fields(Options)}

    # A policy is for settings from outside the configuration; tls takes an object.
    assert (options - {"policy", "tls"}) | {"store", "provider"} <= described


def test_pages_of_the_command_line_are_current() -> None:
    """A page would lack a command or an option; `python scripts/command_line.py` writes them."""
    script = runpy.run_path(str(REFERENCE.parents[1] / "scripts" / "command_line.py"))
    text = page_text("command-line")

    assert text == script["page"](text)
    written = {path.name: path.read_text("utf-8") for path in script["MANUALS"].iterdir()}
    assert written == script["manuals"]()


def test_token_formats_are_described() -> None:
    """A user would not find a format."""
    described = {row[0].strip("`") for row in rows(page_text("command-line"))}

    assert set(FORMATS) <= described


@for_each("row", error_rows())
def test_exit_codes_on_the_page_are_those_of_the_errors(row: list[str]) -> None:
    """A script that relies on the table would handle the wrong error."""
    kind = getattr(keyturn.errors, row[0])
    more = {"retry_after": 1.0} if kind is keyturn.errors.RateLimited else {}

    assert exit_code(kind("made up", **more)) == int(row[2])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the URL of a token endpoint, and the response that it sends."""
    response: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(response["status"])
            for name, value in response["headers"].items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response["body"])

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", response
        server.shutdown()
        thread.join()


RESPONSES = [row for row in rows(page_text("responses")) if re.fullmatch(r"\d{3}", row[0])]


@for_each("row", RESPONSES)
def test_responses_raise_the_errors_in_the_table(
    row: list[str], endpoint: tuple[str, dict[str, Any]]
) -> None:
    """Code that relies on the table would handle the wrong error."""
    status, head, body, outcome = row
    url, response = endpoint
    kind, *others = re.findall("`(.*?)`", head)
    headers = dict(other.split(": ", 1) for other in others) | {"Content-Type": kind}
    text = body.split("`")[1] if "`" in body else ""
    response |= {"status": int(status), "headers": headers, "body": text.encode()}
    connection = keyturn.connect(
        "orocommerce",
        url=url,
        client_id="made-up",
        client_secret="made-up",
        store="memory://",
        timeout=0.3 if "EndpointUnavailable" in outcome else 20.0,
    )
    if outcome.startswith("a token"):
        assert connection.token().access_token == "abc"
        return
    with pytest.raises(keyturn.errors.KeyturnError) as caught:
        connection.token()
    assert type(caught.value).__name__ == outcome.split("`")[1]


def test_integrations_are_those_of_the_last_runs() -> None:
    """The page would list results of integrations that no test run has shown."""
    script = runpy.run_path(str(REFERENCE.parents[1] / "scripts" / "integrations.py"))

    assert page_text("integrations") == script["page"]()
