"""How the fields of a settings class are declared."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from keyturn._http.urls import (
    DOMAIN_PROBLEM,
    LABEL_PATTERN,
    domain_pattern,
    label_problem,
    url_pattern,
    url_problem,
)
from keyturn._providers.checks import anchored, matches, path_or_pem, schema_of
from keyturn._providers.kinds import REQUIRED, choice_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
Text = TypeVar("Text", bound=str | None)

# A host name has at most 253 characters: this leaves as many as a label before it takes.
_LONGEST_DOMAIN = 189
# The media type that a JSON Schema has for a setting that may be PEM.
PEM_TYPE = "application/x-pem-file"


def title_of(name: str) -> str:
    """Return a title for a setting, made from its name."""
    words = re.sub(r"\b(?:api|id|url)\b", lambda word: word[0].upper(), name.replace("_", " "))
    return words[:1].upper() + words[1:]


def setting(
    title: str,
    description: str = "",
    *,
    default: T = REQUIRED,
    check: Callable[[Any], str | None] | None = None,
    schema: Mapping[str, Any] | None = None,
) -> T:
    """Declare one field of a settings class.

    Args:
        title: Its name for people.
        description: What it is and where it is found.
        default: Its value when it isn't given; without a default it is required.
        check: Returns what is wrong with a value of the right type, without naming the value, or
            None. The default is not checked. A string without a check must be one line.
            Several strings must be scope values, whatever the check.
        schema: JSON Schema keywords that are equivalent to `check`. A check of
            `keyturn.plugins.matches`, `each_matches` or `between` has its own.
    """
    return attrs.field(
        default=default,
        metadata={
            "title": title,
            "description": description,
            "check": check,
            "schema": schema_of(check) if schema is None else schema,
        },
    )


def label(title: str, description: str = "", *, default: Text = REQUIRED) -> Text:
    """Declare a field that becomes one label of a host name, such as a tenant or a region."""
    schema = {"pattern": anchored(LABEL_PATTERN)}
    return setting(title, description, default=default, check=label_problem, schema=schema)


def domain(title: str, description: str = "", *, default: Text = REQUIRED) -> Text:
    """Declare a field that is a domain name, such as `shop.example`."""
    check = matches(domain_pattern(longest=_LONGEST_DOMAIN), DOMAIN_PROBLEM)
    return setting(title, description, default=default, check=check)


def url(title: str, description: str = "", *, default: Text = REQUIRED) -> Text:
    """Declare a field that is an address to which secrets or tokens may be sent."""
    schema = {"format": "uri", "pattern": anchored(url_pattern())}
    return setting(title, description, default=default, check=url_problem, schema=schema)


def file(title: str, description: str = "", *, default: Text = REQUIRED) -> Text:
    """Declare a field that names a file of this machine, such as a certificate.

    A connection's `keyturn.NetworkPolicy` decides whether it may be set.
    """
    declared: Any = setting(title, description, default=default)
    declared.metadata["file"] = True
    return declared  # type: ignore[no-any-return]


def pem(title: str, description: str = "", *, default: Text = REQUIRED) -> Text:
    """Declare a field that is the path of a PEM file, or the contents of one (a secret)."""
    declared: Any = setting(title, description, default=default, check=path_or_pem)
    declared.metadata.update(file=True, pem=True)
    declared.metadata["schema"] = {**schema_of(path_or_pem), "contentMediaType": PEM_TYPE}
    return declared  # type: ignore[no-any-return]


def choice(
    title: str,
    description: str = "",
    *,
    choices: Mapping[str, str | Mapping[str, str]],
    default: Text = REQUIRED,
) -> Text:
    """Declare a field that is one of several values, each with its own strings for templates.

    Args:
        title: Its name for people.
        description: What it is.
        choices: The values, and the string that each stands for in a template's `{name}`; or
            several strings, for `{name[key]}`.
        default: Its value when it isn't given; without a default it is required.

    Example:
        >>> import keyturn
        >>> class AcmeSettings(keyturn.plugins.ConfidentialSettings):
        ...     environment: str = keyturn.plugins.choice(
        ...         "Environment", choices={"live": "acme.example", "test": "acme-test.example"}
        ...     )
        >>> class Acme(keyturn.plugins.Provider[AcmeSettings]):
        ...     name = "acme"
        ...     settings = AcmeSettings
        ...     token_url = "https://{environment}/oauth/token"
    """
    return attrs.field(
        default=default,
        metadata={
            "title": title,
            "description": description,
            "check": partial(choice_problem, choices=choices),
            "schema": {"enum": list(choices)},
            "choices": choices,
        },
    )
