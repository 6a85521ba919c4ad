"""Descriptions that extend another one: of a file, or of an installed provider."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Write = Callable[..., Path]

BASE = """
name = "base"
title = "Acme"
token_url = "https://{tenant}.acme.example/token"
parameters = { audience = "api", mode = "live" }
rate_limit = { per_minute = 6, burst = 2 }

[settings.tenant]
kind = "label"
title = "Tenant"

[settings.mode]
title = "Mode"
optional = true
"""
USUAL = {"client_id": "made-up", "client_secret": "made-up", "tenant": "blue"}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Give a function that writes files, by name and content, and returns the last one's path."""

    def write_files(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / f"{name}.toml"
            path.write_text(text, encoding="utf-8")
        return path

    return write_files


def mistakes_in(path: Path) -> list[str]:
    """Return the mistakes that are reported in a file."""
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_file(path)
    return list(map(str, caught.value.problems))


def body_of(provider: Any, **settings: Any) -> bytes:
    """Return the body of a token request."""
    return keyturn.connect(provider, **(USUAL | settings)).token_request().body


def test_description_extends_a_file(write: Write) -> None:
    """The data that two editions of a platform share would be written twice."""
    path = write(
        base=BASE,
        acme='extends = "base.toml"\nbody_format = "json"\nparameters.audience = "other"\n'
        "parameters.mode = '{mode}'\nparameters.plan = '{plan}'\n"
        "[settings.tenant]\ntitle = 'Your shop'\n[settings.plan]\ntitle = 'Plan'\n",
    )
    provider = keyturn.plugins.provider_from_file(path)
    schema = provider.settings_schema()

    assert (provider.name, provider.title) == ("acme", "Acme")
    assert provider.rate_limit == keyturn.plugins.RateLimit(6, 2)
    assert schema["properties"]["tenant"]["title"] == "Your shop"
    assert "pattern" in schema["properties"]["tenant"]  # the kind is still label
    assert schema["required"] == ["client_id", "client_secret", "tenant", "plan"]
    assert body_of(provider, plan="a", mode="b").endswith(
        b'"audience":"other","mode":"b","plan":"a"}'
    )


def test_inherited_setting_can_be_removed(write: Write) -> None:
    """An edition without one of the settings could not extend the other edition."""
    path = write(
        base=BASE,
        acme='extends = "base.toml"\ntoken_url = "https://acme.example"\n'
        "settings.tenant = false\nsettings.mode = false",
    )
    properties = keyturn.plugins.provider_from_file(path).settings_schema()["properties"]

    assert not {"tenant", "mode"} & set(properties)
    assert mistakes_in(write(acme="settings.one = false\ntoken_url = 'https://acme.example'")) == [
        'settings.one: must be a table with kind and title: write [settings.one] title = "One"'
    ]


SCOPE = "\n[settings.scope]\nkind = 'scope'\ntitle = 'Scope'\ndefault = 'read'"


def test_scope_of_the_extending_description_is_used(write: Write) -> None:
    """Both editions would have the scope that only one of them supports."""
    plain = BASE.replace("mode = ", "kind = ").replace("[settings.mode]", "[settings.kind]")
    used = "parameters.kind = '{kind}'\n"
    path = write(base=plain + SCOPE, acme=f'extends = "base.toml"\nscope = false\n{used}')
    assert "scope" not in keyturn.plugins.provider_from_file(path).settings_schema()["properties"]
    path = write(base=f"scope = false\n{plain}", acme=f'extends = "base.toml"\n{used}{SCOPE}')
    assert body_of(keyturn.plugins.provider_from_file(path)).endswith(b"&scope=read")


def test_extended_description_may_extend_another(write: Write) -> None:
    """Three editions could not share what they have in common."""
    (write(base=BASE).parent / "sub").mkdir()
    path = write(
        acme='extends = "sub/middle.toml"\ntitle = "Top"',
        **{"sub/middle": 'extends = "../base.toml"\nparameters.mode = "{mode}"\ntitle = "Middle"'},
    )
    write(acme='extends = "sub/middle.toml"\ntitle = "Top"')
    provider = keyturn.plugins.provider_from_file(path.parents[1] / "acme.toml")

    assert provider.title == "Top"
    assert body_of(provider, mode="test").endswith(b"&audience=api&mode=test")


def test_data_extend_a_file_by_its_absolute_path(write: Write) -> None:
    """The base of data without a file would be looked up in the current working directory."""
    base = write(base=BASE.replace('"live"', '"{mode}"'))
    data = {"name": "acme", "extends": str(base)}

    assert keyturn.plugins.provider_from_data(data).title == "Acme"
    with pytest.raises(errors.ConfigurationError, match="must be an absolute path"):
        keyturn.plugins.provider_from_data({"name": "acme", "extends": "base.toml"})


MISTAKES = [
    ('"nothing.toml"', 'extends: "nothing.toml" can\'t be read: No such file or directory.'),
    ('"acme.toml"', 'extends: "acme.toml" forms a loop: a description can\'t extend itself.'),
    ('"loop.toml"', 'extends: "acme.toml" forms a loop: a description can\'t extend itself.'),
    ('"broken.toml"', 'extends: "broken.toml" is not TOML: line 2, column 5: Invalid value'),
    ('"orocommerce"', "provider orocommerce of distribution keyturn is not described as data."),
    ('"orocomerce"', "no provider is named 'orocomerce'. Did you mean orocommerce?"),
    ('["base.toml"]', 'extends: ["base.toml"] must be a file such as "base.toml", or the name'),
    ('""', 'extends: "" must be a file such as "base.toml", or the name'),
]  # fmt: skip


@pytest.mark.parametrize(("given", "mistake"), MISTAKES)
def test_base_that_cannot_be_extended_is_reported(write: Write, given: str, mistake: str) -> None:
    """A wrong base would raise a raw Python error, or cause an endless loop."""
    path = write(
        broken="\na = x", loop='extends = "acme.toml"', base=BASE, acme=f"extends = {given}"
    )
    (found,) = mistakes_in(path)

    assert mistake in found
    assert found.startswith("extends: ")


def test_mistake_in_an_extended_description_names_both_files(write: Write) -> None:
    """The author would not know which of the files to change."""
    path = write(base="settings = 1", acme='extends = "base.toml"\nsettings.a.title = "A"')
    with pytest.raises(errors.ConfigurationError) as caught:
        keyturn.plugins.provider_from_file(path)

    assert f"the description of provider acme ({path}, which extends base.toml)" in str(
        caught.value
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed distribution with two descriptions, of which one extends the other."""
    information, package = tmp_path / "keyturn_two-1.dist-info", tmp_path / "keyturn_two"
    information.mkdir()
    package.mkdir()
    points = (
        "[keyturn.providers]\nkt-one = keyturn_two\nkt-two = keyturn_two\nkt-py = keyturn_two.x\n"
    )
    (information / "entry_points.txt").write_text(points)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: keyturn-two\nVersion: 1\n")
    (package / "__init__.py").write_text("")
    (package / "x.py").write_text("")
    (package / "kt-one.toml").write_text('extends = "base.toml"\nparameters.mode = "{mode}"')
    (package / "kt-two.toml").write_text('extends = "kt-one.toml"\ntitle = "Two"')
    (package / "base.toml").write_text(BASE)
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in ("keyturn_two", "keyturn_two.x"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("package")
def test_one_distribution_has_many_descriptions() -> None:
    """Each platform of a vendor would need its own distribution."""
    one, two = keyturn.provider("kt-one"), keyturn.provider("kt-two")

    assert ((one.name, one.title), (two.name, two.title)) == (("kt-one", "Acme"), ("kt-two", "Two"))
    assert body_of(one, mode="x") == body_of(two, mode="x")


@pytest.mark.usefixtures("package")
def test_description_extends_an_installed_one(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An author would copy an installed description, and miss its corrections."""
    path = write(acme='extends = "kt-two"\nparameters.audience = "mine"')
    assert body_of(keyturn.plugins.provider_from_file(path)).endswith(b"&audience=mine")
    data = {"extends": "kt-one", "title": "Third"}
    assert keyturn.plugins.provider_from_data(data, name="third").title == "Third"

    (found,) = mistakes_in(write(acme='extends = "kt-py"'))
    assert "kt-py of distribution keyturn-two is not described as data" in found
    monkeypatch.setenv("KEYTURN_PLUGINS", "none")
    (found,) = mistakes_in(path)
    assert "is disabled by the environment variable KEYTURN_PLUGINS" in found
