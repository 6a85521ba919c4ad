"""The page of the documentation, and its chart, written from the results of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bench import table
from bench.catalogue import ROWS
from bench.chart import Goal, Panel, draw
from bench.environments import OURS, REPOSITORY, libraries
from bench.figures import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from bench.figures import Results

RESULTS = REPOSITORY / "bench" / "results" / "results.json"
PAGE = REPOSITORY / "docs" / "explanation" / "measured.md"
CHART = REPOSITORY / "docs" / "images" / "measured.svg"
_DRAWN = (
    ("hit", "ratio"),
    ("request_norce-commerce", "ratio"),
    ("cold_threads", "token_requests"),
    ("load", "token_requests"),
)

_TEMPLATE = """\
# What keyturn costs, measured beside other libraries

A run of `make bench` measures keyturn and {peers} other libraries on one machine, against one token
endpoint, in turns. Compare the ratios; the times belong to that machine.

![keyturn beside other libraries](../images/measured.svg)

{machine}

{main}

A dash means that there is no figure: the library does not support the row ({reasons}), the row is
measured for keyturn only, or the shown run did not measure it.

## What the rows do not cover

{not_covered}

## How it is measured

- Each library has its own environment with the versions above. It is used as its documentation
  shows, with its defaults. keyturn is installed from a wheel. The adapters are in `bench/peers`,
  one small module each.
- The token endpoint is a separate process. It counts its requests and refuses expired tokens. A
  token request takes 200 ms in the rows of cold callers and of load, and no time in the others.
- Each row runs in a separate process. Within it, the compared calls take turns, and the ratio is
  the median over all turns. A figure is the median of two to nine such processes (one to three in a
  quick run). The median, the lowest, the highest and the number of runs of each figure are in
  `bench/results/results.json`.
- A hit is compared with a method that reads a slot and `time.monotonic()` and makes one comparison.
  The least possible reads the clock that counts suspended time instead, as keyturn must. Hits in a
  loop and API requests never wait, so their time is the CPU time of all threads: other processes of
  the machine do not count.
- Requests are sent by httpx to a transport in memory. Each carries the headers that the provider's
  own page requires. The floor is the fastest of three ways to set the same headers by hand: on the
  client, on the request, and by an `Auth` that does nothing else. The least possible is an `Auth`
  that also checks the origin and the expiry. The peers set the provider's header on their client
  and the token as their documentation shows; those for requests are compared with requests.
- A first token: a new process opens a connection by a provider's name and prints a token, with 50
  distributions installed beside the library's own. The floor is a process that sends the same POST
  by `httpx.post`, which makes a TLS context for an http address too: about a sixth of its time.
  keyturn makes one when it needs it, and imports httpcore, httpx's transport, without httpx.
- A cold call is measured at each of the four providers, with a plugin that listens to events. The
  figures are those of the most expensive one. CPU and calls are those of all threads. A call is a
  `call` event of `sys.setprofile` in a file of keyturn.
- Cold callers start when the library has fetched a token elsewhere. Processes share a store on disk
  if a library has one; opening it is part of their time.
- The load is 200 API requests a second by 50 workers. Latency is measured from the moment at which
  a request is due, so a delayed worker is late for its next request too. A request that is 4
  seconds late at the end is not sent. Several libraries renew a token 20 to 300 seconds before its
  expiry, and so at every call when it is valid for 2 seconds.
- A token from disk: `keyturn token NAME`, and for the others a script that finds its token in the
  library's own file. The least possible is a script that finds a token with the libraries that
  keyturn uses (argparse, tomllib, attrs, pluggy, platformdirs, diskcache), and that checks nothing
  and handles no failure. Importing them takes nearly all of its time, and attrs alone, with what it
  imports, half of it. This row compares CPU time. The rest of keyturn's time is the import of
  logging, and its own code: a hit loads about 90 modules and makes 14 attrs classes.
- msal and azure-identity require https; an HTTP client that each accepts as an argument sends their
  requests by http. google-auth uses a service account, which signs a JWT instead of sending a
  secret.

## Repeat it

`make bench` takes about half an hour, and some minutes more the first time.
`python -m bench --quick`, in the environment that `make` has set up, takes about seven, with more
noise. Both write `bench/results/results.json`, this page and its chart, and end with the goals that
were missed. `python -m bench ROW` measures one row and writes nothing, or with `--update` replaces
that row on this page; `python -m bench --page` writes this page from the results again.
"""
# Properties that must be equal for rows of two runs in one table.
_COMPARED = ("cpus", "processor", "python", "system", "mode")
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def write(machine: dict[str, Any], results: Results) -> None:
    """Write the results, the page and the chart."""
    RESULTS.parent.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine, "results": results}, indent=1)
    RESULTS.write_text(_compact(text) + "\n", encoding="utf-8")
    PAGE.write_text(page(machine, results), encoding="utf-8")
    CHART.write_text(chart(results), encoding="utf-8")


def check_same(machine: dict[str, Any]) -> None:
    """Check that rows measured now are comparable with those that were written before.

    Raises:
        ValueError: Those were measured elsewhere, by another Python, or in another mode.
    """
    before, _ = read(RESULTS)
    if other := [each for each in _COMPARED if before[each] != machine[each]]:
        raise ValueError(f"the results in {RESULTS} differ in {', '.join(other)}: measure all rows")


def update(machine: dict[str, Any], results: Results) -> None:
    """Write results of some rows in place of those that were written before.

    Raises:
        ValueError: As `check_same`.
    """
    check_same(machine)
    before, all_results = read(RESULTS)
    for row, figures in results.items():
        all_results[row] = {**all_results.get(row, {}), **figures}
    updated = {*before.get("updated", ()), *results}
    ordered = {row.name: all_results[row.name] for row in ROWS if row.name in all_results}
    before["updated"] = [row for row in ordered if row in updated]
    write(before, ordered)


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
    every = libraries()
    return _TEMPLATE.format(
        peers=_COUNTS[len(every) - 1],
        machine=_describe(machine),
        main=table.markdown(table.main_table(results, every, ROWS)),
        reasons="; ".join(table.reasons(every)),
        not_covered=table.markdown(table.not_covered(ROWS)),
    )


def chart(results: Results) -> str:
    """Return the chart: a few lines with all libraries, and each line that has a goal."""
    panels = []
    lines = ((row.name, line) for row in ROWS for line in row.lines)
    for row, line in lines:
        if (row, line.figure) not in _DRAWN:
            continue
        values = [(each.name, line.value(results, row, each.name)) for each in libraries()]
        bars = [(name, value, line.shown(value)) for name, value in values if value is not None]
        if bars:
            panels.append(Panel(line.title.replace("`", ""), bars, line.goal))
    note = "shorter is better; lengths are logarithmic; dashed: keyturn's goal"
    return draw("keyturn beside other libraries", note, panels, _goals(results))


def _goals(results: Results) -> list[Goal]:
    """Return each line that has a goal, whether keyturn meets it or not."""
    found: list[Goal] = []
    # What the next line with an ellipsis belongs to, if no line before says it.
    subject = ""
    for row in ROWS:
        for line in row.lines:
            title = line.title.replace("`", "")
            if not title.startswith("…"):
                subject = title.partition(":")[0] if line.goal is None else ""
            if line.goal is None:
                continue
            if subject:
                title, subject = f"{subject}: {title.removeprefix('… ')}", ""
            value = line.value(results, row.name, OURS)
            part = value / line.goal if value is not None and line.goal else None
            figure = "" if value is None else f"{line.shown(value)}, "
            found.append(
                Goal(
                    title,
                    f"{figure}goal {line.goal_shown(results, row.name).partition(' (')[0]}",
                    part,
                    None if value is None else line.met(value),
                )
            )
    return found


def _describe(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    updated = ", ".join(machine.get("updated", ()))
    later = f" Rows of a later run on such a machine: {updated}." if updated else ""
    return (
        f"{machine['cpus']} CPUs ({machine['processor']}), Python {machine['python']}, "
        f"{machine['system']}; a {machine['mode']} run. Versions: {versions}.{later}"
    )


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
