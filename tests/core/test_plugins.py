"""Providers and plugins from entry points: listed without an import, an error when chosen."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import threading
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import HIDDEN

import keyturn
from keyturn._plugins import discovery, hooks
from keyturn._plugins import loading as plugins
from keyturn._plugins.events import emit
from keyturn._tokens.workers import pool
from keyturn.errors import ConfigurationError, ProviderLoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import World

GOOD = """
import keyturn
class Settings(keyturn.plugins.ConfidentialSettings):
    tenant: str = keyturn.plugins.label("Tenant")
class Provider(keyturn.plugins.Provider[Settings]):
    name = "acme"
    settings = Settings
    token_url = "https://{tenant}.acme.example/oauth/token"
@keyturn.plugins.hookimpl
def keyturn_provider():
    return Provider()
"""
LISTENER = "[keyturn.plugins]\nheard = heard\n"
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
    """A directory of fake installed distributions on a process's path."""

    def __init__(self, directory: Path, run: Callable[..., str]) -> None:
        self.directory = directory
        self._run = run

    def install(
        self, name: str, source: str, *entries: str, group: str = "keyturn.providers"
    ) -> None:
        """Install a distribution of one module, with entry points to it and the module's name."""
        module = name.replace("-", "_").lower()
        points = "".join(f"{entry} = {module}\n" for entry in entries)
        self.register(name, f"[{group}]\n{points}")
        (self.directory / f"{module}.py").write_text(source)

    def register(self, name: str, entry_points: str) -> None:
        """Write a distribution's metadata, with the content of its entry_points.txt."""
        metadata = self.directory / f"{name.replace('-', '_').lower()}-1.2.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (metadata / "entry_points.txt").write_text(entry_points)

    def run(self, code: str, *arguments: str) -> str:
        """Return what code prints in a process that has these distributions."""
        return self._run(code, *arguments, PYTHONPATH=f"{self.directory}:{HIDDEN}")

    def choose(self, *names: str) -> list[tuple[str, str]]:
        """Return for each provider the error's class and message, or "" and its name."""
        return [tuple(json.loads(line)) for line in self.run(CHOOSE, *names).splitlines()]


@pytest.fixture
def site(tmp_path: Path, run_python: Callable[..., str]) -> Site:
    """Give an empty directory of fake distributions."""
    return Site(tmp_path / "site", run_python)


@pytest.fixture
def here(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give an empty directory of distributions, on this process's path until the test ends."""
    monkeypatch.syspath_prepend(site.directory)
    forget()
    yield site
    forget()
    for module in site.directory.glob("*.py"):
        sys.modules.pop(module.stem, None)


def forget() -> None:
    """Forget the plugins that this process has loaded."""
    plugins.loaded_provider.cache_clear()
    plugins.plugin_manager.cache_clear()


EVENT = keyturn.Event(
    kind="token_request", connection="shop", provider="acme", host="acme.example", lifetime=3600.0
)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings that were logged, without tracebacks."""
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def secrets() -> list[str]:
    """Return the results of the plugins' hook for secrets."""
    return plugins.call_plugins("keyturn_secret", str, source="vault", reference="x")


def hookimpl(definition: str, body: str = "pass") -> str:
    """Return the source of a module with one hook, whose name is given without `keyturn_`."""
    return f"import keyturn, sys\n@keyturn.plugins.hookimpl\ndef keyturn_{definition}: {body}\n"


BUILT_IN = ["commercelayer", "generic", "norce-commerce", "norce-storm", "orocommerce"]


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


def test_choosing_a_provider_imports_no_other(site: Site) -> None:
    """A user would need the dependencies of providers that are not used."""
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
    "panics": ("class Panic(BaseException): pass\nraise Panic", "Panic at its import"),
    "misspelled": (hookimpl("provder()"), "PluginValidationError at its import"),
    "greedy": (hookimpl("provider(more)"), "PluginValidationError at its import"),
    "raises": (hookimpl("provider()", "1 / 0"), "ZeroDivisionError at its import or in its hook"),
    "exits-in-hook": (hookimpl("provider()", "sys.exit()"), "SystemExit at its import or in its"),
    "none": (hookimpl("provider()"), "its hook keyturn_provider is missing, or does not return"),
    "rubbish": (hookimpl("provider()", "return {}"), "does not return a keyturn.plugins.Provider"),
    "trap": (
        GOOD.replace(
            'token_url = "', 'token_url = property(lambda self: 1 / 0)\n    x = "'
        ).replace('"acme"', '"trap"'),
        "ZeroDivisionError at its import or in its hook",
    ),
    "a-class": (
        GOOD.replace("Provider()", "Provider"),
        "does not return a keyturn.plugins.Provider",
    ),
    "other-name": (GOOD, "its name differs from its entry point's"),
    "no-settings": (GOOD.replace("    settings = Settings", ""), "settings: must be a class"),
    "odd-settings": (GOOD.replace("= Settings", "= dict"), "settings: must be a class"),
    "no-url": (
        GOOD.replace("token_url", "tokn_url").replace('"acme"', '"no-url"'),
        "token_url: is required; tokn_url: is not known. Did you mean token_url?",
    ),
}


def test_broken_plugin_raises_an_error_and_affects_no_other(site: Site) -> None:
    """A broken plugin would be reported as another failure, or break other plugins."""
    site.install("keyturn-acme", GOOD, "acme")
    for name, (source, _) in BROKEN.items():
        site.install(f"keyturn-{name}", source, name)
    *outcomes, good = site.choose(*BROKEN, "acme")

    assert good == ("", "acme")
    for (name, (_, words)), (kind, text) in zip(BROKEN.items(), outcomes, strict=True):
        assert kind == "ProviderLoadError", name
        assert text.startswith(f"provider {name} of distribution keyturn-{name} can't be used: ")
        assert words in text, name
        assert text.endswith("to its authors; the log keyturn.plugins (INFO) has details.")


def test_log_has_the_details_of_a_broken_plugin(site: Site) -> None:
    """A plugin's author could not find the mistake."""
    site.install("keyturn-broken", "import nothing_of_that_name", "broken")
    code = """
import io, logging, keyturn
log = io.StringIO()
logging.basicConfig(stream=log, level=logging.INFO)
try:
    keyturn.provider("broken")
except keyturn.errors.ProviderLoadError as error:
    assert error.__cause__ is None and error.__context__ is None
print("No module named 'nothing_of_that_name'" in log.getvalue())
"""
    assert site.run(code) == "True"


def test_duplicate_name_is_an_error_that_names_both(site: Site) -> None:
    """The first provider found would be used silently, and get the secrets of the other."""
    site.install("keyturn-right", GOOD, "acme", "right")
    site.install("keyturn-left", GOOD, "acme")
    (kind, text), (_, name), (other, _) = site.choose("acme", "orocommerce", "right")

    assert kind == "ProviderConflict"
    assert "'acme' is registered by keyturn-left and by keyturn-right." in text
    assert "Uninstall all but one" in text
    assert name == "orocommerce"
    assert other == "ProviderLoadError"  # it was imported, and has another name


@pytest.mark.parametrize(
    "name", ["keyturn-evil", "keyturn", "Keyturn", "KEYTURN", "keyturn_norce", "KEYTURN.generic"]
)
def test_built_in_name_cannot_be_taken_over(site: Site, name: str) -> None:
    """A third-party distribution with a built-in provider's name would get its secrets."""
    site.directory.mkdir()
    site.register(name, "[keyturn.providers]\n" + "".join(f"{each} = evil\n" for each in BUILT_IN))
    (site.directory / "evil.py").write_text("raise SystemExit('imported')")
    code = """
import logging, sys, keyturn
logging.basicConfig(stream=sys.stdout, format="%(message)s")
print(len(keyturn.providers()), keyturn.provider("orocommerce").title)
"""
    lines = site.run(code).splitlines()

    assert lines[-1] == "5 OroCommerce"
    shown = re.sub("[_.]", "-", name).lower()
    warning = f"distribution {shown} registers the built-in provider name orocommerce"
    assert any(line.startswith(warning) for line in lines)


def test_plugin_of_another_distribution_named_keyturn_is_third_party(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a plugin would not be checked, and could not be disabled."""
    here.directory.mkdir()
    here.register("Keyturn", "[keyturn.providers]\nacme = acme_theirs\n")
    source = GOOD.replace('"https://{tenant}', '"http://{tenant}')
    (here.directory / "acme_theirs.py").write_text(source)
    with pytest.raises(ProviderLoadError, match="token_url"):
        keyturn.provider("acme")
    monkeypatch.setenv("KEYTURN_PLUGINS", "-acme")

    with pytest.raises(ProviderLoadError, match="is disabled by the environment variable"):
        keyturn.provider("acme")


def test_error_for_an_unknown_name_suggests_the_nearest(site: Site) -> None:
    """A typo would send the user to the documentation."""
    site.install("keyturn-acme", GOOD, "acme")
    (kind, near), (_, far) = site.choose("acmee", "zzzzz")

    assert kind == "ProviderNotFound"
    assert near == (
        "no provider is named 'acmee'. Did you mean acme? "
        "Installed: acme, commercelayer, generic, norce-commerce, norce-storm, orocommerce."
    )
    assert "Did you mean" not in far


def test_provider_name_that_is_not_a_string_is_reported() -> None:
    """A name of another type would raise an exception that is not a KeyturnError."""
    with pytest.raises(ConfigurationError, match="the name of a provider must be a string"):
        keyturn.provider(7)  # type: ignore[arg-type]


def test_distribution_found_twice_counts_once(site: Site, tmp_path: Path) -> None:
    """An editable install beside its own source tree would conflict with itself."""
    site.install("keyturn-acme", GOOD, "acme")
    code = f"import sys\nsys.path.append({str(tmp_path / 'other')!r})\n{CHOOSE}"
    Site(tmp_path / "other", site.run).install("keyturn-acme", "1 / 0", "acme")

    assert json.loads(site.run(code, "acme")) == ["", "acme"]


def test_unreadable_metadata_breaks_no_listing(site: Site) -> None:
    """One damaged distribution would make all providers unavailable."""
    site.install("keyturn-acme", GOOD, "acme")
    for name, text in {
        "torn": b"[keyturn.providers]\n\xff\xfe = x\n",
        "odd": b"[keyturn.providers]\nno equals sign\n",
    }.items():
        metadata = site.directory / f"{name}-1.dist-info"
        metadata.mkdir()
        (metadata / "entry_points.txt").write_bytes(text)

    assert site.choose("acme", "orocommerce") == [("", "acme"), ("", "orocommerce")]
    code = "import logging, sys; logging.basicConfig(stream=sys.stdout); import keyturn as k"
    shown = site.run(f"{code}; k.providers()")
    assert "torn-1.dist-info can't be read (UnicodeDecodeError)" in shown
    assert "odd-1.dist-info can't be read" in shown


def in_archive(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an archive with the distribution on the path, after a missing directory."""
    site.register("heard", LISTENER)
    (file,) = site.directory.rglob("entry_points.txt")
    with zipfile.ZipFile(site.directory / "packed.zip", "w") as archive:
        for each in file.parent.iterdir():
            archive.write(each, f"heard-1.2.dist-info/{each.name}")
    path = [str(site.directory / "missing"), str(site.directory / "packed.zip")]
    monkeypatch.setattr(sys, "path", path)


def in_egg(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an egg on the path."""
    information = site.directory / "heard-1.egg" / "EGG-INFO"
    information.mkdir(parents=True)
    (information / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: heard\nVersion: 1\n")
    (information / "entry_points.txt").write_text(LISTENER)
    monkeypatch.setattr(sys, "path", [str(information.parent)])


def in_working_directory(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the working directory on the path."""
    site.register("heard", LISTENER)
    monkeypatch.chdir(site.directory)
    monkeypatch.setattr(sys, "path", [""])


def by_importer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install an importer that finds the distribution, which is not on the path."""
    site.register("heard", LISTENER)
    only = metadata.DistributionFinder.Context(path=[str(site.directory)])
    importer = SimpleNamespace(
        find_distributions=lambda _: metadata.MetadataPathFinder.find_distributions(only),
        find_spec=lambda *_: None,
    )
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, importer])


@pytest.mark.parametrize("install", [in_archive, in_egg, in_working_directory, by_importer])
def test_plugin_is_found_wherever_importlib_metadata_finds_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, install: Callable[..., None]
) -> None:
    """A plugin of a bundled application, or in an archive, would get no events."""
    with monkeypatch.context() as patch:
        install(site, patch)
        found = [each.name for each in discovery.installed("keyturn.plugins")]

    assert found == ["heard"]


def test_entry_points_that_can_not_be_read_are_reported(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged installation of a plugin would look like one without plugins."""
    site.register("heard", LISTENER)
    (file,) = site.directory.rglob("entry_points.txt")
    file.write_bytes(b"\xff" + LISTENER.encode())
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [str(site.directory)])
        found = discovery.installed("keyturn.plugins")

    assert found == []
    assert "heard" in caplog.text


def test_importlib_metadata_is_not_imported_without_a_plugin(
    run_new_python: Callable[..., str],
) -> None:
    """Each process that requests a token would take 10 to 40 ms longer."""
    code = "import sys; from keyturn._plugins import loading; loading.plugin_manager()"

    assert run_new_python(f"{code}; print('importlib.metadata' in sys.modules)") == "False"


# Requests a token from an endpoint that needs no network, then prints what plugins recorded.
USE = """
import logging, sys, time, keyturn
from keyturn._connection import make_connection
from keyturn._tokens.options import Specification
from keyturn._tokens.workers import pool
from keyturn.stores._memory import MemoryStore
logging.basicConfig(stream=sys.stdout, format="%(message)s")
class Transport:
    def send(self, request, seconds, clock, policy):
        body = b'{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 60}'
        headers = {"content-type": "application/json"}
        return keyturn.plugins.Response(200, headers, body, clock.time())
from keyturn._providers.settings import read
provider = keyturn.provider("orocommerce")
settings, _ = read(provider.settings, {
    "url": "https://shop.example", "client_id": "cid", "client_secret": "s3cret-for-tests"})
connection = make_connection(
    Specification(provider, settings), MemoryStore(), transport=Transport()
)
token = connection.token().access_token
while pool.get().load():  # a worker reports the event
    time.sleep(0.001)
print(token)
print(getattr(sys, "noted", None))
"""
NOTES = """
import sys, keyturn
@keyturn.plugins.hookimpl
def keyturn_event(event):
    sys.noted = event
"""


def test_plugins_get_events_without_secrets(site: Site) -> None:
    """Metrics could not be collected, or would contain secrets."""
    site.install("keyturn-notes", NOTES, "notes", group="keyturn.plugins")
    *_, token, noted = site.run(USE).splitlines()

    assert token == "t0ken"
    assert "kind='token_request', connection='orocommerce', provider='orocommerce'" in noted
    assert "status=200, error=None, lifetime=60.0" in noted
    assert "t0ken" not in noted
    assert "s3cret" not in noted


ALONE = (
    "keyturn does not use plugin broken: plugin broken of distribution keyturn-broken "
    "can't be used: "
)
FAILED = "plugin broken of distribution keyturn-broken failed in keyturn_event"
UNHASHABLE = """
import keyturn
class Plugin:
    __hash__ = None
    @keyturn.plugins.hookimpl
    def keyturn_event(self, event): pass
sys = __import__("sys")
sys.modules[__name__] = Plugin()
"""
# What a plugin of the group `keyturn.plugins` does, and how that is logged.
BROKEN_PLUGINS = {
    "import-error": ("1 / 0", ALONE + "ZeroDivisionError at its import"),
    "exits-at-import": ("raise SystemExit", ALONE + "SystemExit at its import"),
    "panics": ("class Panic(BaseException): pass\nraise Panic", ALONE + "Panic at its import"),
    "misspelled": (hookimpl("evnt()"), ALONE + "PluginValidationError at its import"),
    "greedy": (hookimpl("event(event, more)"), ALONE + "PluginValidationError at its import"),
    "unmarked": ("def keyturn_event(event): pass", ALONE + "it implements none of the hooks"),
    "other-group": (hookimpl("provider()"), ALONE + "it implements none of the hooks"),
    "number": ("import sys; sys.modules[__name__] = 7", ALONE + "it implements none of the"),
    "unhashable": (UNHASHABLE, ALONE + "TypeError at its import"),
    "raises": (hookimpl("event(event)", "1 / 0"), FAILED + ": ZeroDivisionError, at line 3 of "),
    "exits": (hookimpl("event(event)", "sys.exit(3)"), FAILED + ": SystemExit, at line 3 of "),
}


@pytest.mark.parametrize("kind", BROKEN_PLUGINS)
def test_broken_plugin_is_logged_and_affects_no_other(
    here: Site, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """Other plugins would get no events, or no message would name the broken plugin."""
    source, shown = BROKEN_PLUGINS[kind]
    for name in ("aaa", "zzz"):
        here.install(f"keyturn-{name}", NOTES.replace("noted", name), name, group="keyturn.plugins")
    here.install("keyturn-broken", source, "broken", group="keyturn.plugins")
    emit(EVENT, None)

    assert [sys.__dict__.pop(name, None) for name in ("aaa", "zzz")] == [EVENT, EVENT]
    (warning,) = warnings_of(caplog)
    assert shown in warning
    assert "Update it" in warning


@pytest.mark.parametrize("kind", ["raises", "exits", "import-error"])
def test_broken_plugin_prevents_no_token(site: Site, kind: str) -> None:
    """A plugin that only observes events would break the application."""
    site.install("keyturn-notes", NOTES, "notes", group="keyturn.plugins")
    site.install("keyturn-broken", BROKEN_PLUGINS[kind][0], "broken", group="keyturn.plugins")
    *shown, token, noted = site.run(USE).splitlines()

    assert token == "t0ken"
    assert "kind='token_request'" in noted
    assert shown


def test_log_says_which_argument_a_hook_does_not_have(
    here: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """An author who uses an argument of another version would not see the cause."""
    caplog.set_level(logging.INFO)
    here.install("keyturn-b", hookimpl("event(event, more)"), "b", group="keyturn.plugins")

    assert plugins.call_plugins("keyturn_event", event={}) == []
    assert "Argument(s) {'more'} are declared in the hookimpl but can not be found" in caplog.text


INTERRUPT = hookimpl("event()", "raise KeyboardInterrupt")


@pytest.mark.parametrize("source", ["raise KeyboardInterrupt", INTERRUPT], ids=["import", "hook"])
def test_keyboard_interrupt_in_a_plugin_reaches_the_caller(here: Site, source: str) -> None:
    """Ctrl-C while a plugin is imported or runs would be reported as the plugin's defect."""
    here.install("keyturn-slow", source, "slow", group="keyturn.plugins")

    with pytest.raises(KeyboardInterrupt):
        plugins.call_plugins("keyturn_event", event={})


def test_keyboard_interrupt_on_the_listeners_thread_is_ignored(here: Site) -> None:
    """A KeyboardInterrupt in a listener would end its thread, or prevent the token."""
    here.install("keyturn-slow", INTERRUPT, "slow", group="keyturn.plugins")

    emit(EVENT, None)


HANGS = """
import sys, threading, keyturn
sys.listener_may_end = threading.Event()
@keyturn.plugins.hookimpl
def keyturn_event(event):
    assert sys.listener_may_end.wait(20)
"""


def test_hanging_listener_prevents_no_token(
    here: Site, world: World, wait_until: Callable[[Callable[[], object]], None]
) -> None:
    """A hanging plugin that counts token requests would block every caller."""
    here.install("keyturn-slow", HANGS, "slow", group="keyturn.plugins")
    world.land()
    connection = world.connect()
    first = connection.token()
    assert connection.token(stale=first).access_token == "token-2"
    busy = pool.get().load()
    wait_until(lambda: hasattr(sys, "listener_may_end"))
    sys.__dict__.pop("listener_may_end").set()
    world.land()

    assert busy == 2  # both listeners were still running


ASKS_BACK = """
import sys, keyturn
@keyturn.plugins.hookimpl
def keyturn_event(event):
    sys.asked = sys.connection_of_the_test.token().access_token
"""


def test_listener_may_ask_for_the_token(here: Site, world: World) -> None:
    """A listener that needs the token would deadlock."""
    here.install("keyturn-asks", ASKS_BACK, "asks", group="keyturn.plugins")
    sys.connection_of_the_test = connection = world.connect()  # type: ignore[attr-defined]
    try:
        assert connection.token().access_token == "token-1"
        world.land()
        assert sys.__dict__.pop("asked") == "token-1"
    finally:
        del sys.connection_of_the_test  # type: ignore[attr-defined]


def test_events_are_reported_even_without_a_new_thread(
    here: Site, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At interpreter shutdown, the last events and their token would be lost."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    here.install("keyturn-notes", NOTES, "notes", group="keyturn.plugins")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert world.connect().token().access_token == "token-1"

    world.land()  # another test may have left a worker
    noted = sys.__dict__.pop("noted")
    assert (noted.kind, noted.lifetime) == ("token_request", 3600)


MEDDLES = hookimpl("event(event)", "event.status = 200")


def test_plugin_cannot_change_the_event_that_others_get(
    here: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """One plugin's defect would change the event that all others get."""
    here.install("keyturn-a", MEDDLES, "a", group="keyturn.plugins")
    here.install("keyturn-z", NOTES, "z", group="keyturn.plugins")
    emit(EVENT, None)

    assert "FrozenInstanceError" in caplog.text
    assert sys.__dict__.pop("noted") == EVENT
    assert EVENT.status is None


def test_keyboard_interrupt_in_a_providers_import_reaches_the_caller(here: Site) -> None:
    """Ctrl-C would be reported as the provider's defect."""
    here.install("keyturn-slow", "raise KeyboardInterrupt", "slow")

    with pytest.raises(KeyboardInterrupt):
        keyturn.provider("slow")


WRAPPER = """
import keyturn
@keyturn.plugins.hookimpl(wrapper=True)
def keyturn_secret():
    yield
    return "s3cret-for-tests"
"""


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (hookimpl("secret()", "return b's3cret-for-tests'"), "bytes"),
        (hookimpl("secret()", "return keyturn.Secret('s3cret-for-tests')"), "Secret"),
        (hookimpl("secret()", "return ['s3cret-for-tests']"), "list"),
        (hookimpl("secret()", "yield 's3cret-for-tests'"), "generator"),
        (WRAPPER.replace("return", "return 7 #"), "int"),
        (WRAPPER.replace("return", "pass #"), "NoneType"),
    ],
)
def test_wrong_result_is_logged_and_ignored(
    here: Site, caplog: pytest.LogCaptureFixture, source: str, kind: str
) -> None:
    """An invalid result would be used, or hide the secret that the next plugin returns."""
    here.install("keyturn-a", source, "a", group="keyturn.plugins")
    here.install("keyturn-b", hookimpl("secret()", "return 'right'"), "b", group="keyturn.plugins")

    assert secrets() == ["right"]
    (warning,) = warnings_of(caplog)
    assert warning == (
        f"plugin a of distribution keyturn-a failed in keyturn_secret: it returned {kind} "
        "instead of str or None. Update it, report it to its authors, or disable it with "
        "KEYTURN_PLUGINS."
    )


def test_result_of_a_hook_wrapper_is_one_result(here: Site) -> None:
    """Each character of the string would be treated as one result."""
    here.install("keyturn-a", WRAPPER, "a", group="keyturn.plugins")
    found = secrets()

    assert found == ["s3cret-for-tests"]


def test_plugins_are_asked_in_the_order_of_their_names(here: Site) -> None:
    """The plugin whose result is used would change from run to run."""
    for name in "cabed":
        source = hookimpl("secret()", f"return {name!r}")
        here.install(f"keyturn-{name}", source, f"{name}-{name}", group="keyturn.plugins")
    found = secrets()

    assert found == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("arguments", ["", "source", "reference", "reference, source"])
def test_secret_hook_may_take_fewer_arguments(here: Site, arguments: str) -> None:
    """A plugin would have to be changed whenever a hook gets a new argument."""
    source = hookimpl(f"secret({arguments})", f"return repr([{arguments}])")
    here.install("keyturn-a", source, "a", group="keyturn.plugins")
    values = {"source": "vault", "reference": 7}
    expected = repr([values[name] for name in arguments.split(", ") if name])

    assert plugins.call_plugins("keyturn_secret", str, **values) == [expected]


def test_store_and_event_hooks_may_take_no_argument(here: Site) -> None:
    """A store or an event hook would have to be changed with each new argument."""
    store = "from keyturn.stores._memory import MemoryStore as S\n"
    source = store + hookimpl("store()", "return S()") + hookimpl("event()", "sys.noted = 1")
    here.install("keyturn-a", source, "a", group="keyturn.plugins")
    emit(EVENT, None)

    assert type(keyturn.stores.from_url("any://x")).__name__ == "MemoryStore"
    assert sys.__dict__.pop("noted") == 1


STORE = """
import keyturn
from keyturn.stores._memory import MemoryStore
@keyturn.plugins.hookimpl
def keyturn_store(url):
    if url.startswith("mine://"):
        return MemoryStore()
    if url.startswith("rubbish://"):
        return "a store"
    if url.startswith("kaputt://"):
        raise ZeroDivisionError(url)
"""


def test_plugins_provide_stores(site: Site) -> None:
    """A third-party store could not be named by a URL, or its defect would be a raw error."""
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


CHOICES = {
    "": {"acme", "other"},
    "  ": {"acme", "other"},
    "-acme": {"other"},
    "-acme, -nothing": {"other"},
    " -acme,-other ": set(),
    "acme": {"acme"},
    "nothing , other": {"other"},
    "other,acme": {"acme", "other"},
    "none": set(),
    "-none": {"acme", "other"},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_environment_chooses_plugins(
    here: Site, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    """A harmful plugin could not be disabled without uninstalling it."""
    for name in ("acme", "other"):
        here.install(f"keyturn-{name}", GOOD.replace('"acme"', f'"{name}"'), name)
        vault = hookimpl("secret()", f"return {name!r}")
        here.install(f"vault-{name}", vault, name, group="keyturn.plugins")
    monkeypatch.setenv("KEYTURN_PLUGINS", choice)
    admitted = set()
    for name in ("acme", "other"):
        try:
            admitted.add(keyturn.provider(name).name)
        except ProviderLoadError as error:
            assert str(error) == (  # noqa: PT017 - either outcome is checked
                f"provider {name} of distribution keyturn-{name} is disabled by the environment "
                "variable KEYTURN_PLUGINS. Change KEYTURN_PLUGINS, or choose another provider."
            )

    assert admitted == CHOICES[choice]
    assert set(secrets()) == CHOICES[choice]
    assert keyturn.provider("orocommerce").title == "OroCommerce"
    assert [info.name for info in keyturn.providers()] == sorted([*BUILT_IN, "acme", "other"])


def test_disabled_plugins_are_not_imported(
    here: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disabled plugin would still run code at its import, or be logged at each call."""
    caplog.set_level(logging.INFO)
    here.install("keyturn-p", "import sys; sys.imported = True", "evil")
    here.install("keyturn-q", "import sys; sys.imported = True", "evil", group="keyturn.plugins")
    monkeypatch.setenv("KEYTURN_PLUGINS", "-evil")
    with pytest.raises(ProviderLoadError, match="disabled"):
        keyturn.provider("evil")
    emit(EVENT, None)

    assert not hasattr(sys, "imported")
    assert warnings_of(caplog) == []
    assert "plugin evil of distribution keyturn-q is disabled by KEYTURN_PLUGINS" in caplog.text


def test_built_in_providers_are_never_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A choice of third-party plugins would disable the built-in providers."""
    forget()
    monkeypatch.setenv("KEYTURN_PLUGINS", "-orocommerce")

    assert keyturn.provider("orocommerce").title == "OroCommerce"


@pytest.mark.parametrize("choice", ["acme,-other", "-acme,other", "acme,", ",", "-", "--a", "a b"])
def test_invalid_choice_of_plugins_is_refused(
    here: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, choice: str
) -> None:
    """A plugin that should be disabled would be loaded."""
    here.install("keyturn-a", "import sys; sys.imported = True", "a", group="keyturn.plugins")
    monkeypatch.setenv("KEYTURN_PLUGINS", choice)
    for name in ("acme", "orocommerce"):
        here.install(f"keyturn-{name}", GOOD, name)
        with pytest.raises(ConfigurationError, match="KEYTURN_PLUGINS is invalid") as caught:
            keyturn.provider(name)
        assert "-acme,-vault" in caught.value.hint
    caplog.clear()
    emit(EVENT, None)

    assert not hasattr(sys, "imported")
    assert "KEYTURN_PLUGINS is invalid" in warnings_of(caplog)[0]
    assert [info.name for info in keyturn.providers()] == sorted([*BUILT_IN, "acme"])


NEWER = "[keyturn.providers.v2]\nnew = nothing_here\n[keyturn.plugins.v3]\nnew = nothing_here\n"


def test_plugin_of_a_newer_version_is_reported_before_its_import(
    here: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """The plugin would fail with an unclear error, although an update of keyturn would help."""
    here.register("keyturn-new", NEWER)
    emit(EVENT, None)

    assert "new" in [info.name for info in keyturn.providers()]
    with pytest.raises(ProviderLoadError) as caught:
        keyturn.provider("new")
    shown = (
        "new of distribution keyturn-new can't be used: it is written for version {} of the plugin "
        "API, and this keyturn supports 1 to 1. Update keyturn."
    )
    assert str(caught.value) == "provider " + shown.format(2)
    assert warnings_of(caplog) == ["keyturn does not use plugin new: plugin " + shown.format(3)]


def test_plugin_of_an_older_version_works_and_warns(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update of keyturn would break every plugin, or warn no author."""
    here.install("keyturn-acme", GOOD, "acme")
    here.install("keyturn-b", hookimpl("secret()", "return 'b'"), "b", group="keyturn.plugins")
    monkeypatch.setattr(hooks, "API_VERSION", 2)
    what = "of distribution {} is written for version 1 of the plugin API. That is deprecated"

    with pytest.warns(DeprecationWarning, match="acme " + what.format("keyturn-acme")):
        assert keyturn.provider("acme").name == "acme"
    with pytest.warns(DeprecationWarning, match="b " + what.format("keyturn-b")):
        assert secrets() == ["b"]


def test_plugin_of_an_unsupported_version_is_reported_before_its_import(
    here: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The plugin would work in part, or fail without a reason in the message."""
    here.register("keyturn-old", "[keyturn.providers]\nold = nope\n[keyturn.plugins]\nold = nope\n")
    monkeypatch.setattr(hooks, "API_VERSION", 3)
    monkeypatch.setattr(hooks, "OLDEST_API_VERSION", 2)
    emit(EVENT, None)

    shown = (
        "it is written for version 1 of the plugin API, and this keyturn supports 2 to 3. Update "
    )
    with pytest.raises(ProviderLoadError, match=shown + "keyturn-old"):
        keyturn.provider("old")
    assert shown + "keyturn-old." in warnings_of(caplog)[0]


@pytest.mark.parametrize(("newest", "used"), [(1, "v1"), (2, "v2"), (3, "v3"), (4, "v3")])
def test_plugin_for_several_versions_is_used_in_the_newest_that_fits(
    here: Site, monkeypatch: pytest.MonkeyPatch, newest: int, used: str
) -> None:
    """A distribution could not serve users of an old and of a new keyturn."""
    groups = {"v1": "keyturn.providers", "v2": "keyturn.providers.v2", "v3": "keyturn.providers.v3"}
    points = "".join(f"[{group}]\nacme = acme_{name}\n" for name, group in groups.items())
    here.register("keyturn-acme", points + "[keyturn.providers.v0]\nnever = x\n")
    for name in groups:
        (here.directory / f"acme_{name}.py").write_text(GOOD)
    monkeypatch.setattr(hooks, "API_VERSION", newest)
    monkeypatch.setattr(hooks, "OLDEST_API_VERSION", min(newest, 3))

    assert [info.name for info in keyturn.providers()].count("acme") == 1
    assert "never" not in [info.name for info in keyturn.providers()]
    deprecated = pytest.warns(DeprecationWarning, match="version 3 .* the current one is 4")
    with deprecated if newest == 4 else contextlib.nullcontext():
        assert type(keyturn.provider("acme")).__module__ == f"acme_{used}"


def test_deprecated_hooks_and_arguments_warn(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugin authors would notice a removed hook or argument only when it is gone."""

    class Deprecating:
        @hooks.hookspec(warn_on_impl_args={"url": DeprecationWarning("use place")})
        def keyturn_store(self, url: str, place: str) -> None:
            """Have a deprecated argument."""

        @hooks.hookspec(warn_on_impl=DeprecationWarning("use keyturn_event"))
        def keyturn_note(self, event: object) -> None:
            """Be a deprecated hook."""

    monkeypatch.setattr(hooks, "Hooks", Deprecating)
    old = hookimpl("store(url)") + hookimpl("note()")
    here.install("keyturn-old", old, "old", group="keyturn.plugins")
    here.install("keyturn-new", hookimpl("store(place)"), "new", group="keyturn.plugins")

    with pytest.warns(DeprecationWarning, match="^use ") as caught:
        manager = plugins.plugin_manager()
    assert {str(warning.message) for warning in caught} == {"use place", "use keyturn_event"}
    assert {Path(warning.filename).name for warning in caught} == {"keyturn_old.py"}
    assert len(manager.list_name_plugin()) == 2


def test_plugin_may_have_a_hook_of_a_later_version(here: Site) -> None:
    """A plugin could not use a new hook and still support an older keyturn."""
    later = hookimpl("later(what)").replace("hookimpl", "hookimpl(optionalhook=True)")
    source = later + hookimpl("secret()", "return 'a'")
    here.install("keyturn-a", source, "a", group="keyturn.plugins")

    assert secrets() == ["a"]


def keyturn_command(
    site: Site, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a keyturn command in a process that has a site's distributions."""
    return subprocess.run(
        [sys.executable, "-m", "keyturn", *arguments],
        env=os.environ
        | {"PYTHONPATH": f"{site.directory}:{HIDDEN}", "KEYTURN_STORE": "memory://"}
        | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def configured(**providers: str) -> dict[str, str]:
    """Return the environment that configures a connection to each provider, by its name."""
    return {
        f"KEYTURN_CONNECTIONS__{name.upper()}__{key}": value
        for name, provider in providers.items()
        for key, value in {
            "PROVIDER": provider,
            "CLIENT_ID": "cid",
            "CLIENT_SECRET": "s3cret-for-tests",
            "TENANT": "blue",
        }.items()
    }


def test_all_kinds_of_broken_plugins_at_once(
    site: Site, serve: Callable[..., Any], token_response: bytes
) -> None:
    """One broken plugin would hide the others, or break the working one."""
    site.install("keyturn-acme", GOOD, "acme")
    for kind, (source, _) in BROKEN.items():
        site.install(f"keyturn-{kind}", source, kind)
    for kind, (source, _) in BROKEN_PLUGINS.items():
        site.install(f"plugin-{kind}", source, f"plugin-{kind}", group="keyturn.plugins")
    for name in ("keyturn-left", "keyturn-right"):
        site.install(name, GOOD, "twice")
    site.install("keyturn-evil", "raise SystemExit", "orocommerce")
    site.install("keyturn-blocked", GOOD, "blocked")
    site.register("keyturn-new", NEWER)
    shown = {kind: words for kind, (_, words) in BROKEN.items()} | {
        "twice": "is registered by keyturn-left and by keyturn-right. Uninstall all but one",
        "blocked": "is disabled by the environment variable KEYTURN_PLUGINS",
        "new": "it is written for version 2 of the plugin API",
    }
    environment = configured(good="acme", **{k.replace("-", "_"): k for k in shown}) | {
        "KEYTURN_CONNECTIONS__GOOD__TOKEN_URL": serve(token_response).url,
        "KEYTURN_PLUGINS": "-blocked",
    }

    listed = keyturn_command(site, "providers", **environment)
    assert listed.returncode == 0
    names = [line.split()[0] for line in listed.stdout.splitlines()[1:]]
    assert names == sorted([*BUILT_IN, "acme", "twice", *shown])
    assert "keyturn-evil registers the built-in provider name orocommerce" in listed.stderr

    token = keyturn_command(site, "token", "good", **environment)
    assert (token.returncode, token.stdout) == (0, "t0ken\n")
    for kind in BROKEN_PLUGINS:
        assert f"plugin plugin-{kind} of distribution plugin-{kind} " in token.stderr

    checked = keyturn_command(site, "check", **environment)
    assert checked.returncode == 2
    mistakes = [line for line in checked.stderr.splitlines() if line.startswith("  - ")]
    for name, words in shown.items():
        variable = f"KEYTURN_CONNECTIONS__{name.replace('-', '_').upper()}__PROVIDER: "
        assert [words in line for line in mistakes if variable in line] == [True], name
    assert len(mistakes) == len(shown)
    assert "Traceback" not in listed.stderr + token.stderr + checked.stderr


DESCRIPTION = 'token_url = "https://acme.example/token"'


def install_described(here: Site, *, text: str | bytes, module: str = "") -> None:
    """Install a package without a hook, with a description of the provider acme."""
    package = here.directory / "acme_described"
    here.register("acme-described", "[keyturn.providers]\nacme = acme_described\n")
    package.mkdir()
    (package / "acme.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    if module:
        (package / "__init__.py").write_text(module)


@pytest.mark.parametrize("module", ["", "# empty"])
def test_provider_may_be_a_file_of_data(here: Site, module: str) -> None:
    """A provider without code would need Python code to be shipped."""
    install_described(here, text=DESCRIPTION, module=module)
    connection = keyturn.connect("acme", client_id="made-up", client_secret="made-up")
    sys.modules.pop("acme_described")

    assert connection.token_request().url == "https://acme.example/token"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('tokn_url = "x"', "tokn_url: is not known. Did you mean token_url?"),
        ("token_url = ", "acme.toml is not TOML: the end, line 1: Invalid value"),
        (b"\xff", "acme.toml is not UTF-8: line 1 has another encoding"),
    ],
)
def test_mistake_in_a_file_of_data_is_reported(here: Site, text: str | bytes, words: str) -> None:
    """Authors would have to find the mistake in their users' tracebacks."""
    install_described(here, text=text)
    with pytest.raises(ProviderLoadError) as caught:
        keyturn.provider("acme")
    sys.modules.pop("acme_described")

    assert words in str(caught.value)


def test_package_without_hook_and_file_is_reported(here: Site) -> None:
    """The error would be about missing data of a provider."""
    install_described(here, text=DESCRIPTION)
    (here.directory / "acme_described" / "acme.toml").unlink()
    with pytest.raises(ProviderLoadError, match="its hook keyturn_provider is missing"):
        keyturn.provider("acme")
    sys.modules.pop("acme_described")
