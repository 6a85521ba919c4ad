"""The parsers, with their inputs and their invariant: only keyturn's errors are raised."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from tests.conftest import JSON, SECRET, AcmeSettings, World
from tests.threats.conftest import ENCODINGS

import keyturn
from keyturn import errors
from keyturn._common.redaction import Redaction
from keyturn._config import read as read_configuration
from keyturn._http.request import encode
from keyturn._http.response import date_header, retry_after
from keyturn._providers.lifetimes import lifetime_of
from keyturn._providers.response_formats import form_of, xml_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The fuzzer's secrets, and characters that control a terminal, must never be shown.
TOKEN = "t0ken-of-the-fuzzer"
UNSAFE = "\x00\x1b\x7f\x9b\u202e\u2066\u200f\u2028\ud800"
TEXT = st.text(max_size=60) | st.text(st.sampled_from(f"a0 .:/{{}}[]\"'%\\\n{UNSAFE}"), max_size=20)
QUOTED = st.builds(
    lambda way, text, bare: f"{text}{way(bare)}",
    st.sampled_from([*ENCODINGS.values()]),
    st.sampled_from(["", "wrong: ", "x/"]),
    st.sampled_from([SECRET, TOKEN]),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXT
    | QUOTED
    | st.sampled_from(["Bearer", TOKEN, 3600, "3600", "invalid_client", "read write", "1e400"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | QUOTED, inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["access_token", "token_type", "expires_in", "scope", "error", "errors", "message"]
    )
    | TEXT,
    VALUES,
    max_size=7,
)
USUAL = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
DEEP = st.builds(
    lambda opened, depth: opened * depth, st.sampled_from(["[", '{"a":']), st.integers(1, 20_000)
)


def cut(text: str, at: int, put: str) -> bytes:
    """Return a string with a part of it replaced, as bytes."""
    at %= len(text) + 1
    return (text[:at] + put + text[at + 1 :]).encode(errors="surrogatepass")


BODIES = (
    st.binary(max_size=300)
    | FIELDS.map(lambda fields: json.dumps(fields).encode())
    | FIELDS.map(lambda fields: json.dumps(USUAL | fields).encode())
    | st.builds(cut, FIELDS.map(lambda f: json.dumps(USUAL | f)), st.integers(0, 999), TEXT | DEEP)
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "date", "location", "www-authenticate"]),
    st.sampled_from(["application/json", "text/html", "application/x+json;charset=x"]) | TEXT,
)
ELEMENTS = st.recursive(
    TEXT | st.sampled_from(["&lt;", "&a;", "<!DOCTYPE r>", "<![CDATA[<]]>", "<!-- -->", "<a/>"]),
    lambda inner: st.lists(
        st.builds(
            "<{0}{1}>{2}</{0}>".format,
            st.sampled_from(["token", "a", "x:b", "é"]),
            st.sampled_from(["", " a='1'", " xmlns:x='u'", " xmlns='u'", " x:a='2'"]),
            inner,
        ),
        max_size=3,
    ).map("".join),
    max_leaves=8,
)
MARKUP = (
    st.binary(max_size=300)
    | st.builds("<r xmlns:x='u'>{}</r>".format, ELEMENTS).map(lambda t: t.encode(errors="replace"))
    | st.builds(cut, ELEMENTS, st.integers(0, 999), TEXT)
    | st.lists(TEXT, max_size=5).map(lambda each: "=".join(each).encode(errors="replace"))
)
LIFETIME_FORMATS = (
    *("duration", "hh:mm", "hh:mm:ss", "d:hh:mm", "d:hh:mm:ss", "http_date", "date", "jwt"),
    *("%Y-%m-%d", "%d %b %Y %H:%M:%S", "%a, %d %B %y %I:%M %p", "%Y%j%%", "%Y-%m-%d %H:%M:%S.%f%z"),
)
DURATIONS = st.text(st.sampled_from("0123456789 :.PTdhmswHMSDW-+"), max_size=30)
DATES = st.builds(
    "{}{} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Fri, ", "Friday, ", "", "x"]),
    st.integers(-1, 99),
    st.sampled_from(["Jan", "Feb", "Foo", "٣"]),
    st.integers(-1, 99_999),
    *[st.integers(-1, 99)] * 3,
    st.sampled_from(["GMT", "+2359", "-9999", "EST", "", "+99999999999"]),
)


def shown(*values: object, public: object = "") -> None:
    """Check that shown values contain no secret, and no character that controls a terminal.

    Args:
        values: The shown values.
        public: Values that a user has given as public.
    """
    for value in values:
        text = f"{value}{value!r}"
        assert SECRET not in text or SECRET in str(public), "the secret is shown"
        assert TOKEN not in text or TOKEN in str(public), "the token is shown"
        assert all(line.isprintable() for line in text.split("\n")), "a control character is shown"


@contextlib.contextmanager
def ours(public: object = "") -> Iterator[None]:
    """Accept only keyturn's errors, and check what they show; see `shown`."""
    try:
        yield
    except errors.KeyturnError as error:
        shown(error, public=public)


def response(status: int, headers: dict[str, str], body: bytes, provider: str) -> None:
    """Read a response to a token request."""
    world = World()
    settings = {
        "": {"scope": "read write"},
        "orocommerce": {"url": "https://shop.example"},
        "norce-storm": {"scope": "lab"},
        "commercelayer": {"kind": "integration"},
    }[provider]
    reply = keyturn.plugins.Response(status, JSON | headers, body, world.clock.now)
    world.endpoint.responses += [world.endpoint.token(TOKEN), *[reply] * 5]
    connection = world.connect(provider, **settings)
    connection.token()
    connection.forget()
    with ours():
        token = connection.token()
        assert token.access_token.isascii()
        assert 0 < token.lifetime <= 31_536_000
        if token.access_token == TOKEN:
            shown(token)
            shown(json.dumps(dict(token.extra)))
    with ours():
        shown(connection.explain(), connection)


def formats(body: bytes, duration: str, form: str) -> None:
    """Read a token response in XML or as a form, with a lifetime as a duration or a time."""
    for content in (xml_of(body), form_of(body)):
        json.dumps(content)
    reply = keyturn.plugins.Response(200, {}, b"", 1e9)
    with ours(form):
        assert 0 < lifetime_of(duration, form, "life", reply, None) <= 31_536_000


def times(text: str, date: str) -> None:
    """Read the headers Retry-After and Date."""
    found = keyturn.plugins.Response(429, {"retry-after": text, "date": date}, b"", 1e9)
    seconds = retry_after(found)
    assert seconds is None or 0 <= seconds <= 3600
    assert isinstance(date_header(found), float)


def configuration(content: bytes) -> None:
    """Read the content of keyturn.toml."""
    with tempfile.TemporaryDirectory() as directory, ours(content):
        path = Path(directory) / "keyturn.toml"
        path.touch(mode=0o600)
        path.write_bytes(content)
        configured = read_configuration(path)
        with ours(content):
            configured.check()
        for name in configured.connections:
            with ours(content), configured.open(name) as connection:
                shown(connection, public=content)


def scope(requested: object, granted: object) -> None:
    """Read a scope in settings and in a response."""
    world = World()
    world.endpoint.responses.append(world.endpoint.token(TOKEN, scope=granted))
    with ours():
        checked = AcmeSettings(client_id="cid", client_secret=SECRET, scope=requested)
        connection = world.connect(scope=checked.scope)
        body = connection.token_request().body.decode()
        assert ("scope=" in body) == bool(checked.scope)
        token = connection.token()
        assert token.scope is None or token.scope.split()
        shown(token, public=requested)


def store(row: str, other: str) -> None:
    """Read rows of a store: a token, and an entry of the negative cache."""
    world = World()
    connection = world.connect()
    key = connection.token_request().fingerprint
    for name, written in ((key, row), (f"refused-{key}", other), ("fingerprint-key", row)):
        world.store.write(name, written.replace("KEY", key), world.clock.now + 3600)
    with ours(row + other):
        token = connection.token()
        assert token.access_token.isprintable()
        assert connection.headers()
    with ours():
        connection.explain()


def description(data: dict[str, Any]) -> None:
    """Read a provider's description in TOML."""
    with ours(data):
        provider = keyturn.plugins.provider_from_data(data, name="acme")
        provider.settings_schema()
        form = {"client_id": "cid", "client_secret": SECRET, "tenant": "blue"}
        with keyturn.connect(provider, form, store="memory://") as connection:
            request = connection.token_request()
            shown(request, request.redacted().body, public=data)
            shown(encode(request, 0.0)[0], public=data)


def settings(given: tuple[str, dict[Any, Any]]) -> None:
    """Read the settings of a form, and build the token request."""
    provider, form = given
    public = {name: value for name, value in form.items() if name != "client_secret"}
    with ours(public):
        found = keyturn.problems(provider, form)
        assert all(isinstance(each, errors.Problem) for each in found)
        shown(*found, public=public)
    with ours(public), keyturn.connect(provider, form, store="memory://") as connection:
        request = connection.token_request()
        redacted = request.redacted()
        shown(connection, request, redacted.body, redacted.headers, public=public)
        assert encode(request, 0.0)[0].isascii()


def redaction(text: str, secret: str) -> None:
    """Redact a string that contains a secret."""
    hidden = Redaction([keyturn.Secret(secret)])
    found = hidden.printable(text)
    assert found.isprintable()
    assert len(found) <= 300
    # A bracket may be hidden too: with it, the secret may be there reversed.
    assert hidden.text(f"<{secret}>").strip("<>") == "[hidden]" or len(secret) < 4
    hidden.value([text, {text: text}])


def toml(value: object) -> str:
    """Return a value in TOML, which is nearly the same as JSON."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(str(name))} = {toml(each)}" for name, each in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value if value is not None else "")


REFERENCES = st.dictionaries(
    st.sampled_from(["env", "file", "keyring", "x"]), VALUES, max_size=2
) | st.just({"command": ["true"]})
CONNECTION_NAMES = (
    "provider url client_id client_secret scope timeout wait margin rate_limit kind organization "
    "store body_format token_url"
)
CONNECTION = st.dictionaries(
    st.sampled_from(CONNECTION_NAMES.split()) | TEXT,
    VALUES | REFERENCES | st.sampled_from(["orocommerce", "generic", "norce-storm", "memory://"]),
    max_size=8,
)
TABLES = st.fixed_dictionaries(
    {"connections": st.dictionaries(st.sampled_from(["a", "b-c", "B_C"]) | TEXT, CONNECTION)},
    optional={"store": SCALARS, "store_key": VALUES | REFERENCES, "x": VALUES},
).map(lambda top: "\n".join(f"{name} = {toml(each)}" for name, each in top.items()))
DATA_NAMES = (
    "name title method body_format client_authentication client_id_name grant_type "
    "parameters token_headers scope_name assertion_name assertion_algorithm token_field token_type "
    "token_status lifetime_field lifetime_format missing_lifetime scope_separator error_field "
    "error_codes api_url api_headers authorization_header authorization_scheme rate_limit "
    "response_format credentials max_margin api_url_field api_domains extends values query body "
    "content_type api_query authorization_query authorization_value rejected_status rejected_codes "
    "response_encoding media_types scope_format previous discovery domains"
)
TEMPLATES = st.sampled_from(
    [
        "https://{tenant}.acme.example/token",
        "https://acme.example/{x}",
        "{client_secret}",
        "{x}.{request.body}",
        "{previous.access_token}",
        "{discovery.x}/token",
        "{uuid:json}",
        "{",
        "{}",
    ]
)
SETTING = st.dictionaries(
    st.sampled_from(["kind", "default", "description", "choices", "pattern", "optional"]) | TEXT,
    VALUES | st.sampled_from(["string", "secret", "label", "integer", "choice", "["]),
    max_size=3,
).map(lambda table: {"title": "A setting", "kind": "string"} | table)
NAMED = st.dictionaries(
    st.sampled_from(
        [
            *(
                "template",
                "encoding",
                "digest",
                "hmac_key",
                "signing_key",
                "time",
                "offset",
                "timezone",
            )
        ]
    ),
    TEMPLATES
    | TEXT
    | st.sampled_from(["base64", "hex", "sha256", "md5", "epoch", "%Y", "-1h", "Europe/Stockholm"]),
    max_size=3,
)
STEPS = st.dictionaries(
    st.sampled_from(["token_url", "url", "lifetime", "domains", "parameters", "previous"]),
    TEMPLATES | VALUES | st.just(["acme.example"]),
    max_size=3,
)
DESCRIPTIONS = st.dictionaries(
    st.sampled_from(DATA_NAMES.split()) | TEXT,
    VALUES
    | STEPS
    | st.dictionaries(st.sampled_from(["x", "y", "uuid"]) | TEXT, NAMED, max_size=2)
    | st.sampled_from(["generic", "/nonexistent/x.toml", "norce-storm", "x.toml"])
    | TEMPLATES
    | st.dictionaries(TEXT, TEMPLATES | TEXT, max_size=3)
    | st.dictionaries(st.sampled_from(["tenant", "x", "store"]) | TEXT, SETTING, max_size=3)
    | st.sampled_from(["GET", "json", "query", "private_key_jwt", "client_secret_basic", "epoch"]),
    max_size=3,
).map(lambda data: {"token_url": "https://acme.example/token"} | data)
FORM_NAMES = (
    "url client_id client_secret scope kind market organization client environment application_id "
    "token_url api_url token_field body_format client_authentication parameters private_key store"
)
USUAL_FORMS: dict[str, dict[str, object]] = {
    "orocommerce": {"url": "https://shop.example"},
    "norce-commerce": {"client": "acme", "environment": "stage", "application_id": 1042},
    "norce-storm": {"scope": "lab"},
    "commercelayer": {"kind": "integration"},
    "generic": {"token_url": "https://acme.example/token"},
}
CHANGES = st.dictionaries(
    st.sampled_from(FORM_NAMES.split()) | TEXT,
    VALUES | st.sampled_from(["https://shop.example", "integration", "stage", "lab", SECRET]),
    max_size=3,
)
FORMS = st.tuples(st.sampled_from([*USUAL_FORMS]), CHANGES).map(
    lambda pair: (
        pair[0],
        {"client_id": "cid", "client_secret": SECRET} | USUAL_FORMS[pair[0]] | pair[1],
    )
)
ENTRY = json.dumps(
    {
        "v": 1, "fingerprint": "KEY", "access_token": "x", "token_type": "Bearer", "extra": {},
        "scope": None, "expires_at": 1_800_003_600.0, "issued_at": 1_800_000_000.0,
        "clock": "x", "issued": 1_000.0,
    }
)  # fmt: skip
CACHED = json.dumps(
    {
        "v": 1, "kind": "InvalidClient", "message": "m", "error": "e", "hint": "h", "status": 401,
        "until": 1_800_000_020.0, "seconds": 30.0,
    }
)  # fmt: skip


def rows(usual: str) -> st.SearchStrategy[str]:
    """Return rows of a store with small errors."""
    fields = st.dictionaries(st.sampled_from([*json.loads(usual)]) | TEXT, VALUES, max_size=3)
    changed = fields.map(lambda each: json.dumps(json.loads(usual) | each))
    torn = st.builds(cut, st.just(usual), st.integers(0, 999), TEXT | DEEP)
    return changed | torn.map(lambda each: each.decode(errors="replace")) | TEXT | st.just(usual)


TARGETS: dict[str, tuple[Callable[..., None], tuple[st.SearchStrategy[Any], ...]]] = {
    "response": (
        response,
        (
            st.sampled_from([200, 400, 401, 429, 500, 307]) | st.integers(100, 599),
            HEADERS,
            BODIES,
            st.sampled_from(["", "orocommerce", "norce-storm", "commercelayer"]),
        ),
    ),
    "formats": (formats, (MARKUP, TEXT | DURATIONS | DATES, st.sampled_from(LIFETIME_FORMATS))),
    "times": (times, (TEXT | DATES, TEXT | DATES)),
    "configuration": (
        configuration,
        (
            TABLES.map(lambda each: each.encode(errors="replace"))
            | st.builds(cut, TABLES, st.integers(0, 999), TEXT | DEEP)
            | st.binary(),
        ),
    ),
    "scope": (scope, (VALUES | TEXT, VALUES | TEXT)),
    "store": (store, (rows(ENTRY), rows(CACHED))),
    "description": (description, (DESCRIPTIONS | FIELDS,)),
    "settings": (settings, (FORMS,)),
    "redaction": (redaction, (TEXT | QUOTED | st.text(), st.text(min_size=1) | st.just(SECRET))),
}  # fmt: skip
