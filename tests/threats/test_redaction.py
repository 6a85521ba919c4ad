"""Messages of servers, plugins and users are shown without secrets and control characters."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import html
import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import AcmeSettings
from tests.threats.conftest import ENCODINGS, Canary

import keyturn
from keyturn import errors
from keyturn._common.encodings import views
from keyturn._common.redaction import MASK, Redaction
from keyturn._http.request import encode as encoded_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

SECRET, TOKEN = Canary.secret, Canary.token
UNSAFE = "a\nb\x1b[2J\x7f\x9b\u202e\u2066\u200b\u2028"
ESCAPED = r"a\nb\x1b[2J\x7f\x9b\u202e\u2066\u200b\u2028"


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_secret_is_hidden_in_each_encoding_and_other_text_is_not(
    encode: Callable[[str], str], canary: Canary
) -> None:
    """A server that quotes the request would put the secret into logs."""
    redaction = Redaction([keyturn.Secret(SECRET)])
    shown = redaction.printable(f"wrong: <{encode(SECRET)}> is unknown")

    assert canary.in_text(shown) == []
    assert MASK in shown
    assert shown.startswith("wrong: <")
    assert shown.endswith("> is unknown")


@given(
    st.text(min_size=4, max_size=40),
    st.text(max_size=20),
    st.lists(st.sampled_from([*ENCODINGS.values()]), max_size=2),
)
def test_any_secret_is_hidden_in_any_two_encodings(
    secret: str, around: str, encodings: list[Callable[[str], str]]
) -> None:
    """A secret with unusual characters, or one that was encoded twice, would be shown."""
    secret = secret.encode(errors="replace").decode()
    quoted = secret
    for encode in encodings:
        quoted = encode(quoted)
    shown = Redaction([keyturn.Secret(secret)]).text(f"{around}\n{quoted}\n{around}")

    assert secret not in shown.replace(around, "") or secret in MASK
    assert MASK in shown or secret.strip() == "" or not secret.isprintable()


@pytest.mark.parametrize(
    "encode",
    [html.escape, lambda text: json.dumps(text)[1:-1], lambda text: text.replace("/", "\\/"), repr],
)
@pytest.mark.parametrize("secret", ["s3cr+t/%25&=é", r"s3cr/%2f\u0041<é", "a/&amp;é'%41%42\\"])
def test_secret_that_looks_escaped_is_hidden(secret: str, encode: Callable[[str], str]) -> None:
    """Decoding would change the secret itself, so it would not be found."""
    quoted = encode(secret)

    assert quoted not in Redaction([keyturn.Secret(secret)]).text(f"bad <{quoted}> here")


def test_part_of_a_long_secret_is_hidden() -> None:
    """A server that quotes the beginning of a key or an assertion would show it."""
    secret = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(20))
    redaction = Redaction([keyturn.Secret(secret)])

    assert redaction.text(f"bad: {secret[:40]}…") == f"bad: {MASK}…"
    assert redaction.text(f"bad: {secret[100:140]}") == f"bad: {MASK}"
    assert redaction.text(f"bad: {secret[100:110]}") == f"bad: {secret[100:110]}"


def test_short_secret_is_hidden_as_a_word_only() -> None:
    """With a weak secret, messages would be unreadable, or show the secret."""
    redaction = Redaction([keyturn.Secret("a"), keyturn.Secret("t1")])

    assert redaction.text("can't use a=1 in t1: data-t1, YQ==") == (
        f"can't use {MASK}=1 in {MASK}: data-{MASK}, {MASK}=="
    )
    assert redaction.text("invalid_grant, at 12 s; bank") == "invalid_grant, at 12 s; bank"
    assert redaction.value({"a": ["a", 1, None, True]}) == {MASK: [MASK, 1, None, True]}


def test_every_decoding_keeps_positions() -> None:
    """Other text than the secret would be hidden."""
    text = "x%C3%A9\\u00e9&eacute;%e9\\ud83d\\ude00 " + ENCODINGS["hexadecimal"]("héllo, wörld")
    text += f" {'wörld'.encode('utf-16').hex()}"
    for view in views(text, least=4):
        starts, ends = view.places()
        assert len(view.text) == len(starts) == len(ends)
        assert all(0 <= start <= end <= len(text) for start, end in zip(starts, ends, strict=True))
    assert any(view.text.startswith("xéééé😀 ") for view in views(text, least=4))


def test_nested_escapes_end() -> None:
    """A server could keep a process busy with nested escapes."""
    nested = "%" + "25" * 400 + "41"

    assert Redaction([keyturn.Secret(SECRET)]).text(nested) == nested


def provider(world: World, **members: Any) -> Any:
    """Return a plugin's provider with the given methods."""
    return type("Plugged", (world.plain,), members)()


def raising(kind: type[Exception]) -> dict[str, Callable[..., Any]]:
    """Return a method of each kind that quotes its arguments."""

    def fail(_: object, settings: Any, *given: Any) -> Any:
        quoted = [settings.client_secret.reveal()]
        for each in given:
            if isinstance(each, keyturn.plugins.Response):
                quoted.append(each.body.decode())
            if isinstance(each, keyturn.Token):
                quoted.append(each.access_token)
        words = [encode(each) for each in quoted for encode in ENCODINGS.values()]
        error = kind(" ".join(words))
        error.add_note(words[0])
        error.words = words  # type: ignore[attr-defined]
        raise error from ValueError(*words)

    names = ("for_settings", "token_request", "read_error", "read_token", "warnings")
    return dict.fromkeys((*names, "authorization", "api_request_headers", "api_url_for"), fail)


@pytest.mark.parametrize("kind", [errors.InvalidTokenResponse, errors.ConfigurationError, KeyError])
def test_error_of_a_plugin_shows_no_secret(
    kind: type[Exception], world: World, canary: Canary
) -> None:
    """A plugin's message would put the secret or the token into logs and tickets."""
    for method, fail in raising(kind).items():
        plugged = provider(world, **{method: fail})
        world.endpoint.responses = [world.endpoint.token(TOKEN)] * 2

        def use(plugged: Any = plugged) -> None:
            connection = world.connect(plugged, client_secret=SECRET)
            connection.token()
            assert connection.api_url

        with pytest.raises(errors.KeyturnError) as caught:
            use()
        shown = traceback.format_exception(caught.value)
        shown += [repr(caught.value), repr(vars(caught.value)), repr(caught.value.args)]

        assert canary.in_text("\n".join(shown)) == [], method
        assert MASK in str(caught.value) or kind is KeyError, method


class Quoting(AcmeSettings):
    """Settings that quote a secret in their problems."""

    pin: keyturn.Secret = keyturn.plugins.setting(
        "PIN", check=lambda pin: f"{ENCODINGS['Basic'](pin.reveal())} and {UNSAFE}"
    )

    def problems(self) -> list[str]:
        """Quote the secret if the PIN is right."""
        return [f"client_secret: not {self.client_secret.reveal()}"]


def test_problem_that_quotes_a_secret_is_shown_without_it(world: World, canary: Canary) -> None:
    """A form would show the secret to anyone who sees the page or reads the log."""
    form = {"client_id": "x", "client_secret": SECRET, "pin": SECRET, SECRET: 1}
    found = keyturn.problems(provider(world, settings=Quoting), form)
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.connect(provider(world, settings=Quoting), form)

    assert canary.in_text("\n".join(map(str, [*found, caught.value]))) == []
    assert [problem.path for problem in found] == [MASK, "pin"]
    assert ESCAPED in found[1].message


def test_dynamic_value_is_hidden_when_a_server_quotes_it(world: World) -> None:
    """A signature that is valid for minutes would get into logs."""

    class Signature(keyturn.plugins.DynamicValue):
        def value(self, now: float) -> str:
            return hmac.new(SECRET.encode(), str(now).encode(), "sha256").hexdigest()

        def inputs(self) -> list[keyturn.Secret]:
            return [keyturn.Secret(SECRET)]

    def token_request(self: Any, settings: Any) -> keyturn.plugins.TokenRequest:
        usual = super(type(self), self).token_request(settings)
        return attrs.evolve(usual, extra_headers=(("X-Signature", Signature()),))

    def refuse() -> keyturn.plugins.Response:
        _, headers, _ = encoded_request(world.endpoint.requests[-1], world.clock.now)
        sent = headers["X-Signature"]
        quoted = f"signature {sent} of {base64.b64encode(sent.encode()).decode()} is wrong"
        return world.endpoint.response(
            401, {"error": "invalid_client", "error_description": quoted}
        )

    world.endpoint.responses.append(refuse)
    connection = world.connect(provider(world, token_request=token_request), client_secret=SECRET)
    with pytest.raises(errors.InvalidClient) as caught:
        connection.token()

    assert f"signature {MASK} of {MASK}" in str(caught.value)


def test_earlier_token_is_hidden_when_a_server_quotes_it(world: World) -> None:
    """A token that is still valid would get into logs with the next failure."""
    world.endpoint.responses += [
        world.endpoint.token(TOKEN),
        world.endpoint.response(400, {"error": "invalid_grant", "error_description": TOKEN}),
    ]
    connection = world.connect()
    token = connection.token()
    connection.forget()
    with pytest.raises(errors.TokenRequestRefused) as caught:
        connection.token()

    assert f"invalid_grant: {MASK}" in str(caught.value)
    assert token.access_token == TOKEN


RESPONSES: dict[str, object] = {
    "a name": {"error": "invalid_grant", SECRET: 1},
    "a number": {"error": "invalid_grant", "code": 123456789},
    "a number as a float": {"error": "invalid_grant", "code": [123456789.0]},
    "nested": {"errors": [{"detail": {SECRET: [ENCODINGS["Basic"](SECRET)]}}]},
    "700 lists": {"errors": json.loads("[" * 700 + json.dumps(SECRET) + "]" * 700)},
    "a scope": {"error": "invalid_scope", "scope": ENCODINGS["Base64 after 1 bytes"](SECRET)},
    "a surrogate": {"error": "invalid_scope", "error_description": f"\ud800{SECRET}"},
    "a success": {"access_token": TOKEN, "expires_in": 60, "message": f"{TOKEN} {SECRET}"},
    "a success with a refresh token": {"refresh_token": TOKEN, "detail": TOKEN},
    "a success with a token of another name": {"data": [{"tok": TOKEN}], "detail": [TOKEN]},
}


@pytest.mark.parametrize("secret", [SECRET, "123456789"])
@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
def test_transcript_of_any_response_shows_no_secret(
    response: object, secret: str, world: World, canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    """A transcript pasted into a ticket would show the secret, or end in a RecursionError."""
    is_success = "error" not in str(response)
    world.endpoint.responses.append(world.endpoint.response(200 if is_success else 400, response))
    connection = world.connect(client_secret=secret)
    shown = connection.explain() + caplog.text
    with contextlib.suppress(errors.InvalidTokenResponse, errors.TokenRequestRefused):
        shown += repr(connection.token())

    assert canary.in_text(shown) == [] or secret != SECRET
    assert "123456789" not in shown or secret == SECRET
    assert "\ud800" not in shown


def test_authorization_header_is_never_shown(world: World) -> None:
    """The token could be decoded from it."""

    def authorization(*given: Any) -> tuple[str, str]:
        token = given[-1]
        return "X-Auth", "Basic " + base64.b64encode(f"0:{token.access_token}".encode()).decode()

    def headers(*given: Any) -> dict[str, str]:
        token = given[-1]
        value = base64.b64encode(f"0:{token.access_token}".encode()).decode()
        return {"x-auth": "abc1", "Proxy-Authorization": "abc2", "X-Copy": value, "X-Plain": "x"}

    def token_request(self: Any, settings: Any) -> keyturn.plugins.TokenRequest:
        usual = super(type(self), self).token_request(settings)
        return attrs.evolve(usual, extra_headers=(("authorization", "abc3"), ("X-Token", "abc4")))

    plugged = provider(
        world,
        authorization=authorization,
        api_request_headers=headers,
        token_request=token_request,
        authorization_header="X-Token",
    )
    world.endpoint.responses.append(world.endpoint.token(TOKEN))
    shown = world.connect(plugged).explain()

    assert "  > X-Auth: ********" in shown
    assert "  > X-Plain: x" in shown
    for hidden in (TOKEN, "abc1", "abc2", "abc3", "abc4", *ENCODINGS["Basic"](TOKEN)[6:30].split()):
        assert hidden not in shown


def test_name_of_a_connection_cannot_control_a_terminal(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A tenant's name could forge lines of the log, or move the cursor."""
    caplog.set_level("DEBUG")
    events: list[keyturn.Event] = []
    connection = keyturn.connect(
        world.plain(), name=UNSAFE, client_id="x", client_secret="y1", on_event=events.append,
        token_url="http://127.0.0.1:1/", timeout=0.5,
    )  # fmt: skip
    with pytest.raises(errors.EndpointUnavailable) as caught:
        connection.token()
    world.land()

    assert connection.name == events[0].connection == ESCAPED
    for shown in (str(caught.value), *caplog.messages, *connection.explain().splitlines()):
        assert shown.isprintable()
    with pytest.raises(errors.ConfigurationError, match="name must be a string"):
        keyturn.connect(world.plain(), name=5, client_id="x")  # type: ignore[arg-type]


def test_stored_error_response_cannot_control_a_terminal(world: World) -> None:
    """An attacker who can write to the store could forge lines of the log."""
    world.endpoint.responses += [world.endpoint.response(401, {"error": "invalid_client"})] * 2
    connection = world.connect()
    with pytest.raises(errors.InvalidClient):
        connection.token()
    key = f"refused-{connection.token_request().fingerprint}"
    entry = json.loads(world.store.read(key) or "")
    entry |= {"message": UNSAFE, "hint": UNSAFE, "error": UNSAFE}
    world.store.write(key, json.dumps(entry), world.clock.now + 60)
    with pytest.raises(errors.InvalidClient) as caught:
        connection.token()

    assert str(caught.value).isprintable()
    assert ESCAPED in caught.value.message
    assert caught.value.hint.isprintable()


@pytest.mark.parametrize("where", ["client_id", "client_secret", "scope", "token_url"])
def test_surrogate_in_a_setting_is_an_error_of_keyturn(where: str, world: World) -> None:
    """The caller would get a UnicodeEncodeError, whose message contains the value."""
    usual = {"client_id": "x", "client_secret": SECRET, where: "https://a.example/\ud800"}
    for way in ("client_secret_basic", "client_secret_basic_raw", "client_secret_post"):
        plugged = provider(world, client_authentication=way)
        with pytest.raises(errors.KeyturnError):
            keyturn.connect(plugged, usual)
    assert keyturn.Secret("\ud800") == keyturn.Secret("\ud800")


def test_traceback_in_the_log_cannot_control_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that fails at import could hide or forge lines of the log."""
    failure = ValueError(UNSAFE)
    logging.getLogger("keyturn.plugins").warning("failed", exc_info=failure)
    lines = caplog.text.splitlines()

    assert f"ValueError: {ESCAPED}".split(r"\n")[0] in lines
    assert all(line.isprintable() for line in lines)
