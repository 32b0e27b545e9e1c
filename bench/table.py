#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""table.py OUT KERNEL [KEY...]: of the cells in OUT/raw/KERNEL, table.md, table.json and charts in OUT/KERNEL; with keys, of the cells that
have one of them.
table.py --line CELL: what a cell says, in a line."""

import json
import os
import sys

import charts
import metrics
import targets

MANAGERS = {
    "none": "nobody",
    "numab1": "NUMA balancing, mode 1",
    "tpp": "NUMA balancing, mode 2, with reclaim demotion (TPP)",
    "mtier": "DAMON by the settings of mainline's samples/damon/mtier.c, goals 5 % free and 96 % used",
    "mtier-fixed": "the same with fixed monitoring intervals (7.2 starves schemes whose intervals tune themselves)",
    "damo": "damo by the settings of its mem_tier.sh, its own goals (0.5 % free, 99.7 % used)",
    "hmsdk": "damo by the settings of HMSDK's gen_migpol, without its cgroup filter",
    "tierd-direct": "tierd, its default",
    "tierd-feedback": "tierd, tuner feedback",
    "tierd-kernel": "tierd, tuner kernel",
}
WORKLOADS = {
    "promote": "200 MiB hot on the slow node, room on the fast one",
    "hot": "200 MiB hot on the slow node, the fast one full of cold pages to 5 % free",
    "hot-huge": "the same in huge pages",
    "fill": "cold pages fill the fast node to 2 % free; the goal is 5 %",
    "moves": "the fast node full of cold pages; each 20 s another 200 MiB on the slow node get hot",
    "zipf": "1200 MiB over both nodes, touched by Zipf's law (exponent 1, blocks of 2 MiB)",
    "scan": "200 MiB hot on the slow node, beside it 600 MiB read once in 10 s",
    "pingpong": "1200 MiB over both nodes, all alike hot: more than the fast node holds",
    "spots": "32 spots of 1 MiB in 1400 MiB of cold memory on the slow node",
    "pagecache": "page cache: 200 MiB hot on the slow node, the fast one full of what was read once",
    "three": "three tiers, the upper two full; 100 MiB hot on each of the lower two",
    "sockets": "two sockets with a slow node each; 150 MiB hot on each slow node, from its own socket",
}
OURS = targets.OURS

# Name, heading, decimals.
COLUMNS = [
    ("t90_s", "90 % after, s", 1),
    ("t99_s", "99 % after, s", 1),
    ("residency_pct", "mean residency, %", 0),
    ("fast_pct", "touches served fast, %", 0),
    ("overshoot_points", "free above goal, points", 1),
    ("settle_s", "settled after, s", 1),
    ("moved_mib", "moved, MiB", 0),
    ("promoted_mib", "promoted", 0),
    ("demoted_mib", "demoted", 0),
    ("moved_per_needed", "moved per needed", 2),
    ("rest_mib_per_min", "in the end, MiB/min", 1),
    ("kdamonds_cpu_s", "CPU of kdamonds, s", 2),
    ("reclaim_cpu_s", "of kswapd and the like, s", 2),
    ("manager_cpu_s", "of the manager, s", 2),
    ("manager_rss_mib", "its memory, MiB", 1),
    ("kops", "touches, 1000/s", 0),
]
# What is compared with the peers, and whether less is better.
COMPARED = [("t90_s", "90 % after", True), ("residency_pct", "mean residency", False), ("overshoot_points", "overshoot", True),
            ("moved_mib", "bytes moved", True)]


def summary(values):
    """Of runs: the median, the least and the most, and how many have no value. Such a run counts as more than any."""
    there = [value for value in values if value is not None]
    return {"median": metrics.median(values), "min": min(there) if there else None, "max": max(there) if there else None,
            "n": len(values), "none": len(values) - len(there)}


def text_of(s, decimals):
    """1.2 (1.1 to 1.4), or what there is instead."""
    if s is None or s["n"] == 0 or s["none"] == s["n"]:
        return "–"
    number = lambda value: "%.*f" % (decimals, value + 0.0)
    missed = " in %d of %d" % (s["n"] - s["none"], s["n"]) if s["none"] else ""
    if s["median"] is None:
        return "– (%s%s)" % (number(s["min"]), missed)
    if number(s["min"]) == number(s["max"]):
        return number(s["median"]) + missed
    return "%s (%s to %s%s)" % (number(s["median"]), number(s["min"]), number(s["max"]), missed)


def compare(ours, peer, less_is_better):
    """beats, ties or loses: by the median, and a tie where the spreads overlap. None where the peer has nothing to compare with."""
    if peer is None or peer["none"] == peer["n"]:
        return None if ours is None or ours["none"] == ours["n"] else "beats"
    if ours is None or ours["none"] == ours["n"]:
        return "loses"
    if ours["median"] is None or peer["median"] is None:
        if ours["median"] is None and peer["median"] is None:
            return "ties"
        return "loses" if ours["median"] is None else "beats"
    if ours["min"] <= peer["max"] and peer["min"] <= ours["max"]:
        return "ties"
    return "beats" if (ours["median"] < peer["median"]) == less_is_better else "loses"


def arrived(row):
    """Most of its runs got 90 % to their place: then it makes sense to ask what that took."""
    return row["t90_s"]["median"] is not None


def verdict(rows, name, less_is_better):
    """The worst of our default's comparisons with every peer, and those peers. What was moved, and how far free memory went, is compared
    among those that arrived."""
    ours = rows.get(OURS)
    if ours is None:
        return None
    by = {}
    for manager, row in rows.items():
        if manager.startswith("tierd-") or row is None:
            continue
        if name in ("moved_mib", "overshoot_points") and not arrived(row):
            continue
        result = compare(ours.get(name), row.get(name), less_is_better)
        if result:
            by.setdefault(result, []).append(manager)
    for result in ("loses", "ties", "beats"):
        if result in by:
            return result, by[result]
    return None


def load_cells(directory):
    cells = []
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        if name.endswith(".json"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                cells.append(json.load(file))
    return cells


def rows_of(cells):
    """{workload: {manager: {metric: summary}}}, None where a manager cannot be had; in the order in which they are known."""
    measured = {}
    for cell in cells:
        measured.setdefault((cell["workload"], cell["manager"]), []).append(metrics.measure(cell))
    table = {}
    for workload in WORKLOADS:
        for manager in MANAGERS:
            runs = measured.get((workload, manager))
            if runs is None:
                continue
            runs = [run for run in runs if run is not None]
            names = {name for run in runs for name in run}
            table.setdefault(workload, {})[manager] = \
                {name: summary([run[name] for run in runs]) for name in sorted(names)} if runs else None
    return table


def markdown(table, cells, kernel):
    releases = sorted({cell["kernel"] for cell in cells if cell["kernel"]})
    versions = sorted({cell["damo"] for cell in cells if cell.get("damo") and cell["manager"] in ("damo", "hmsdk")})
    others = [cell["host_others_percent"] for cell in cells]
    faults = sorted("%s %s %d" % (cell["workload"], cell["manager"], cell["run"]) for cell in cells if cell["status"] == 71)
    counts = sorted({row["kops"]["n"] for rows in table.values() for row in rows.values() if row})
    out = ["# Managers and workloads, Linux %s" % kernel, "",
           "Made by `make bench`; bench/README.md says how, and what each column means. Times are those of an emulator: compare within the "
           "table only. A cell is the median, with the least and the most of its runs in brackets; – is what was not reached, or does not "
           "apply.", "",
           "Kernel: %s. damo: %s. Runs of a cell: %s." % (", ".join(releases), ", ".join(versions) or "none", " to ".join(str(n) for n in sorted({counts[0], counts[-1]}))
                                               if counts else "none")]
    if others:
        out += ["", "While the guests ran, other work took %d %% of the host's CPUs at the median, %d %% at the most.%s" %
                (metrics.median(others), max(others),
                 " **That is too much: these numbers say little.**" if metrics.median(others) > 10 else "")]
    if faults:
        out += ["", "The kernel's log showed a fault in: %s." % ", ".join(faults)]

    out += ["", "## tierd's default against every peer", "",
            "The worst of the comparisons by medians; a tie is where the spreads overlap. Overshoot and bytes moved are compared with the "
            "peers that got 90 % to their place.", "",
            "| workload | %s |" % " | ".join(heading for _, heading, _ in COMPARED), "|---|%s" % ("---|" * len(COMPARED))]
    for workload, rows in table.items():
        texts = []
        for name, _, less_is_better in COMPARED:
            found = verdict(rows, name, less_is_better)
            texts.append("–" if found is None else found[0] if found[0] == "beats" else "%s: %s" % (
                "**loses**" if found[0] == "loses" else found[0], ", ".join(found[1])))
        out.append("| %s | %s |" % (workload, " | ".join(texts)))

    out += ["", "## What tierd's default is meant to reach", "", "| | measured | limit | |", "|---|---|---|---|"]
    for what, measured, limit, unit, verdict_of in targets.targets(table):
        shown = ["–" if number is None else "%.2f %s" % (number, unit) for number in (measured, limit)]
        out.append("| %s | %s | %s | %s |" % (what, shown[0], shown[1], "**fails**" if verdict_of == "fails" else verdict_of or "–"))

    for workload, rows in table.items():
        out += ["", "## %s" % workload, "", WORKLOADS[workload][0].upper() + WORKLOADS[workload][1:] + ".", ""]
        any_row = next((row for row in rows.values() if row), None)
        if any_row:
            bound = any_row["bound_s"]["median"]
            best = any_row.get("ideal_pct")
            notes = ["Physical bound: %.1f s." % bound if bound is not None else "There is no physical bound to tell."]
            if best and best["median"] < 100:
                notes.append("At most %.0f %% of the touches can be served fast; 90 %% and 99 %% are of that." % best["median"])
            out += [" ".join(notes), ""]
        columns = [column for column in COLUMNS if any(row and column[0] in row and row[column[0]]["none"] < row[column[0]]["n"]
                                                       for row in rows.values())]
        out += ["| manager | %s |" % " | ".join(heading for _, heading, _ in columns), "|---|%s" % ("---|" * len(columns))]
        for manager, row in rows.items():
            texts = ["cannot be had on this kernel"] + [""] * (len(columns) - 1) if row is None else \
                [text_of(row.get(name), decimals) for name, _, decimals in columns]
            out.append("| %s | %s |" % (manager, " | ".join(texts)))
        out += ["", "![%s](%s.svg)" % (workload, workload)]

    out += ["", "## Managers", ""] + ["- **%s**: %s" % (name, text) for name, text in MANAGERS.items()
                                      if any(name in rows for rows in table.values())]
    missing = []
    for workload in WORKLOADS:
        absent = [manager for manager in MANAGERS if manager not in table.get(workload, {})]
        if absent:
            missing.append("%s under %s" % (workload, "anyone" if len(absent) == len(MANAGERS) else ", ".join(absent)))
    if missing:
        out += ["", "Not run: %s." % "; ".join(missing)]
    return "\n".join(out) + "\n"


# --- charts

GRID_MS = 500


def on_grid(series_of_runs):
    """The median of several runs' series, by steps of half a second, as far as each goes."""
    points = []
    end_ms = max((series[-1][0] for series in series_of_runs if series), default=0)
    for t in range(0, int(end_ms) + 1, GRID_MS):
        values = [metrics.at_time([when for when, _ in series], [value for _, value in series], t) for series in series_of_runs
                  if series and series[-1][0] >= t]
        if values:
            points.append((t / 1000, metrics.median(values)))
    return points


def chart_of(workload, cells):
    runs = {}
    for cell in cells:
        if cell["workload"] == workload and cell["unsupported"] is None:
            runs.setdefault(cell["manager"], []).append(cell)
    managers = [manager for manager in MANAGERS if manager in runs]
    if not managers:
        return None
    end = max(cell["end_ms"] for cells_of in runs.values() for cell in cells_of)

    def lines(series_of):
        # memload goes on while a manager is ended.
        return {manager: on_grid([[(t, y) for t, y in series_of(cell) if t <= cell["end_ms"]] for cell in runs[manager]])
                for manager in managers}

    def migrated(cell):
        begin = metrics.at_time(cell["watch"]["t"], cell["watch"]["migrated_bytes"], 0)
        return [(t, max(0, n - begin) / metrics.MIB) for t, n in zip(cell["watch"]["t"], cell["watch"]["migrated_bytes"])]

    panels = []
    if next(iter(runs.values()))[0]["targets"]:
        panels.append(("Hot set where it belongs", "%", lines(lambda cell: [(t, share * 100) for t, share in metrics.residency(cell)]), 100))
    panels.append(("Free memory of the fast node", "%", lines(lambda cell: [(t, bp / 100) for t, bp in metrics.free_bp(
        cell, metrics.upper_nodes(cell)[0])]), None))
    panels.append(("Migrated by anyone", "MiB", lines(migrated), None))
    return charts.chart("%s: %s" % (workload, WORKLOADS[workload]), panels, managers, list(MANAGERS), end / 1000)


def line_of(path):
    with open(path, encoding="utf-8") as file:
        cell = json.load(file)
    row = metrics.measure(cell)
    if row is None:
        return "cannot be had: %s" % cell["unsupported"]
    said = ["%s %s" % (heading, text_of(summary([row[name]]), decimals)) for name, heading, decimals in COLUMNS
            if row.get(name) is not None]
    return "; ".join(said)


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--line":
        print(line_of(sys.argv[2]))
        return 0
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    out, kernel = sys.argv[1:3]
    keys = sys.argv[3:]
    cells = [cell for cell in load_cells(os.path.join(out, "raw", kernel)) if not keys or cell["key"] in keys]
    if not cells:
        print("table: there are no cells in %s" % os.path.join(out, "raw", kernel), file=sys.stderr)
        return 1
    into = os.path.join(out, kernel)
    os.makedirs(into, exist_ok=True)
    table = rows_of(cells)
    for workload in table:
        drawn = chart_of(workload, cells)
        if drawn:
            write(os.path.join(into, workload + ".svg"), drawn)
    write(os.path.join(into, "table.json"), json.dumps({"kernel": kernel, "cells": len(cells), "table": table}, indent=1) + "\n")
    write(os.path.join(into, "table.md"), markdown(table, cells, kernel))
    print("table: %s" % os.path.join(into, "table.md"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
