"""Network policies: each special address is forbidden or allowed, in every notation."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.conftest import for_each

import keyturn
from keyturn._http.addresses import address_kind, literal_address
from keyturn._http.policy import (
    PERMISSIVE,
    NetworkPolicy,
    address_problem,
    host_problem,
    restricts_addresses,
)

STRICT = NetworkPolicy()

ADDRESSES = {
    "public": """
        1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.255.255 172.32.0.1 192.31.196.1
        192.52.193.1 192.175.48.1 198.17.255.255 198.20.0.1 223.255.255.255
        ::8.8.8.8 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::808:808
        2001:200::1 2001:4860:4860::8888 2606:4700::1111 2620:4f:8000::1 2a00:1450::1
    """,
    "loopback": """
        127.0.0.1 127.0.0.0 127.1.2.3 127.255.255.255 0.0.0.0 0.1.2.3 0.255.255.255
        :: ::1 ::1%lo ::7f00:1 ::127.255.0.1 ::ffff:127.0.0.1 ::ffff:0.0.0.0 ::ffff:0:127.0.0.1
        64:ff9b::7f00:1
    """,
    "special": """
        10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255
        169.254.169.254 169.254.170.2 100.64.0.1 100.100.100.200 100.127.255.255
        192.0.0.1 192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.11 192.0.0.170 192.0.0.192 192.0.2.1
        192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
        224.0.0.1 233.252.0.1 239.255.255.255 240.0.0.1 255.255.255.255
        ::10.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:100.64.0.1 ::ffff:0:10.0.0.1
        64:ff9b::a00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::7f00:1 64:ff9b:1::808:808
        100::1 2001::1 2001:0:7f00:1::1 2001:1::1 2001:2::1 2001:4:112::1 2001:10::1 2001:20::1
        2001:30::1 2001:db8::1 2002:7f00:1:: 2002:a00:1:: 2002:808:808:: 3fff::1 4000::1 5f00::1
        fc00::1 fd00:ec2::254 fe80::1 fe80::1%1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
    """,
}
ROWS = [(address, kind) for kind, listed in ADDRESSES.items() for address in listed.split()]

# The ranges that IANA's two registries of special-purpose addresses list as not globally
# reachable, and the multicast, site-local and 6to4 ranges.
LOOPBACK_RANGES = ["0.0.0.0/8", "127.0.0.0/8", "::1/128", "::/128"]
SPECIAL_RANGES = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
EMBEDDINGS = ["::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::"]
PUBLIC_RANGES = ["8.0.0.0/8", "192.31.196.0/24", "2606:4700::/32", "2620:4f:8000::/48"]


def within(ranges: list[str]) -> st.SearchStrategy[Any]:
    """Return addresses within any of the ranges."""
    return st.sampled_from(ranges).flatmap(lambda each: st.ip_addresses(network=each))


@for_each(("address", "kind"), ROWS)
def test_an_address_has_the_same_kind_on_each_python(address: str, kind: str) -> None:
    """An address that `ipaddress` calls global on one Python only would be reachable there."""
    assert address_kind(address) == kind


def test_the_table_of_addresses_is_complete() -> None:
    """The tests of the table would pass although rows are missing."""
    assert len({address for address, _ in ROWS}) == len(ROWS) >= 69


@given(within(LOOPBACK_RANGES), st.booleans())
def test_this_machine_is_reached_with_loopback_only(address: Any, private: bool) -> None:
    """A tenant could reach services that listen on this machine only."""
    policy = NetworkPolicy(private_addresses=private)
    assert "NetworkPolicy.loopback" in str(address_problem(policy, str(address)))
    assert address_problem(NetworkPolicy(loopback=True), str(address)) is None


@given(within(SPECIAL_RANGES), st.booleans())
def test_no_special_range_is_reached_without_private_addresses(
    address: Any, loopback: bool
) -> None:
    """A tenant could reach the platform's own network, or its cloud's metadata."""
    policy = NetworkPolicy(loopback=loopback)
    assert "NetworkPolicy.private_addresses" in str(address_problem(policy, str(address)))
    assert address_problem(NetworkPolicy(private_addresses=True), str(address)) is None


@given(within(PUBLIC_RANGES))
def test_a_public_range_is_reached(address: Any) -> None:
    """A policy would forbid public addresses, and no provider could be reached."""
    assert address_problem(STRICT, str(address)) is None


@given(
    within([each for each in (*LOOPBACK_RANGES, *SPECIAL_RANGES) if "." in each]),
    st.sampled_from(EMBEDDINGS),
)
def test_an_ipv4_address_within_an_ipv6_address_is_checked(address: Any, prefix: str) -> None:
    """A forbidden IPv4 address would be reached in the notation of an IPv6 address."""
    embedded = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(address))
    assert address_problem(STRICT, str(embedded)) is not None


@given(st.ip_addresses(v=6).filter(lambda each: not 0x2 <= int(each) >> 124 <= 0x3))
@example(ipaddress.IPv6Address("64:ff9b::808:808"))
def test_unassigned_addresses_are_public_only_with_an_embedded_public_one(address: Any) -> None:
    """A range that IANA later assigns to local use would be reachable until an update."""
    if address_kind(str(address)) == "public":
        assert int(address) >> 32 in {int(ipaddress.IPv6Address(each)) >> 32 for each in EMBEDDINGS}


def forms(address: ipaddress.IPv4Address) -> list[str]:
    """Return an IPv4 address in the forms that `getaddrinfo` takes."""
    a, b, c, d = address.packed
    low16, low24, all32 = c << 8 | d, (b << 16) | (c << 8) | d, int(address)
    return [
        f"{a}.{b}.{c}.{d}",
        f"{a}.{b}.{low16}",
        f"{a}.{low24}",
        f"{all32}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"0x{a:x}.0x{b:X}.0x{c:x}.0x{d:x}",
        f"0X{all32:08x}",
        f"0{all32:o}",
        f"0x{a:x}.0{low24:o}",
        f"0x{a:x}.{b}.0{low16:o}",
        f"{a}.{b}.{c}.{d}.",
        f"[::ffff:{address}]",
        f"::ffff:{a << 8 | b:x}:{low16:x}",
        f"[64:ff9b::{address}]",
        f"0:0:0:0:0:0:{address}",
        f"[::{address}%25lo]",
    ]


@settings(max_examples=20)
@given(st.ip_addresses(v=4))
def test_a_literal_address_is_read_as_the_resolver_reads_it(address: Any) -> None:
    """A notation that only the resolver knows would bypass the check of hosts."""
    for form in forms(address)[:10]:
        assert literal_address(form.lower()) == str(address)
        resolved = socket.getaddrinfo(form, 443, type=socket.SOCK_STREAM)
        assert {info[4][0] for info in resolved} == {str(address)}


@settings(max_examples=20)
@given(within([each for each in (*LOOPBACK_RANGES, *SPECIAL_RANGES) if "." in each]))
def test_a_forbidden_literal_address_is_a_problem_in_each_form(address: Any) -> None:
    """A notation that the policy takes for a name would reach the forbidden address."""
    for form in forms(address):
        assert "NetworkPolicy." in str(host_problem(STRICT, form))
        assert host_problem(PERMISSIVE, form) is None


@settings(max_examples=20)
@given(st.ip_addresses(v=4).filter(lambda each: address_kind(str(each)) == "public"))
def test_a_public_literal_address_is_not_a_problem(address: Any) -> None:
    """A provider with a literal address in its URL could not be reached."""
    assert [host_problem(STRICT, form) for form in forms(address)] == [None] * len(forms(address))


@for_each(
    ("host", "found"),
    [
        ("localhost", "is the name of a loopback address"),
        ("LOCALHOST", "is the name of a loopback address"),
        ("localhost.", "is the name of a loopback address"),
        ("shop.localhost", "is the name of a loopback address"),
        ("a.b.localhost.", "is the name of a loopback address"),
        ("[::1]", "is a loopback address"),
        ("::1%lo", "is a loopback address"),
        ("127.1", "is a loopback address"),
        ("0", "is a loopback address"),
        ("db", "is the name of a private or reserved address"),
        ("metadata.google.internal", "is the name of a private or reserved address"),
        ("printer.local.", "is the name of a private or reserved address"),
        ("router.home.arpa", "is the name of a private or reserved address"),
        ("[fe80::1%25eth0]", "is a private or reserved address"),
        ("169.254.169.254", "is a private or reserved address"),
        ("256.1.1.1", "is not a valid IP address"),
        ("1.2.3.4.5", "is not a valid IP address"),
        ("1.2.65536", "is not a valid IP address"),
        ("4294967296", "is not a valid IP address"),
        ("08.0.0.1", "is not a valid IP address"),
        ("shop.0x", "is not a valid IP address"),
        ("1..1", "is not a valid IP address"),
        ("[::1]]", "is not a valid IP address"),
        ("\u2460\u2461\u2466.0.0.1", "is not a valid IP address"),
        ("127.0.0.1 x.example", "is not a valid host name"),
        ("127\u30020\u30020\u30021", "is not a valid host name"),
        ("\uff4c\uff4fcalhost", "is not a valid host name"),
        ("localhost..", "is not a valid host name"),
        ("user@localhost", "is not a valid host name"),
        ("%6cocalhost", "is not a valid host name"),
        ("local\u00adhost", "is not a valid host name"),
        ("", "is not a valid host name"),
    ],
)
def test_a_host_that_is_not_public_is_a_problem(host: str, found: str) -> None:
    """An internal name would be reached through a proxy, which resolves it itself."""
    problem = host_problem(STRICT, host)
    assert problem is not None
    assert problem.startswith(found)
    assert host_problem(PERMISSIVE, host) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "[::1]"])
def test_loopback_allows_this_machine_and_no_more(host: str) -> None:
    """A policy for an emulator on this machine would also allow the private network."""
    policy = NetworkPolicy(loopback=True)
    assert host_problem(policy, host) is None
    assert host_problem(policy, "10.0.0.1") is not None
    assert host_problem(policy, "db.internal") is not None


@pytest.mark.parametrize("host", ["10.0.0.1", "db", "db.internal", "[fd00::1]", "169.254.169.254"])
def test_private_addresses_do_not_allow_this_machine(host: str) -> None:
    """A platform in a private network would allow its tenants to reach its own machine."""
    policy = NetworkPolicy(private_addresses=True)
    assert host_problem(policy, host) is None
    assert host_problem(policy, "localhost") is not None


LABELS = st.from_regex(r"[a-z](?:[a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@settings(max_examples=20)
@given(st.lists(LABELS, min_size=1, max_size=3), st.lists(LABELS, min_size=2, max_size=3))
def test_a_pattern_covers_what_is_below_it_and_nothing_else(
    below: list[str], domain: list[str]
) -> None:
    """A pattern that covers more would let a tenant reach a host that is not listed."""
    base = ".".join(domain)
    policy = NetworkPolicy(
        domains=(f"*.{base}",), private_addresses=True, loopback=True, address_settings=True
    )
    assert host_problem(policy, f"{'.'.join(below)}.{base}") is None
    assert host_problem(policy, f"{'.'.join(below)}.{base.upper()}.") is None
    for other in (base, f"x{base}", f"{'.'.join(below)}.{base}.evil.example", f"x-{base}"):
        assert "NetworkPolicy.domains" in str(host_problem(policy, other))


@settings(max_examples=20)
@given(st.lists(LABELS, min_size=2, max_size=4))
def test_a_domain_without_a_star_is_one_host(labels: list[str]) -> None:
    """A tenant could reach a subdomain that belongs to another owner."""
    name = ".".join(labels)
    policy = NetworkPolicy(domains=(name.upper(),))
    assert policy.domains == (name,)
    if not name.endswith((".local", ".internal", ".localhost", "home.arpa")):
        assert host_problem(policy, name) is None
    assert "domains" in str(host_problem(policy, f"a.{name}"))


@pytest.mark.parametrize("host", ["127.0.0.1", "8.8.8.8", "[::1]", "localhost", "134744072"])
def test_domains_forbid_each_literal_address(host: str) -> None:
    """A literal address would bypass the list of domains."""
    policy = NetworkPolicy(domains=("*.norce.tech",), private_addresses=True, loopback=True)
    assert "NetworkPolicy.domains" in str(host_problem(policy, host))


def test_empty_list_of_domains_allows_no_host() -> None:
    """An empty list of allowed hosts would be read as no restriction."""
    assert "NetworkPolicy.domains" in str(host_problem(NetworkPolicy(domains=()), "shop.example"))


@for_each(
    "domains",
    [
        "shop.example",
        ("*",),
        ("*.",),
        ("",),
        ("*.*.example",),
        ("shop.*",),
        ("shop*.example",),
        ("https://shop.example",),
        ("shop.example:443",),
        (".shop.example",),
        ("shop.example.",),
        ("127.0.0.1",),
        ("*.0.0.1",),
        ("b\u00fccher.example",),
        ("shop.example", 7),
        {"shop.example"},
        7,
        False,
    ],
)
def test_a_wrong_pattern_is_reported_when_the_policy_is_made(domains: Any) -> None:
    """A pattern that covers nothing, or everything, would be noticed only by a tenant."""
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        NetworkPolicy(domains=domains)
    assert [problem.path for problem in caught.value.problems] == ["domains"]


def test_each_wrong_value_is_reported() -> None:
    """A string such as "false", from the environment, would allow what it should forbid."""
    wrong: Any = "false"
    with pytest.raises(keyturn.errors.ConfigurationError) as caught:
        NetworkPolicy(
            domains=wrong,
            private_addresses=wrong,
            loopback=wrong,
            address_settings=wrong,
            file_settings=wrong,
        )
    assert sorted(problem.path for problem in caught.value.problems) == [
        "address_settings",
        "domains",
        "file_settings",
        "loopback",
        "private_addresses",
    ]


def test_a_list_of_domains_is_accepted() -> None:
    """The domains of a configuration file, which are a list, would be refused."""
    listed: Any = ["*.Norce.tech"]
    assert NetworkPolicy(domains=listed).domains == ("*.norce.tech",)


def test_addresses_are_restricted_unless_both_kinds_are_allowed() -> None:
    """A policy that restricts addresses would not be checked when connecting to a host."""
    assert not restricts_addresses(PERMISSIVE)
    assert not restricts_addresses(NetworkPolicy(private_addresses=True, loopback=True))
    assert restricts_addresses(STRICT)
    assert restricts_addresses(NetworkPolicy(private_addresses=True))
    assert restricts_addresses(NetworkPolicy(loopback=True))


def test_policies_compare_by_value() -> None:
    """Connections with equal policies would not share a kept network connection."""
    assert NetworkPolicy(domains=("A.example",)) == NetworkPolicy(domains=("a.example",))
    assert hash(NetworkPolicy()) == hash(NetworkPolicy())
