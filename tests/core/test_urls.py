"""URLs that a secret may be sent to, and attempts to change them."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn
from keyturn._http.urls import (
    LABEL_PATTERN,
    domain_pattern,
    domain_problem,
    host_of,
    is_below,
    label_problem,
    origin,
    url_pattern,
    url_problem,
)

if TYPE_CHECKING:
    from tests.conftest import World

BAD_LABELS = [
    "acme.evil.example/",
    "acme.evil.example",
    "evil.example#",
    "evil.example?",
    "user@evil.example",
    "acme:8443",
    "[::1]",
    "%2e%2e",
    "..\\",
    "..",
    "\r\nHost: evil.example",
    "acme\n",
    "acme\x00",
    "\uff41cme",  # full-width a
    "\u0430cme",  # Cyrillic a
    "acme\u3002evil",  # ideographic full stop
    "a\u00adcme",  # soft hyphen
    "a" * 64,
    "acme.",
    ".acme",
    "-acme",
    "acme-",
    "ACME",
    "a_b",
    "acme ",
    " acme",
    "{client}",
]


@for_each("bad", BAD_LABELS)
@for_each(("name", "length"), [("client", 63), ("region", 59)])
def test_bad_label_is_refused_with_its_setting_named(name: str, length: int, bad: str) -> None:
    """An attacker who chooses a tenant's name could send the secret to any host."""
    settings: dict[str, Any] = {"client": "acme", "environment": "stage"}
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        keyturn.connect(
            "norce-commerce", client_id="c", client_secret="s", **(settings | {name: bad})
        )

    assert tuple(map(str, caught.value.problems)) == (
        f"{name}: must be one host label: 1 to {length} of a-z, 0-9 and inner hyphens",
    )


@for_each("bad", BAD_LABELS)
def test_bad_host_value_that_a_provider_does_not_check_is_refused(world: World, bad: str) -> None:
    """A setting that a plugin does not check could end the host in a URL."""
    careless = type("Careless", (world.plain,), {"token_url": "https://{client_id}.acme.example"})
    settings = world.connect().settings
    request = None
    with contextlib.suppress(keyturn.errors.ConfigurationError):
        request = careless().token_request(attrs.evolve(settings, client_id=bad))

    if request is not None:
        assert set(bad) <= set("abcdefghijklmnopqrstuvwxyz.")
        assert httpx.URL(request.url).host == f"{bad}.acme.example"


class RawSetting(keyturn.plugins.Settings):
    """Settings with a string that is not checked."""

    value: str = keyturn.plugins.setting("Value", check=lambda _: None)


@given(st.text())
@example("a/b")
def test_value_in_a_path_stays_one_segment(text: str) -> None:
    """A setting in the path would change the URL's other segments."""

    class Named(keyturn.plugins.Provider[Any]):
        name = "acme"

    try:
        address = Named().expand("https://acme.example/a/{value}/token", RawSetting(value=text))
    except (keyturn.errors.ConfigurationError, UnicodeEncodeError):
        return
    assert address.startswith("https://acme.example/a/")
    assert address.endswith("/token")
    assert address.count("/") == 5


@given(st.text(alphabet=st.characters(codec="ascii")) | st.text())
def test_label_is_one_label_or_refused(text: str) -> None:
    """A value with a dot or an upper-case letter would be accepted as a label."""
    if label_problem(text) is None:
        assert 1 <= len(text) <= 63
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert not text.startswith("-")
        assert not text.endswith("-")
        assert domain_problem(f"{text}.example") is None


GOOD_URLS = [
    "https://shop.example",
    "https://shop.example/",
    "https://shop.example:8443/a/b/",
    "HTTPS://Shop.Example/A",
    "https://127.0.0.1",
    "https://[::1]:8443/x",
    "http://localhost:8000/x",
    "http://127.0.0.1:1",
    "http://127.255.255.254/x",
    "https://203.0.113.255/x",
    "https://127.shop1",
    "http://[::1]/x",
    "https://a.b.c.example/~x/%41;v=1,2:3@4!$&'()*+=_.-",
    f"https://{'.'.join(['a' * 63] * 3)}.{'b' * 61}",
]


@for_each("url", GOOD_URLS)
def test_good_url_is_accepted(url: str) -> None:
    """A valid URL would be refused."""
    assert url_problem(url) is None


BAD_URLS = [
    "",
    "shop.example",
    "//shop.example",
    "https:shop.example",
    "https:/shop.example",
    "https:///shop.example",
    "https://",
    "ftp://shop.example",
    "file:///etc/passwd",
    "http://shop.example",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://128.0.0.1",
    "http://0.0.0.0",
    "http://[::ffff:127.0.0.1]",
    "http://localhost@evil.example",
    "https://user@shop.example",
    "https://user:pass@shop.example",
    "https://shop.example?x",
    "https://shop.example/?x",
    "https://shop.example#x",
    "https://shop.example/x#",
    "https://shop.example\\@evil.example",
    "https://shop.example\\x",
    "https://shop.example /x",
    " https://shop.example",
    "https://shop.example\n",
    "https://shop.example/\r\nHost: evil",
    "https://shop.example/\x00",
    "https://shop.example/..",
    "https://shop.example/../x",
    "https://shop.example/./x",
    "https://shop.example/%2e%2E/x",
    "https://shop.example/.%2e",
    "https://shop.example/%zz",
    "https://shop.example/%",
    "https://shop.example:0",
    "https://shop.example:",
    "https://shop.example:65536",
    "https://shop.example:080",
    "https://shop.example:x",
    "https://shop..example",
    "https://.shop.example",
    "https://shop.example./",
    "https://-shop.example",
    "https://shop_x.example",
    "https://2130706433",
    "https://127.1",
    "https://1.2.3",
    "https://0x7f.1",
    "https://0X7F000001/x",
    "https://1.2.3.4.5",
    "https://256.1.1.1",
    "https://shop.127",
    "http://127.0.0.08",
    "http://127.0.0.010",
    "http://127.0.0.256",
    "https://[::2]",
    "https://[::1%25eth0]",
    "https://\uff53hop.example",
    "https://shop\u3002example",
    "https://shop.example/\u00e9",
    f"https://{'a' * 64}.example",
    f"https://{'.'.join(['a' * 63] * 4)}",
]


@for_each("url", BAD_URLS)
def test_bad_url_is_refused(url: str) -> None:
    """A secret would be sent unencrypted, or to the host that another parser reads."""
    assert url_problem(url) is not None


@given(st.from_regex(r"https?://[a-z0-9@:\[\]./?#\\%-]{1,30}", fullmatch=True))
def test_accepted_url_means_the_same_to_every_parser(url: str) -> None:
    """The check would read another host than the HTTP client."""
    if url_problem(url) is not None:
        return
    split, sent = urlsplit(url), httpx.URL(url)
    assert split.hostname == sent.host.strip("[]").lower()
    assert split.scheme == sent.scheme
    assert split.port in {sent.port, 443, 80}
    assert sent.userinfo == b""
    assert sent.query == b""
    port = "" if sent.port is None else f":{sent.port}"
    host = f"[{sent.host}]" if ":" in sent.host else sent.host
    assert origin(url) == f"{sent.scheme}://{host}{port}"
    assert split.scheme == "https" or is_loopback(sent.host)


def is_loopback(host: str) -> bool:
    """Return whether a host is the loopback interface, as Python reads addresses."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


ORIGINS = [
    ("https://Shop.Example/x?y#z", "https://shop.example"),
    ("HTTPS://shop.example", "https://shop.example"),
    ("https://shop.example:443", "https://shop.example"),
    ("http://shop.example:80/", "http://shop.example"),
    ("https://shop.example:80", "https://shop.example:80"),
    ("http://[::1]:8000/a", "http://[::1]:8000"),
]


@pytest.mark.parametrize(("url", "expected"), ORIGINS)
def test_origin_is_scheme_host_and_unusual_port(url: str, expected: str) -> None:
    """A token would be withheld from its API, or attached to another origin's request."""
    assert origin(url) == expected


@pytest.mark.parametrize("url", ["", "/x", "https://user@a.example", "mailto:a@b.example"])
def test_url_without_an_origin_is_refused(url: str) -> None:
    """An adapter would treat an invalid URL as the API's."""
    with pytest.raises(ValueError, match=r"^not an absolute http or https URL$"):
        origin(url)
    assert host_of(url) == ""


@pytest.mark.parametrize("domain", ["a.example", "localhost", "a-b.c0", "3m.example"])
def test_valid_domain_is_accepted(domain: str) -> None:
    """A valid domain would be refused."""
    assert domain_problem(domain) is None
    assert domain_problem(f"{domain}.{'a.' * 130}b") is not None
    assert re.fullmatch(domain_pattern(), domain)


@pytest.mark.parametrize("domain", ["", ".a", "a..b", "a/b", "a:1", "A.example", "10.1", "a.0x7f"])
def test_invalid_domain_is_refused(domain: str) -> None:
    """A domain in the settings could send the secret to another host."""
    assert domain_problem(domain) is not None


def test_host_and_port_have_bounds() -> None:
    """Parsers and resolvers would treat a longer host or a larger port differently."""
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert [domain_problem(longest), url_problem(f"https://{longest}:65535")] == [None, None]

    assert domain_problem(f"{longest}b") is not None
    assert url_problem(f"https://{longest}b") is not None
    assert url_problem("https://a.example:65536") is not None
    for pattern, before in ((domain_pattern(), ""), (url_pattern(), "https://")):
        assert re.fullmatch(pattern, before + longest)
        assert not re.fullmatch(pattern, f"{before}{longest}b")


@for_each(
    ("url", "problem"),
    [
        (
            "https://user@a.example",
            "must be a URL such as https://shop.example/path, without user, query or fragment",
        ),
        (
            "https://a.example:65536",
            "must have a host of at most 253 characters and a port of at most 65535",
        ),
        (
            "https://127.1",
            "must have a name as its host, or an IPv4 address of four decimal numbers up to 255",
        ),
        (
            "http://a.example",
            "must begin with https:// (http:// is for loopback addresses only)",
        ),
        ("https://a.example/../b", "must not have . or .. in its path"),
    ],
)
def test_problem_says_what_must_be_changed(url: str, problem: str) -> None:
    """A user would change what is right, or learn only that something is wrong."""
    assert url_problem(url) == problem


@for_each(
    ("url", "placed", "plain"),
    [
        ("https://{tenant}.acme.example/{realm}/token", True, False),
        ("https://a{tenant}b.example", True, False),
        ("{url}/token", True, False),
        ("{url}.acme.example/token", True, False),
        ("https://acme.example/token", True, True),
        ("http://localhost:8000", True, True),
        ("https://{a}{b}:x", False, False),
        ("token", False, False),
        ("", False, False),
    ],
)
def test_pattern_takes_placeholders_where_a_description_may_have_them(
    url: str, placed: bool, plain: bool
) -> None:
    """An editor would mark a right description as wrong, or take braces in a setting."""
    assert bool(re.fullmatch(url_pattern(r"[a-z]+"), url)) is placed
    assert bool(re.fullmatch(url_pattern(), url)) is plain


def test_loopback_is_recognized_in_upper_case() -> None:
    """A test server's URL would be refused because of its upper-case letters."""
    assert url_problem("http://LocalHost:8000/token") is None


@given(st.text(alphabet="ab0-.A/"))
def test_patterns_of_schemas_agree_with_the_checks(text: str) -> None:
    """A form made from a schema would accept a value that is refused later."""
    assert (label_problem(text) is None) == bool(re.fullmatch(LABEL_PATTERN, text))
    assert (domain_problem(text) is None) == bool(re.fullmatch(domain_pattern(), text))


HOSTS = ["a.example", "1.2.3.4", "1.2.3", "a.0x7f", "[::1]", "[::2]", "LocalHost", "127.0.0.256"]


@for_each("url", [*GOOD_URLS, *BAD_URLS])
def test_pattern_of_a_url_agrees_with_the_check_for_the_table(url: str) -> None:
    """A form made from a schema would take an address that is refused later."""
    assert (url_problem(url) is None) == bool(re.fullmatch(url_pattern(), url))


@given(
    st.from_regex(r"https?://[a-z0-9@:\[\]./?#\\%-]{1,30}", fullmatch=True)
    | st.builds(
        "{}://{}:{}/{}".format,
        st.sampled_from(["http", "HTTPS"]),
        st.sampled_from(HOSTS),
        st.integers(0, 70_000),
        st.text("%2eE./a", max_size=8),
    )
)
def test_pattern_of_a_url_agrees_with_the_check(url: str) -> None:
    """A form made from a schema would take an address that is refused later."""
    assert (url_problem(url) is None) == bool(re.fullmatch(url_pattern(), url))


@pytest.mark.parametrize(
    ("url", "below"),
    [
        ("https://acme.example", True),
        ("https://ACME.example:8443/x", True),
        ("https://a.b.acme.example", True),
        ("https://notacme.example", False),
        ("https://acme.example.evil.example", False),
        ("https://evil.example/acme.example", False),
        ("acme.example", False),
    ],
)
def test_host_must_be_the_domain_or_a_subdomain(url: str, below: bool) -> None:
    """A token would be sent to a host that only looks like the platform's."""
    assert is_below(url, "acme.example") is below


@pytest.mark.parametrize(
    "address",
    ["http\u017f://localhost:1234", "https://\u017fhop.example", "https://\u212aey.example"],
)
def test_letters_that_only_look_like_ascii_are_refused(address: str) -> None:
    """Letters that a case-insensitive match folds to ASCII would be accepted as ASCII."""
    assert url_problem(address) is not None
    with pytest.raises(ValueError, match=r"^not an absolute http or https URL$"):
        origin(address)
