"""Checks of a provider's data and of its settings class."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import attrs

from keyturn._providers.kinds import fields_of, kind_of
from keyturn._providers.provider_problems import problems
from keyturn._providers.settings import read, value_problem
from keyturn.testing.provider_kit._examples import CheckFailed
from keyturn.testing.provider_kit._schema import accepts

if TYPE_CHECKING:
    from typing import Any

    from keyturn.testing.provider_kit._subject import Subject

_NAME_REGEX = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_SECRET_REGEX = re.compile(
    r"(?:^|_)(?:secret|password|passphrase|private_key|api_?key|token|credential|pin)s?$"
)
_UNKNOWN = "surely_not_a_setting"
# Plain values that most checks refuse.
PROBES: tuple[Any, ...] = (
    *(
        "a",
        "a1",
        "A",
        "-a",
        "a-",
        "a_b",
        "a.b",
        "a..b",
        "a b",
        " a",
        "a\n",
        "a\x00b",
        "\u00e9",
        "\u2028",
    ),
    *("a/b", "../a", "a?b", "a#b", "a@b", "a:1", "a:b", "%2e", "a\\b", "a" * 64, "a" * 300),
    *("a.example", "10.0.0.1", "https://a.example", "http://a.example", "https://b@a.example"),
    *("-----BEGIN", "0", "1", "2", "3", "-1", "1.5", "100000000"),
    *(True, 0, 1, 2, 3, -1, 1.5, 100_000_000),
    *(["a"], ["a", "b"], ["A"], ["a.b"], ["a/b"], ["a:b"]),
)


def data(subject: Subject) -> None:
    """The provider's data have the right types, and its name is valid."""
    provider = subject.effective_provider
    if not _NAME_REGEX.fullmatch(provider.name):
        raise CheckFailed(
            f"name: {provider.name!r} is not a valid provider name.",
            "use lower-case letters and digits with single hyphens between them, and the same "
            "name for the entry point.",
        )
    mistakes = problems(provider)
    if mistakes:
        raise CheckFailed(
            "; ".join(map(str, mistakes)) + ".", "correct the datum before each colon."
        )
    if not subject.provider.title:
        subject.note("title: is empty; it is the platform's name as people write it.")


def settings_class(subject: Subject) -> None:
    """Settings with the names of secrets are secrets."""
    fields = attrs.fields(attrs.resolve_types(subject.provider.settings))
    for field in fields:
        is_open_string = kind_of(field.type)[0] is str and not field.metadata.get("choices")
        if _SECRET_REGEX.search(field.name) and is_open_string:
            raise CheckFailed(
                f"the setting {field.name} has the name of a secret, and is shown in every "
                "repr, log and traceback.",
                f"annotate {field.name} as keyturn.Secret.",
            )


def schema(subject: Subject) -> None:
    """The JSON Schema is valid JSON, and has a title for each setting."""
    cls = subject.provider.settings
    found = subject.call("settings_schema", subject.provider.settings_schema)
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckFailed(
            f"the JSON Schema of the settings is not JSON ({error}).",
            "give setting(…, schema=…) and choices plain JSON values.",
        ) from None
    for field in attrs.fields(cls):
        if not field.metadata.get("title"):
            raise CheckFailed(
                f"the setting {field.name} has no title, so a form shows its name from the code.",
                f"declare {field.name} with keyturn.plugins.setting(title, description, …).",
            )


def settings_read(subject: Subject) -> None:
    """The schema's required settings are required, and all mistakes are reported at once."""
    cls, values = subject.provider.settings, subject.values
    required = subject.call("settings_schema", subject.provider.settings_schema)["required"]
    for name in required:
        rest = {key: value for key, value in values.items() if key != name}
        _, mistakes = read(cls, {**rest, _UNKNOWN: 1})
        reported = {mistake.path for mistake in mistakes}
        if not {name, _UNKNOWN} <= reported:
            raise CheckFailed(
                f"without the setting {name}, and with an unknown one, only these mistakes are "
                f"reported: {', '.join(sorted(reported)) or 'none'}.",
                "leave conversion to the settings class, without an __init__, converter or "
                "validator; check settings that depend on each other in problems().",
            )


def schema_of_checks(subject: Subject) -> None:
    """The JSON Schema of a setting refuses the same values as its check."""
    cls = subject.provider.settings
    found = subject.call("settings_schema", subject.provider.settings_schema)["properties"]
    for name, field in fields_of(cls).items():
        if not field.metadata.get("check"):
            continue  # the default check, which has a schema
        for probe in PROBES:
            is_wrong = value_problem(field, probe) is not None
            if accepts(found[name], probe) is not is_wrong:
                continue
            who, other = ("schema", "check") if is_wrong else ("check", "schema")
            raise CheckFailed(
                f"the {who} of the setting {name} accepts {probe!r}, and its {other} does not: a "
                "form that is drawn from the schema shows the mistake at no field.",
                f"give setting(…, check=…) of {name} a check that has its schema, such as "
                "keyturn.plugins.matches(…), each_matches(…) or between(…); or say the same in "
                "schema=….",
            )
