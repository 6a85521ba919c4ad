"""The page of the documentation, and its chart, written from the results of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bench import table
from bench.chart import Panel, draw
from bench.environments import OURS, REPOSITORY, libraries
from bench.figures import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from bench.run import Results

RESULTS = REPOSITORY / "bench" / "results" / "results.json"
PAGE = REPOSITORY / "docs" / "explanation" / "measured.md"
CHART = REPOSITORY / "docs" / "images" / "measured.svg"
_DRAWN = (("hit", "ratio"), ("cold_threads", "token_requests"), ("load", "token_requests"))

_TEMPLATE = """\
# What it costs, measured beside others

One run of `make bench` measured keyturn and eight other libraries on the same machine, against the
same token endpoint, taking turns. What matters are the ratios; the times belong to that machine.

![keyturn beside other libraries](../images/measured.svg)

{machine}

{main}

A dash: not measured, since there is no way to ({reasons}), or since the run was a quick one.

{minute}{many}## How it is measured

- Each library lives in an environment of its own with the versions above, and is used as its
  documentation shows, with its defaults. keyturn is installed from a wheel. The adapters are in
  `bench/peers`, one small module each.
- The token endpoint is a process of its own. It counts what it is asked, refuses tokens that have
  ended, and takes 200 ms for a token request where callers are cold and under load.
- A figure is the median of three to seven runs, in which the libraries take turns; in a quick run
  there are one to three. Floors (a slot, an empty method, a static header, bare Python) are
  measured within the same run. The median, the lowest, the highest and the number of runs of each
  figure are in `bench/results/results.json`.
- A request by keyturn or by an httpx library is compared with httpx, one by a requests library with
  requests, both with a static header and a network that responses at once.
- Cold callers start when the library has fetched a token elsewhere, into memory. What the imports
  cost is in the line of the first token, where a fresh process gets a token from an endpoint that
  responses at once. The 8 processes share a store on disk where a library has one; to open it, and
  what is imported for that, is part of their time.
- keyturn imports its parts when they are first used, so the line of the import flatters it; the one
  of the first token does not.
- The load is 200 API requests a second by 50 workers, with tokens that live for 2 seconds. A
  request counts from the moment at which it was due, so a worker that was held up is late for the
  next one too; what is 4 seconds late at the end is not sent. Several libraries renew a token 20 to
  300 seconds before its end, so that such a short-lived one is renewed on every call.
- An awaited method that does no more than look at a slot and the clock takes {least} as long as an
  empty one; no less is possible for a token whose end is looked at.
- Where there are very many connections, each is asked a few times a second only. A tenth of a
  second after the last call, a call reads both clocks and checks whatever there is to check; so it
  does with ten connections that are asked as seldom.
- A token from disk: `keyturn token NAME`, and for the others a script that finds its token in the
  library's own file. diskcache alone takes {diskcache} as long as bare
  Python.
- msal and azure-identity insist on https; the HTTP client that they let one choose takes it away.
  google-auth uses a service account, which signs a JWT where the others send a secret.

## Repeat it

`make bench` takes about half an hour, and a minute more the first time; `python -m bench --quick`
in the environment that `make` has set up takes four, with more noise. Both write
`bench/results/results.json`, this page and its chart, and end with the lines that are not as
required.
"""


def write(machine: dict[str, Any], results: Results) -> None:
    """Write the results, the page and the chart."""
    RESULTS.parent.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine, "results": results}, indent=1)
    RESULTS.write_text(_compact(text) + "\n", encoding="utf-8")
    PAGE.write_text(page(machine, results), encoding="utf-8")
    CHART.write_text(chart(results), encoding="utf-8")


def read(path: Path = RESULTS) -> tuple[dict[str, Any], Results]:
    """Return the machine and the results that were written."""
    written = json.loads(path.read_text(encoding="utf-8"))
    results = {
        row: {
            name: {each: Figure(*values) for each, values in figures.items()}
            for name, figures in by_library.items()
        }
        for row, by_library in written["results"].items()
    }
    return written["machine"], results


def page(machine: dict[str, Any], results: Results) -> str:
    """Return the page."""
    peers = libraries()
    return _TEMPLATE.format(
        machine=_describe(machine),
        main=table.markdown(table.main_table(results, peers)),
        reasons="; ".join(table.reasons(peers)),
        minute=_section("A minute under load", table.minute_table(results)),
        many=_section("Many connections", table.many_table(results)),
        least=_times(results, "async_hit", "least_ratio"),
        diskcache=_times(results, "disk", "diskcache_ratio"),
    )


def _times(results: Results, row: str, figure: str) -> str:
    """Return a ratio of keyturn's own run in words."""
    found = results.get(row, {}).get(OURS, {}).get(figure)
    return table.EMPTY if found is None else f"{found.median:.1f} times"


def chart(results: Results) -> str:
    """Return the chart of the lines that tell most."""
    panels = []
    for line in table.LINES:
        if (line.row, line.figure) not in _DRAWN:
            continue
        values = [(each.name, line.value(results, each.name)) for each in libraries()]
        bars = [(name, value, line.shown(value)) for name, value in values if value is not None]
        if bars:
            panels.append(Panel(line.title.replace("`", ""), bars, line.limit))
    note = "shorter is better; lengths are logarithmic; dashed: what is required of keyturn"
    return draw("keyturn beside other libraries", note, panels)


def _describe(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['cpus']} CPUs ({machine['processor']}), Python {machine['python']}, "
        f"{machine['system']}; a {machine['mode']} run. Versions: {versions}."
    )


def _section(title: str, rows: list[list[str]]) -> str:
    return f"## {title}\n\n{table.markdown(rows)}\n\n" if rows else ""


def _compact(text: str) -> str:
    """Return indented JSON with each list on one line."""
    lines: list[str] = []
    within = False
    for line in text.splitlines():
        if within:
            within = not line.strip().startswith("]")
            lines[-1] += line.strip() + (" " if within and line.endswith(",") else "")
        else:
            lines.append(line)
            within = line.endswith("[")
    return "\n".join(lines)
