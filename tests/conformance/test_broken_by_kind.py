"""The conformance kit catches each broken provider, and accepts unusual correct ones."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import re
import socket
import ssl
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import keyturn
from keyturn.testing.provider_kit import _elsewhere as elsewhere
from keyturn.testing.provider_kit import _imports as imports
from keyturn.testing.provider_kit import _limits as limits
from keyturn.testing.provider_kit import _run as kit
from keyturn.testing.provider_kit._examples import Examples
from keyturn.testing.provider_kit._subject import opened

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

# The first test starts a process for all providers. A timer for each test would take longer.
LONG = pytest.mark.timeout(240)
sys.path.insert(0, str(Path(__file__).parent))
KINDS = (
    "answers",
    "derived",
    "elsewhere",
    "endpoints",
    "hosts",
    "inputs",
    "isolation",
    "processes",
    "responses",
    "settings",
    "steps",
    "messages",
    "moments",
    "branches",
    "unusual",
    "values",
)
for _kind in KINDS:
    importlib.import_module(f"broken_providers.{_kind}")
BASE: Any = importlib.import_module("broken_providers.base")
GOOD: Any = importlib.import_module("broken_providers.good")
# The checks that use the second process.
ELSEWHERE = {
    *("isolation", "other_process", "nothing_changed", "forgotten_settings"),
    *("dynamic_values", "well_formed_request", "shared_domains"),
}


def first_is_long(rows: Sequence[Any]) -> list[Any]:
    """Return the rows of a test; the first one, which starts the process, may take long."""
    return [pytest.param(rows[0], marks=LONG), *rows[1:]]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Undo what a broken provider changes for the whole process."""
    with restored():
        yield


@contextlib.contextmanager
def restored() -> Generator[None]:
    """Undo, at the end, what broken providers change for the whole process."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(json, "dumps", json.dumps)
    monkeypatch.setattr(ssl.SSLContext, "verify_mode", ssl.SSLContext.verify_mode)
    request = keyturn.plugins.TokenRequest
    monkeypatch.setattr(request, "redacted", request.redacted)
    level, timeout, environment = logging.root.level, socket.getdefaulttimeout(), dict(os.environ)
    with warnings.catch_warnings():
        yield
    logging.root.setLevel(level)
    socket.setdefaulttimeout(timeout)
    os.environ.clear()
    os.environ.update(environment)
    monkeypatch.undo()


@pytest.fixture(scope="module")
def _one_second_process() -> None:
    """Start one second process for all providers, instead of one for each."""
    listed = [(each.provider, each.settings) for each in BASE.BROKEN if each.check in ELSEWHERE]
    listed += [(each, BASE.SETTINGS) for each in GOOD.GOOD]
    subjects = []
    for provider, settings in listed:
        with opened(provider, settings, Examples()) as subject:
            subjects.append(subject)
    with restored():
        elsewhere.start(subjects)


@pytest.mark.sweep(kind=lambda row: (row["broken"].kind, row["broken"].check))
@pytest.mark.usefixtures("_one_second_process")
@pytest.mark.parametrize(
    "broken", first_is_long(BASE.BROKEN), ids=lambda each: each.what.replace(" ", "-")
)
def test_broken_provider_is_caught(broken: Any) -> None:
    """An author could publish this broken provider without a warning."""
    with opened(broken.provider, broken.settings, Examples()) as subject:
        failure = kit.check(broken.check, subject)

    assert failure is not None
    assert re.search(re.escape(broken.message), str(failure)), str(failure)


def test_every_check_catches_something() -> None:
    """A check that catches no broken provider would be useless."""
    others = importlib.import_module("broken").BROKEN
    caught = {each.check for each in (*BASE.BROKEN, *others)}

    # import_effects has its own test below.
    assert set(kit.CHECKS) - caught == {"import_effects"}


def test_there_are_enough_of_each_kind() -> None:
    """A kind of defect would be tried with one or two examples only."""
    counts = {kind: sum(each.kind == kind for each in BASE.BROKEN) for kind in KINDS}

    assert min(counts.values()) >= 10
    assert sum(counts.values()) >= 120


TRY = "try:\n    {}\nexcept Exception:\n    pass"
IMPORTS = {
    "import os\nREGION = os.environ.get('ACME_REGION', 'eu')": "reads the environment variable",
    "import os\nos.environ['ACME'] = '1'": "changes an environment variable",
    "import pathlib\nNAME = pathlib.Path('/etc/hostname').read_text()": "opens a file",
    "import os\nos.mkdir('made-up')": "makes a directory",
    f"import socket\n{TRY.format('socket.gethostbyname(chr(49))')}": "resolves a host name",
    f"import httpx\n{TRY.format('httpx.get(chr(49), trust_env=False)')}": "environment variable",
    f"import threading\n{TRY.format('threading.Thread(target=print).start()')}": "starts a thread",
    f"import os\n{TRY.format('os.system(chr(49))')}": "starts a process",
    "import json\nu = json.loads\njson.loads = lambda *a, **o: u(*a, **o)": "changes json.loads",
    "P = keyturn.plugins.Provider\nP.scope = lambda self, settings: ()": "Provider.scope",
    "import httpx\nhttpx.Client.send = lambda *a, **o: None": "changes httpx",
    "import logging\nlogging.basicConfig(level=10)": "changes the logger root",
    "import warnings\nwarnings.simplefilter('ignore')": "changes the warning filters",
    "import socket\nsocket.setdefaulttimeout(3)": "socket's default timeout",
    "import sys\nsys.setrecursionlimit(5000)": "the recursion limit",
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)": "the handler of SIGTERM",
    "import os\nos.chdir('/')": "changes the working directory",
    "raise RuntimeError": "raises RuntimeError",
    "print('hello')": "prints",
    "import atexit\natexit.register(print)": "the functions of atexit",
    "import locale\nlocale.setlocale(locale.LC_ALL, '')": "changes the locale",
    "import signal\nsignal.signal(signal.SIGUSR2, signal.SIG_IGN)": "the handler of SIGUSR2",
    "import gc\ngc.set_threshold(9999)": "the garbage collector",
    "import threading\nthreading.excepthook = print": "threading.excepthook",
    "import logging\nlogging.getLogger('acme').addHandler(logging.StreamHandler())": (
        "the handlers of loggers"
    ),
    "import logging\nlogging.getLogger('acme.b').addHandler(logging.NullHandler())": "",
    "import logging\nlogging.captureWarnings(True)": "warnings.showwarning",
    "import decimal\ndecimal.getcontext().prec = 6": "the decimal context",
    "import os\nos.umask(0o027)": "the umask",
    "import json\njson.JSONEncoder.default = lambda *a: ''": "JSONEncoder.default",
    "import json\nimport sys\nsys.modules['acme_json'] = json": "another name, acme_json",
    "import codecs\ncodecs.register(lambda name: None)": "registers a codec",
    "import sys\nsys.setswitchinterval(0.1)": "the switch interval",
    "import multiprocessing\nmultiprocessing.set_start_method('spawn')": "the start method",
    "import http.client\nhttp.client.HTTPConnection.debuglevel = 1": "debuglevel",
    "import signal\nsignal.setitimer(signal.ITIMER_REAL, 999)": "sets a timer",
    "import sys\nsys.addaudithook(lambda *a: None)": "adds an audit hook",
    "import builtins\nbuiltins.acme = 1": "the names of builtins",
    "import sys\nsys.dont_write_bytecode = True": "sys.dont_write_bytecode",
    "import threading\nthreading.setprofile(print)": "the profile function of threads",
    "import os\nos.nice(1)": "the priority of the process",
    "import os\nos.register_at_fork(before=print)": "registers a fork hook",
    "import tempfile\ntempfile.tempdir = '/'": "changes tempfile.tempdir",
    "import copyreg\ncopyreg.pickle(type, print)": "copyreg.dispatch_table",
    "import urllib.parse\nurllib.parse.uses_netloc.append('a')": "urllib.parse.uses_netloc",
    "import uuid\nuuid.uuid4 = lambda: 7": "changes uuid.uuid4",
    "import sys\nsys.path_hooks.append(print)": "sys.path_hooks",
    "import sys\nsys.set_int_max_str_digits(0)": "the greatest number of digits",
    "import sys\ndel sys.modules['json']": "the names of sys.modules",
    "import sys\nsys.modules['requests'] = None": "",  # a statement: see below
    "LIMIT = 7": "",
    "import numbers\nimport decimal": "",
}
PROVIDER = """import keyturn
{}
class Acme(keyturn.plugins.Provider):
    name = "acme"
    settings = keyturn.plugins.ConfidentialSettings
    token_url = "https://acme.example/token"
"""


@LONG
def test_import_with_a_side_effect_is_reported(tmp_path: Path) -> None:
    """Each process that only lists the provider would run that side effect."""
    reply = {"status": 200, "headers": {}, "body": "{}", "sent_at": 0.0}
    case = {"name": "a", "values": {"client_id": "a", "client_secret": "a"}, "token": "a"}
    specifications = []
    for number, code in enumerate(IMPORTS):
        path = tmp_path / f"acme_{number}.py"
        path.write_text(PROVIDER.format(code), encoding="utf-8")
        names = {"entry": "", "module": path.stem, "file": str(path), "class": "Acme"}
        rest = {"name": "acme", "places": [str(path)], "cases": [case]}
        specifications.append({**names, **rest, "reply": reply, "error": reply})
    found = elsewhere.run_second(specifications)

    for code, each in zip(IMPORTS, found, strict=True):
        said = "; ".join(what for what, _ in each["effects"])
        assert IMPORTS[code] in said, (code, each)
        assert bool(said) is bool(IMPORTS[code]), (code, each)


STATEMENTS = {
    "import logging\nlogging.lastResort = None": "changes logging.lastResort",
    "import keyturn\ndel keyturn.Token": "changes keyturn.Token",
    "import decimal as d\nd.DefaultContext.prec += 5": "changes d.DefaultContext.prec",
    "import sys\nif sys:\n    sys.modules['requests'] = None": "changes sys.modules['requests']",
    "import threading\nthreading.stack_size(65536)": "calls threading.stack_size",
    "try:\n    from gc import collect\nfinally:\n    collect(2)": "calls collect",
    "import sys\nimport types\nsys.modules[__name__].__class__ = types.ModuleType": "",
    "import logging\nlogging.getLogger('acme').addHandler(logging.NullHandler())": "",
    "import atexit\ndef end(): pass\natexit.register(end)": "",
    "import attrs\nimport importlib\nattrs.fields(int)\nimportlib.invalidate_caches()": "",
    "from . import base\nbase.LIMIT = 7\n(lambda: 7)()\nprint.name": "",
}


def test_statements_at_the_top_are_judged(tmp_path: Path) -> None:
    """A provider would change what no other module shows, and its author not see where."""
    for number, (code, wanted) in enumerate(STATEMENTS.items()):
        path = tmp_path / f"acme_{number}.py"
        path.write_text(code, encoding="utf-8")
        found = list(imports.acting_statements([str(path)]))
        said = "; ".join(f"{what} ({where})" for what, where in found)
        assert wanted in said, (code, said)
        assert bool(said) is bool(wanted), (code, said)
        assert not said or f"(acme_{number}.py:" in said


class Waits(BASE.Acme):
    """Waits forever."""

    event = threading.Event()

    def api_request_headers(self, settings: Any, token: Any) -> Any:
        """Wait."""
        self.event.wait()
        return super().api_request_headers(settings, token)


def test_provider_that_never_returns_fails_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test run would never end, and its log would not show why."""
    monkeypatch.setattr(limits, "SECONDS", 0.5)
    with opened(Waits(), BASE.SETTINGS, Examples()) as subject:
        failure = kit.check("hostile_strings", subject)
        Waits.event.set()

    assert "does not end within 0.5 s" in str(failure)
    assert "At: test_broken_by_kind.py:" in str(failure)


@pytest.mark.sweep
@pytest.mark.usefixtures("_one_second_process")
@pytest.mark.parametrize("provider", first_is_long(GOOD.GOOD), ids=lambda each: type(each).__name__)
def test_unusual_correct_provider_passes(provider: Any) -> None:
    """An author would have to change a correct provider."""
    report = kit.run(provider, BASE.SETTINGS, Examples())

    assert {name: str(failure) for name, failure in report.failures.items()} == {}
