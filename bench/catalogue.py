"""The rows of the bench: what each measures and does not cover, for which libraries, and goals."""

from __future__ import annotations

from bench.environments import OURS
from bench.lines import Line, Row

_PROVIDERS = {
    "norce-commerce": "Norce Commerce",
    "norce-storm": "Norce Storm",
    "orocommerce": "OroCommerce",
    "commercelayer": "Commerce Layer",
}


def _request_row(provider: str, *, is_async: bool) -> Row:
    """Return the row of an API request; the peers' requests have the headers of Norce Commerce."""
    client = "httpx.AsyncClient" if is_async else "httpx.Client"
    return Row(
        f"{'async_' if is_async else ''}request_{provider}",
        (
            Line(
                f"added to a request by `{client}`, {_PROVIDERS[provider]}'s headers",
                "ratio",
                "%",
                6,
                beside="added",
                least="least_ratio",
            ),
        ),
        "a network, a response's body, redirects, a 401, a token that must be renewed",
        2,
        5,
        () if provider == "norce-commerce" else (OURS,),
        (OURS,),
        needs="async request" if is_async else "request",
    )


def _cold_lines(callers: str, slowest: float | None) -> tuple[Line, ...]:
    return (
        Line(f"{callers}, cold: token requests", "token_requests", "", 1),
        Line("… slowest caller, against one fetch", "ratio", "times", slowest),
    )


def _load_lines(workers: str) -> tuple[Line, ...]:
    return (
        Line(f"{workers} for 6 s, tokens of 2 s: token requests", "token_requests", "", 6),
        Line("… responses 401", "unauthorized", "", 0),
        Line("… tokens returned after their expiry", "late_tokens", "", 0),
        Line("… requests not sent, or failed", "unsent", "", 0),
        Line("… p99, against a static header", "p99", "times", 3, relative=True),
    )


def _minute_lines(workers: str) -> tuple[Line, ...]:
    return (
        Line(f"{workers} for 60 s, tokens of 2 s: token requests", "token_requests", ""),
        Line("… responses 401", "unauthorized", "", 0),
        Line("… tokens returned after their expiry", "late_tokens", "", 0),
        Line("… p50, against a static header", "p50", "times", relative=True),
        Line("… p99, against a static header", "p99", "times", relative=True),
        Line("… p99.9, against a static header", "p99.9", "times", relative=True),
    )


_LOAD_NOT_COVERED = "more workers than 50, more than 200 requests a second, several processes"


def _tenants_row(name: str, tenants: str, not_covered: str) -> Row:
    """Return a row of tenants that are all cold at once."""
    return Row(
        name,
        (
            Line(
                f"{tenants}, cold, endpoint 200 ms: time against one `httpx.Client` in 64 threads",
                "ratio",
                "times",
                1.1,
            ),
            Line("… threads", "threads", "", 300),
            Line("… descriptors", "descriptors", ""),
            Line("… tenants without a token", "failed", "", 0),
        ),
        not_covered,
        1,
        3,
        (OURS,),
    )


# The goals of every row of tenants besides its times.
_BOUNDED = (
    Line("… threads", "threads", "", 300),
    Line("… descriptors", "descriptors", ""),
    Line("… healthy tenants without a token", "failed", "", 0),
)

ROWS = (
    Row(
        "hit",
        (
            Line(
                "`token()` on a hit in a loop, against a slot read and a clock read",
                "ratio",
                "times",
                1.5,
                least="least_ratio",
            ),
        ),
        "a call after a pause, with cold caches: see the next row",
        2,
        5,
    ),
    Row(
        "hit_after_pause",
        (Line("… one call after a pause of 0.11 s", "ratio", "times", 2, beside="seconds"),),
        "longer pauses, after which more of the processor's caches is lost",
        2,
        5,
        (OURS,),
    ),
    Row(
        "async_hit",
        (
            Line(
                "`await atoken()` on a hit, against a slot and a clock read in an awaited method",
                "ratio",
                "times",
                1.15,
                least="least_ratio",
            ),
            Line(
                "… against an empty awaited method, which reads no clock",
                "empty_ratio",
                "times",
                least="slot_empty_ratio",
            ),
        ),
        "a call after a pause, other event loops than asyncio's",
        2,
        5,
        needs="async",
    ),
    Row(
        "threads",
        (Line("the hit in 8 threads, against 1 thread", "ratio", "times", 1.1),),
        "an interpreter without a global lock",
        1,
        3,
    ),
    *(_request_row(each, is_async=is_async) for each in _PROVIDERS for is_async in (False, True)),
    Row(
        "first_token",
        (
            Line(
                "a first token by a provider's name, whole process, against httpx's POST",
                "ratio",
                "times",
                1.25,
            ),
            Line("… over bare Python", "added", "ms"),
        ),
        "TLS, a store on disk, a configuration file, other providers than Norce Storm, a first "
        "start that compiles modules",
        3,
        9,
        whole=True,
    ),
    Row(
        "command",
        (
            Line(
                "a token from disk (`keyturn token NAME`), CPU of the process, against bare Python",
                "cpu_ratio",
                "times",
                8,
                least="least_ratio",
            ),
        ),
        "an encrypted store, secret references other than `env`, a token that must be renewed",
        3,
        9,
        needs="disk",
        whole=True,
    ),
    Row(
        "import",
        (Line("the import alone, over bare Python", "added", "ms"),),
        "modules that are imported at their first use: keyturn's row of the first token has them",
        3,
        7,
        whole=True,
    ),
    Row(
        "cold_call",
        (
            Line("a cold call, memory store: CPU against httpx's POST", "ratio", "times", 1.8),
            Line("… Python calls in keyturn", "calls", "", 150),
            Line("… files of keyturn with a call", "files", ""),
            Line("… threads started", "threads", "", 1),
        ),
        "imports, a new TCP connection, TLS, stores on disk or a network, calls of httpx, attrs "
        "and pluggy, calls made in C",
        1,
        5,
        (OURS,),
        listener=True,
    ),
    Row(
        "cold_threads",
        _cold_lines("100 threads", 1.5),
        "imports, several connections, an endpoint that fails",
        1,
        3,
    ),
    Row(
        "cold_tasks",
        _cold_lines("100 tasks", 1.5),
        "imports, several connections, an endpoint that fails, several event loops",
        1,
        3,
        needs="async",
    ),
    Row(
        "cold_8_processes",
        _cold_lines("8 processes", 1.1),
        "the start of the processes, several hosts",
        1,
        3,
    ),
    Row(
        "cold_64_processes",
        _cold_lines("64 processes", None),
        "the start of the processes, several hosts, peers that share nothing on disk",
        1,
        2,
        (OURS, "httpx-auth", "msal", "azure-identity"),
        (OURS,),
        needs="disk",
    ),
    Row(
        "burst",
        (
            Line(
                "100 threads, 20 token requests allowed: served",
                "succeeded",
                "",
                100,
                at_least=True,
            ),
            Line("… token requests", "token_requests", "", 1),
        ),
        "several accounts that share a limit, a limit shared between hosts",
        1,
        3,
    ),
    Row("load", _load_lines("50 threads"), _LOAD_NOT_COVERED, 1, 3, floor=True),
    Row(
        "async_load",
        _load_lines("50 tasks"),
        _LOAD_NOT_COVERED,
        1,
        3,
        who_quick=(OURS,),
        floor=True,
        needs="async",
    ),
    Row("minute", _minute_lines("50 threads"), _LOAD_NOT_COVERED, 0, 1, (OURS,), floor=True),
    Row(
        "async_minute",
        _minute_lines("50 tasks"),
        _LOAD_NOT_COVERED,
        0,
        1,
        (OURS,),
        floor=True,
        needs="async",
    ),
    Row(
        "many",
        (
            Line(
                "100,000 connections (10,000 in a quick run) in one process: memory of each",
                "bytes_each",
                "KiB",
            ),
            Line("… threads of the process", "threads", ""),
            Line("… descriptors of the process", "descriptors", ""),
            Line("… time to make one and find its token", "seconds_each_made", "µs"),
            Line("… `token()` of one in a loop, against one slot", "ratio_one", "times"),
            Line("… of 1,000 in turn, against as many slots", "ratio_thousand", "times"),
            Line(
                "… of all in turn, against as many slots",
                "ratio_all",
                "times",
            ),
        ),
        "different credentials and hosts, and so store entries and token requests of each",
        1,
        1,
        (OURS,),
    ),
    _tenants_row(
        "tenants_hosts",
        "5,000 tenants of as many hosts (1,000 in a quick run)",
        "a network, name servers, stores on disk or a network, the memory of the connections",
    ),
    _tenants_row(
        "tenants_one_host",
        "5,000 tenants of one host (1,000 in a quick run)",
        "a rate limit, a network, stores on disk or a network",
    ),
    Row(
        "tenants_hanging",
        (
            Line(
                "700 tenants of one host that hangs, 1,024 descriptors: p99 of healthy tenants, "
                "queue included, against that without them",
                "ratio_one",
                "times",
                2,
            ),
            Line(
                "… and 200 more hosts that hang, half of them by their name server",
                "ratio_many",
                "times",
                2,
            ),
            *_BOUNDED,
        ),
        "more than 216 hosts that hang at once: see the next row; stores on disk or a network",
        1,
        3,
        (OURS,),
    ),
    Row(
        "tenants_unseen",
        (
            Line(
                "400 new hosts hang: the slowest first token of 20 other new hosts",
                "slowest",
                "s",
                30,
            ),
            *_BOUNDED,
        ),
        "more than 400 hosts that hang, callers with a timeout below 30 s",
        1,
        3,
        (OURS,),
    ),
    Row(
        "tenants_idle",
        (
            Line(
                "100,000 idle connections (10,000 in a quick run): memory of each", "bytes", "KiB"
            ),
            Line("… threads", "threads", "", 0),
            Line("… descriptors", "descriptors", "", 0),
            Line("… opening all", "seconds", "s"),
        ),
        "tokens and events, which a connection has once it is used",
        1,
        1,
        (OURS,),
    ),
    Row(
        "proxy",
        (
            Line(
                "a request through `keyturn serve`, one after the other, p50: against nginx as a "
                "plain proxy",
                "ratio",
                "times",
            ),
            Line("… p50", "p50", "µs"),
            Line("… p99", "p99", "µs"),
            Line("… of nginx, p50", "p50_nginx", "µs"),
            Line("… of a direct call, p50", "p50_direct", "µs"),
            Line("… 8 clients at once: requests a second", "per_second", ""),
            Line("… of nginx", "per_second_nginx", ""),
            Line("… of direct calls", "per_second_direct", ""),
        ),
        "TLS to the API, bodies, a 401, a token that must be renewed, a machine with more "
        "processors than clients and servers",
        1,
        3,
        (OURS,),
    ),
)
