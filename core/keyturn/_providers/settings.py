"""Settings: attrs classes, read from plain values with all mistakes at once."""

from __future__ import annotations

import difflib
import functools
import types
import typing
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import attrs

from keyturn._http.urls import LABEL_PATTERN, label_problem, url_problem
from keyturn._providers.schema import SCOPE_VALUE_REGEX, kind_of
from keyturn._secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import cattrs
    from cattrs.errors import ClassValidationError

S = TypeVar("S", bound="Settings")


def setting(
    title: str,
    description: str = "",
    *,
    default: Any = attrs.NOTHING,
    check: Callable[[Any], str | None] | None = None,
    schema: Mapping[str, Any] | None = None,
) -> Any:
    """Declare one field of a settings class.

    Args:
        title: Its name for people.
        description: What it is and where it is found.
        default: Its value when it isn't given; without a default it is required.
        check: Returns what is wrong with a value of the right type, without naming the value, or
            None. It is not asked about the default. A text without a check must be one line.
        schema: JSON Schema keywords that say what `check` says.
    """
    metadata = {"title": title, "description": description, "check": check, "schema": schema or {}}
    return attrs.field(default=default, metadata=metadata)


def label(title: str, description: str = "", *, default: Any = attrs.NOTHING) -> Any:
    """Declare a field that becomes one label of a host name, such as a tenant or a region."""
    schema = {"pattern": LABEL_PATTERN}
    return setting(title, description, default=default, check=label_problem, schema=schema)


def url(title: str, description: str = "", *, default: Any = attrs.NOTHING) -> Any:
    """Declare a field that is an address which secrets or tokens may be sent to."""
    schema = {"format": "uri"}
    return setting(title, description, default=default, check=url_problem, schema=schema)


def choice(
    title: str,
    description: str = "",
    *,
    choices: Mapping[str, str | Mapping[str, str]],
    default: Any = attrs.NOTHING,
) -> Any:
    """Declare a field that is one of several values, each with texts of its own for templates.

    Args:
        title: Its name for people.
        description: What it is.
        choices: The values, and the text that each stands for in a template's `{name}`; or several
            texts, for `{name[key]}`.
        default: Its value when it isn't given; without a default it is required.

    Example:
        >>> import attrs, keyturn
        >>> @attrs.frozen(kw_only=True)
        ... class AcmeSettings(keyturn.plugins.ConfidentialSettings):
        ...     environment: str = keyturn.plugins.choice(
        ...         "Environment", choices={"live": "acme.example", "test": "acme-test.example"}
        ...     )
        >>> class Acme(keyturn.plugins.Provider[AcmeSettings]):
        ...     name = "acme"
        ...     settings = AcmeSettings
        ...     token_url = "https://{environment}/oauth/token"
    """
    known = ", ".join(choices)

    def check(value: str) -> str | None:
        if value in choices:
            return None
        return f"must be one of {known}.{did_you_mean(value, choices)}"

    metadata = {
        "title": title,
        "description": description,
        "check": check,
        "schema": {"enum": list(choices)},
        "choices": choices,
    }
    return attrs.field(default=default, metadata=metadata)


def one_line(value: str | Secret) -> str | None:
    """Return what keeps a text from being one line without surrounding space, or None."""
    text = value.reveal() if isinstance(value, Secret) else value
    if text and text == text.strip() and text.isprintable():
        return None
    return "must be one line of text, without spaces around it"


def _pem_problem(value: Secret) -> str | None:
    text = value.reveal().strip()
    if text.startswith("-----BEGIN ") and "PRIVATE KEY-----" in text:
        return None
    return "must be a private key as PEM, from -----BEGIN to the last line"


@attrs.frozen(kw_only=True)
class Settings:
    """What every provider's settings have; a provider's own class derives from it."""

    token_url: str | None = url(
        "Token URL", "The token endpoint, when it isn't where the provider has it.", default=None
    )
    api_url: str | None = url(
        "API URL", "Where the API is, when it isn't where the provider has it.", default=None
    )

    def problems(self) -> Iterable[str]:
        """Return what is wrong with values that are right one by one; to be overridden."""
        return ()


@attrs.frozen(kw_only=True)
class ClientSettings(Settings):
    """The settings of a provider with clients that need not have a secret."""

    client_id: str = setting("Client ID", "The client's public name.")
    client_secret: Secret | None = setting("Client secret", "The client's secret.", default=None)


@attrs.frozen(kw_only=True)
class ConfidentialSettings(Settings):
    """The settings of a provider whose clients all have a secret."""

    client_id: str = setting("Client ID", "The client's public name.")
    client_secret: Secret = setting("Client secret", "The client's secret.")


@attrs.frozen(kw_only=True)
class KeySettings(Settings):
    """The settings of a provider whose clients prove who they are with a private key (RFC 7523)."""

    client_id: str = setting("Client ID", "The client's public name.")
    private_key: Secret = setting(
        "Private key", "The client's private key as PEM.", check=_pem_problem
    )
    key_id: str | None = setting(
        "Key ID", "The key's name (`kid`), where the provider knows several keys.", default=None
    )


@attrs.frozen(kw_only=True)
class CertificateSettings(Settings):
    """The settings of a provider whose clients have a certificate (mutual TLS, RFC 8705)."""

    client_id: str = setting("Client ID", "The client's public name.")
    certificate: str = setting(
        "Certificate", "The path of a PEM file with the client's certificate, and its chain."
    )
    certificate_key: str | None = setting(
        "Certificate key",
        "The path of a PEM file with its private key; by default it is in the same file.",
        default=None,
    )
    certificate_password: Secret | None = setting(
        "Certificate password", "What the private key is encrypted with.", default=None
    )


def read(cls: type[S], values: Mapping[str, Any]) -> tuple[S | None, list[str]]:
    """Make settings out of plain values.

    Args:
        cls: The settings class.
        values: Names and values, as from a configuration file.

    Returns:
        The settings, or None and every mistake, each naming its setting and no value.
    """
    # cattrs takes 90 ms to import: only when settings are read.
    from cattrs.errors import ClassValidationError

    try:
        settings = _converter().structure(values, cls)
    except ClassValidationError as invalid:
        mistakes = dict(_mistakes(cls, invalid))
    else:
        problems = list(settings.problems())
        return (None, problems) if problems else (settings, [])
    # What is right may still be wrong together: the rest is read once more without the mistakes.
    rest = {name: value for name, value in values.items() if name not in mistakes}
    problems = read(cls, rest)[1] if len(rest) < len(values) else []
    others = [problem for problem in problems if problem.partition(":")[0] not in mistakes]
    return None, sorted({f"{name}: {text}" for name, text in mistakes.items()} | set(others))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question after the known name nearest to `name`, or an empty text."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


@functools.cache
def _converter() -> cattrs.Converter:
    import cattrs
    from cattrs.gen import make_dict_structure_fn, override

    converter = cattrs.Converter(forbid_extra_keys=True)

    def structure_of(cls: type[Settings]) -> Callable[[Mapping[str, Any], Any], Settings]:
        hooks: dict[str, Any] = {
            field.name: override(struct_hook=functools.partial(_value, field))
            for field in attrs.fields(attrs.resolve_types(cls))
        }
        return make_dict_structure_fn(cls, converter, **hooks)

    converter.register_structure_hook_factory(
        lambda kind: isinstance(kind, type) and issubclass(kind, Settings), structure_of
    )
    return converter


class _MistakeError(ValueError):
    """What is wrong with one value, in words that don't name it."""


def _value(field: attrs.Attribute[Any], value: Any, _annotation: object) -> Any:
    kind, optional = kind_of(field.type)
    if value is None and optional:
        return None
    converted = _convert(value, kind)
    check = field.metadata.get("check") or (one_line if kind in {str, Secret} else None)
    mistake = check(converted) if check else None
    if mistake:
        raise _MistakeError(mistake)
    return converted


def _convert(value: Any, kind: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if typing.get_origin(kind) is tuple:
        return _scope_values(value)
    if typing.get_origin(kind) is Mapping:
        return _texts(value)
    if typing.get_origin(kind) is Literal:
        known = typing.get_args(kind)
        if value in known:
            return value
        question = did_you_mean(value, known) if isinstance(value, str) else ""
        raise _MistakeError(f"must be one of {', '.join(known)}.{question}")
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise _MistakeError(f"must be {_KIND_NAMES[kind]}")


_KIND_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Secret: "a text",
}


def _scope_values(value: Any) -> tuple[str, ...]:
    values = value.split() if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)) or not values:
        raise _MistakeError("must be one or several scope values, as a text or a list of texts")
    if not all(isinstance(each, str) and SCOPE_VALUE_REGEX.fullmatch(each) for each in values):
        raise _MistakeError("must have visible ASCII scope values only (RFC 6749 section 3.3)")
    return tuple(values)


def _texts(value: Any) -> Mapping[str, str]:
    if isinstance(value, Mapping) and all(isinstance(part, str) for part in chain(*value.items())):
        return types.MappingProxyType(dict(value))
    raise _MistakeError('must be names and texts, such as { audience = "…" }')


def _mistakes(cls: type[Settings], invalid: ClassValidationError) -> Iterator[tuple[str, str]]:
    from cattrs.errors import ForbiddenExtraKeysError

    known = [field.name for field in attrs.fields(cls)]
    attributed, others = invalid.group_exceptions()
    for exception, note in attributed:
        mistake = str(exception) if isinstance(exception, _MistakeError) else "is required"
        yield note.name, mistake
    for exception in others:
        names = exception.extra_fields if isinstance(exception, ForbiddenExtraKeysError) else ()
        for name in sorted(names):
            yield name, f"is not a setting of this provider.{did_you_mean(name, known)}"
