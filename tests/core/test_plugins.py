"""Providers and plugins, found by entry points: isolated when listed, loud when chosen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = """
import attrs, keyturn
@attrs.frozen(kw_only=True)
class Settings(keyturn.ConfidentialSettings):
    tenant: str = keyturn.label("Tenant")
class Provider(keyturn.Provider[Settings]):
    name = "acme"
    settings = Settings
    token_url = "https://{tenant}.acme.example/oauth/token"
@keyturn.hookimpl
def keyturn_provider():
    return Provider()
"""
# Prints the outcome of choosing each provider named on the command line.
CHOOSE = """
import json, logging, sys
logging.disable()
import keyturn
for name in sys.argv[1:]:
    try:
        keyturn.provider(name)
    except keyturn.errors.KeyturnError as error:
        print(json.dumps([type(error).__name__, str(error)]))
    else:
        print(json.dumps(["", name]))
"""


class Site:
    """A directory of fake installed distributions, put on a process's path."""

    def __init__(self, directory: Path, run: Callable[..., str]) -> None:
        self.directory = directory
        self._run = run

    def install(
        self, name: str, source: str, *entries: str, group: str = "keyturn.providers"
    ) -> None:
        """Install a distribution of one module, named as it is, with entry points to it."""
        module = name.replace("-", "_").lower()
        metadata = self.directory / f"{module}-1.2.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        points = "".join(f"{entry} = {module}\n" for entry in entries)
        (metadata / "entry_points.txt").write_text(f"[{group}]\n{points}")
        (self.directory / f"{module}.py").write_text(source)

    def run(self, code: str, *arguments: str) -> str:
        """Return what code prints in a process that has these distributions."""
        return self._run(code, *arguments, PYTHONPATH=str(self.directory))

    def choose(self, *names: str) -> list[tuple[str, str]]:
        """Return for each provider the error's class and text, or nothing and its name."""
        return [tuple(json.loads(line)) for line in self.run(CHOOSE, *names).splitlines()]


@pytest.fixture
def site(tmp_path: Path, run_python: Callable[..., str]) -> Site:
    """Give an empty directory of fake distributions."""
    return Site(tmp_path / "site", run_python)


BUILT_IN = ["commercelayer", "norce-commerce", "norce-storm", "orocommerce"]


def test_listing_imports_nothing(site: Site) -> None:
    """A broken or slow plugin would break or slow down every listing."""
    site.install("Keyturn_Broken", "raise SystemExit('imported')", "broken")
    site.install("keyturn-acme", GOOD, "acme", "acme2")
    code = """
import sys, json, keyturn
listed = [[info.name, info.distribution, info.version] for info in keyturn.providers()]
imported = [name for name in sys.modules if name.startswith("keyturn_")]
print(json.dumps([listed, imported]))
"""
    listed, imported = json.loads(site.run(code))

    assert imported == []
    assert [name for name, *_ in listed] == sorted([*BUILT_IN, "acme", "acme2", "broken"])
    assert ["broken", "keyturn-broken", "1.2"] in listed
    assert ["acme", "keyturn-acme", "1.2"] in listed


def test_choosing_imports_the_chosen_one_alone(site: Site) -> None:
    """One provider's dependencies would be everybody's."""
    code = """
import sys, keyturn
keyturn.provider("orocommerce")
print(*sorted(name for name in sys.modules if name.startswith("keyturn_")))
"""
    assert site.run(code) == "keyturn_orocommerce"


BROKEN = {
    "import-error": ("import nothing_of_that_name", "ModuleNotFoundError at its import"),
    "any-error": ("1 / 0", "ZeroDivisionError at its import"),
    "syntax-error": ("def", "SyntaxError at its import"),
    "exits": ("import sys; sys.exit(0)", "SystemExit at its import"),
    "no-hook": ("", "its hook keyturn_provider is missing"),
    "unmarked": ("def keyturn_provider(): return 7", "its hook keyturn_provider is missing"),
    "misspelled": (
        "import keyturn\n@keyturn.hookimpl\ndef keyturn_provder(): pass",
        "PluginValidationError at its import",
    ),
    "greedy": (
        "import keyturn\n@keyturn.hookimpl\ndef keyturn_provider(more): pass",
        "PluginValidationError at its import",
    ),
    "raises": (
        "import keyturn\n@keyturn.hookimpl\ndef keyturn_provider(): return 1 / 0",
        "ZeroDivisionError at its import or in its hook",
    ),
    "none": (
        "import keyturn\n@keyturn.hookimpl\ndef keyturn_provider(): return None",
        "its hook keyturn_provider is missing, or does not return",
    ),
    "rubbish": (
        "import keyturn\n@keyturn.hookimpl\ndef keyturn_provider(): return {'name': 'rubbish'}",
        "does not return a keyturn.Provider",
    ),
    "a-class": (GOOD.replace("Provider()", "Provider"), "does not return a keyturn.Provider"),
    "other-name": (GOOD, "its name is not its entry point's"),
    "no-settings": (GOOD.replace("    settings = Settings", ""), "its settings are not a class"),
    "odd-settings": (GOOD.replace("= Settings", "= dict"), "its settings are not a class"),
    "no-url": (
        GOOD.replace("token_url", "tokn_url").replace('"acme"', '"no-url"'),
        "it has no token_url",
    ),
}


def test_broken_plugins_fail_loudly_and_break_no_other(site: Site) -> None:
    """A broken plugin would be told as something else, or break those beside it."""
    site.install("keyturn-acme", GOOD, "acme")
    for name, (source, _) in BROKEN.items():
        site.install(f"keyturn-{name}", source, name)
    *outcomes, good = site.choose(*BROKEN, "acme")

    assert good == ("", "acme")
    for (name, (_, words)), (kind, text) in zip(BROKEN.items(), outcomes, strict=True):
        assert kind == "ProviderLoadError", name
        assert text.startswith(f"provider {name} of distribution keyturn-{name} can't be used: ")
        assert words in text, name
        assert "Tell its authors" in text


def test_log_has_the_details_of_a_broken_plugin(site: Site) -> None:
    """A plugin's author could not find the mistake."""
    site.install("keyturn-broken", "import nothing_of_that_name", "broken")
    code = """
import io, logging, keyturn
log = io.StringIO()
logging.basicConfig(stream=log)
try:
    keyturn.provider("broken")
except keyturn.errors.ProviderLoadError as error:
    assert error.__cause__ is None and error.__context__ is None
print("No module named 'nothing_of_that_name'" in log.getvalue())
"""
    assert site.run(code) == "True"


def test_name_taken_twice_is_an_error_that_names_both(site: Site) -> None:
    """The first found would win in silence, and get another one's secrets."""
    site.install("keyturn-right", GOOD, "acme", "right")
    site.install("keyturn-left", GOOD, "acme")
    (kind, text), (_, name), (other, _) = site.choose("acme", "orocommerce", "right")

    assert kind == "ProviderConflict"
    assert "'acme' is registered by keyturn-left and by keyturn-right." in text
    assert "Uninstall all but one" in text
    assert name == "orocommerce"
    assert other == "ProviderLoadError"  # it was asked, and is not named so


def test_built_in_name_cannot_be_taken_over(site: Site) -> None:
    """A stranger's distribution would get the shop's secret."""
    site.install("keyturn-evil", "raise SystemExit('imported')", *BUILT_IN)
    code = """
import logging, sys, keyturn
logging.basicConfig(stream=sys.stdout, format="%(message)s")
print(len(keyturn.providers()), keyturn.provider("orocommerce").title)
"""
    lines = site.run(code).splitlines()

    assert lines[-1] == "4 OroCommerce"
    warning = "distribution keyturn-evil registers the built-in provider name orocommerce"
    assert any(line.startswith(warning) for line in lines)


def test_unknown_name_is_answered_with_the_nearest(site: Site) -> None:
    """A typo would send the user to the documentation."""
    site.install("keyturn-acme", GOOD, "acme")
    (kind, near), (_, far) = site.choose("acmee", "zzzzz")

    assert kind == "ProviderNotFound"
    assert near == (
        "no provider is named 'acmee'. Did you mean acme? "
        "Installed: acme, commercelayer, norce-commerce, norce-storm, orocommerce."
    )
    assert "Did you mean" not in far


def test_distribution_that_is_found_twice_counts_once(site: Site, tmp_path: Path) -> None:
    """An editable install beside its own source tree would conflict with itself."""
    site.install("keyturn-acme", GOOD, "acme")
    code = f"import sys\nsys.path.append({str(tmp_path / 'other')!r})\n{CHOOSE}"
    Site(tmp_path / "other", site.run).install("keyturn-acme", "1 / 0", "acme")

    assert json.loads(site.run(code, "acme")) == ["", "acme"]


def test_unreadable_metadata_breaks_no_listing(site: Site) -> None:
    """One damaged distribution would take all providers away."""
    site.install("keyturn-acme", GOOD, "acme")
    for name, text in {
        "torn": b"[keyturn.providers]\n\xff\xfe = x\n",
        "odd": b"[keyturn.providers]\nno equals sign\n",
    }.items():
        metadata = site.directory / f"{name}-1.dist-info"
        metadata.mkdir()
        (metadata / "entry_points.txt").write_bytes(text)

    assert site.choose("acme", "orocommerce") == [("", "acme"), ("", "orocommerce")]


# Obtains a token from an endpoint that needs no network, then prints what plugins noted.
USE = """
import logging, sys, keyturn
from keyturn.stores.memory import MemoryStore
logging.basicConfig(stream=sys.stdout, format="%(message)s")
class Transport:
    def send(self, request, seconds):
        import time
        body = b'{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 60}'
        return keyturn.Answer(200, {"content-type": "application/json"}, body, time.time())
from keyturn.settings import read
provider = keyturn.provider("orocommerce")
settings, _ = read(provider.settings, {
    "url": "https://shop.example", "client_id": "cid", "client_secret": "s3cret-for-tests"})
connection = keyturn.Connection(provider, settings, store=MemoryStore(), transport=Transport())
print(connection.token().access_token)
print(getattr(sys, "noted", None))
"""
NOTES = """
import sys, keyturn
@keyturn.hookimpl
def keyturn_event(event):
    sys.noted = dict(event)
"""


def test_plugins_are_told_of_events_and_no_secret(site: Site) -> None:
    """Metrics could not be gathered, or would hold secrets."""
    site.install("keyturn-notes", NOTES, "notes", group="keyturn.plugins")
    *_, token, noted = site.run(USE).splitlines()

    assert token == "t0ken"
    assert "'kind': 'token_obtained', 'provider': 'orocommerce'" in noted
    assert "'status': 200" in noted
    assert "t0ken" not in noted
    assert "s3cret" not in noted


HOOK = "import keyturn, sys\n@keyturn.hookimpl\ndef keyturn_event(event): {}"


@pytest.mark.parametrize("name", ["keyturn-aaa", "keyturn-zzz"])
@pytest.mark.parametrize(
    "source",
    [HOOK.format("1 / 0"), HOOK.format("sys.exit(3)"), "1 / 0", "raise SystemExit",
     "import keyturn\n@keyturn.hookimpl\ndef keyturn_evnt(): pass"],
    ids=["raises", "exits", "import-error", "exits-at-import", "misspelled"],
)  # fmt: skip
def test_broken_plugin_breaks_neither_token_nor_other_plugins(
    site: Site, name: str, source: str
) -> None:
    """A broken plugin would cost the application its tokens, or others their events."""
    site.install("keyturn-notes", NOTES, "notes", group="keyturn.plugins")
    site.install(name, source, "broken", group="keyturn.plugins")
    lines = site.run(USE).splitlines()

    assert lines[-2] == "t0ken"
    assert "'kind': 'token_obtained'" in lines[-1]
    assert len(lines) > 2  # it was told


STORE = """
import keyturn
from keyturn.stores.memory import MemoryStore
@keyturn.hookimpl
def keyturn_store(url):
    if url.startswith("mine://"):
        return MemoryStore()
    if url.startswith("rubbish://"):
        return "a store"
    if url.startswith("kaputt://"):
        raise ZeroDivisionError(url)
"""


def test_plugins_bring_stores(site: Site) -> None:
    """A stranger's store could not be named by a URL, or its plugin's defect would come out."""
    site.install("keyturn-mine", STORE, "mine", group="keyturn.plugins")
    code = """
import keyturn
print(type(keyturn.stores.from_url("mine://x")).__name__)
for address in ("rubbish://x", "kaputt://user:s3cret@x", "other://x"):
    try:
        keyturn.stores.from_url(address)
    except keyturn.errors.ConfigurationError as error:
        print("s3cret" in str(error))
"""
    assert site.run(code).split() == ["MemoryStore", "False", "False", "False"]
