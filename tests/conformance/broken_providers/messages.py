"""Mistakes in the messages of a provider, and settings that contradict each other."""

from __future__ import annotations

import itertools

import keyturn
from keyturn.plugins import ABSENT, GIVEN, Rule, choice, setting

from .base import Acme, broken


def _warning(make):
    def warnings(self, settings):
        return make(settings)

    return type("Warning", (Acme,), {"warnings": warnings, "__module__": __name__})


for _what, _message, _make in (
    (
        "quotes the secret",
        "warnings: one of them quotes a secret",
        lambda settings: [f"client_secret: {settings.client_secret.reveal()} is short."],
    ),
    (
        "quotes a part of the secret",
        "warnings: one of them quotes a secret",
        lambda settings: [f"client_secret begins with {settings.client_secret.reveal()[:8]}."],
    ),
    ("moves the cursor", "holds control characters", lambda _: ["side: \x1b[2Jmind this"]),
    ("has two lines", "holds control characters", lambda _: ["side: mind this\nand that"]),
    ("is nothing", "warnings returns NoneType, not strings", lambda _: None),
    ("is empty", "warnings: one of them is empty", lambda _: [""]),
    ("is a string", "warnings returns a string", lambda _: "mind this"),
    ("is a number", "warnings: one of them is int", lambda _: [7]),
    ("has no end", "warnings does not end", lambda _: itertools.repeat("mind this")),
    ("raises", "warnings failed", lambda settings: [settings.nothing]),
):
    broken(f"a warning that {_what}", "plugin_messages", _message)(_warning(_make))


def _with(fields=None, rules=(), problems=None, data=None):
    """Return a provider with further fields in its settings, rules and problems."""
    fields = fields or {}
    namespace = {
        "__annotations__": {name: kind for name, (kind, _) in fields.items()},
        "__module__": __name__,
        "rules": rules,
        **{name: declared for name, (_, declared) in fields.items()},
    }
    if problems:
        namespace["problems"] = problems
    cls = type("OtherSettings", (Acme.settings,), namespace)
    headers = {"X-Side": "{side}"} | {f"X-{name.title()}": f"{{{name}}}" for name in fields}
    made = type("Other", (Acme,), {"settings": cls, "api_headers": headers, **(data or {})})
    made.__module__ = __name__
    return made


def _field(kind, *arguments, **options):
    return kind, setting(*arguments, **options)


def _if_side(text):
    return lambda self: [text(self)] if self.side != "front" else []


broken("a problem that quotes the secret", "plugin_messages", "problems: one of them quotes")(
    _with(problems=_if_side(lambda own: f"side: not with {own.client_secret.reveal()}"))
)
broken(
    "a problem without advice", "plugin_messages", "problems: what one says of a setting is empty"
)(_with(problems=_if_side(lambda _: "side: ")))
broken("a problem of no setting", "plugin_messages", "problems names sight")(
    _with(problems=_if_side(lambda _: "sight: must be front"))
)
broken("a problem of two lines of control", "plugin_messages", "holds control characters")(
    _with(problems=_if_side(lambda _: "side: \x07must be front"))
)
broken(
    "a check that quotes the secret", "plugin_messages", "what its check returns quotes a secret"
)(
    _with(
        {
            "pin": _field(
                keyturn.Secret | None,
                "Pin",
                default=None,
                check=lambda value: f"{value.reveal()} is no pin",
            )
        },
        data={"api_headers": {"X-Side": "{side}"}, "token_headers": {"X-Pin": "{pin}"}},
    )
)
broken("a check that returns True", "plugin_messages", "what its check returns is bool")(
    _with(
        {
            "number": _field(
                int,
                "Number",
                default=7,
                check=lambda value: value < 0,
                schema={"minimum": 0},
            )
        }
    )
)
broken("a check without words", "plugin_messages", "what its check returns is empty")(
    _with(
        {
            "number": _field(
                int,
                "Number",
                default=7,
                check=lambda value: "" if value < 0 else None,
                schema={"minimum": 0},
            )
        }
    )
)
broken("a title of control characters", "plugin_messages", "holds control characters")(
    type("Titled", (Acme,), {"title": "Ac\x1b[31mme", "__module__": __name__})
)
broken("a rule without words", "plugin_messages", "rules of side: the problem is empty")(
    _with(rules=(Rule("side", " ", when={"scope": GIVEN}),))
)

_KIND = (str, choice("Kind", choices={"shop": "s", "office": "o"}, default="shop"))
broken("a rule for a choice that there is not", "rules_agree", "kind as 'ofice'")(
    _with({"kind": _KIND}, rules=(Rule("scope", "is required", when={"kind": "ofice"}),))
)
broken("rules that contradict", "rules_agree", "kind as 'office'")(
    _with(
        {"kind": _KIND},
        rules=(
            Rule("scope", "is required for an office", when={"kind": "office"}),
            Rule("scope", "must be absent", when={"kind": "office"}, must_be=ABSENT),
        ),
    )
)
broken("a rule that forbids its own setting", "rules_agree", "account can never be given")(
    _with(
        {"account": _field(str | None, "Account", default=None)},
        rules=(Rule("account", "must be absent", when={"client_id": GIVEN}, must_be=ABSENT),),
    )
)
broken("a problem with every choice", "rules_agree", "kind as 'office'")(
    _with(
        {"kind": _KIND},
        problems=lambda own: ["kind: is not yet sold"] if own.kind == "office" else [],
    )
)
broken("a default that its check rejects", "setting_defaults", "the default of the setting number")(
    _with({"number": _field(int, "Number", default=0, check=keyturn.plugins.between(1, 9))})
)
broken("a default of another type", "setting_defaults", "the default of the setting number")(
    _with({"number": _field(int, "Number", default="seven")})
)
broken("a default that is no choice", "setting_defaults", "the default of the setting kind")(
    _with({"kind": (str, choice("Kind", choices={"shop": "s"}, default="office"))})
)
broken("a secret for all", "setting_defaults", "the setting pass_phrase has a default")(
    _with(
        {"pass_phrase": _field(keyturn.Secret, "Pass phrase", default=keyturn.Secret("changeme"))},
        data={"api_headers": {"X-Side": "{side}"}, "token_headers": {"X-Pass": "{pass_phrase}"}},
    )
)
broken("a setting that nothing uses", "unused_names", "the setting region is not used")(
    _with(
        {"region": _field(str, "Region", default="eu")},
        data={"api_headers": {"X-Side": "{side}"}},
    )
)
for _name, _value in {
    "token_endpoint": "https://acme.example/token",
    "scopes": ("read",),
    "decorate": lambda self, settings, token: {},
    "api_base": lambda self, settings, token: "https://acme.example",
    "timeout": 10,
    "read_response": lambda self, settings, response: None,
}.items():
    broken(f"a name that keyturn does not know, {_name}", "unused_names", _name)(
        type("Named", (Acme,), {_name: _value, "__module__": __name__})
    )
broken("a misspelt datum", "data", "Did you mean lifetime_format")(
    type("Misspelt", (Acme,), {"lifetime_fromat": "epoch", "__module__": __name__})
)
broken("a misspelt method", "data", "Did you mean read_error")(
    type("Misspelt", (Acme,), {"read_eror": Acme.read_error, "__module__": __name__})
)


@broken("an error that quotes the response", "redaction", "the token is shown in an error that")
class QuotesTheResponse(Acme):
    def read_token(self, settings, response, request):
        try:
            return super().read_token(settings, response, request)
        except keyturn.errors.InvalidTokenResponse:
            raise keyturn.errors.InvalidTokenResponse(f"no token: {response.body!r}.") from None
