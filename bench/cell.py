#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""cell.py DIRECTORY: what a guest left there of one cell of the bench, as one JSON object; times are milliseconds since the manager began."""

import json
import os
import sys

PAGE_BYTES = 4096


def read_pairs(path):
    """KEY=VALUE lines; of keys that come twice, the last."""
    pairs = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                key, equals, value = line.rstrip("\n").partition("=")
                if equals:
                    pairs[key] = value
    return pairs


def read_lines(path):
    """JSON lines. The last may be cut off: its writer was told to end."""
    objects = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                try:
                    objects.append(json.loads(line))
                except json.JSONDecodeError:
                    pass
    return objects


def sets_of(lines, start_ms):
    """memload's samples as columns, by set."""
    ready = next((line for line in lines if line.get("event") == "ready"), None)
    if ready is None:
        return {}, []
    shift = ready["clock_ms"] - ready["t_ms"] - start_ms
    sets, events = {}, []
    for line in lines:
        t = line["t_ms"] + shift
        if "event" in line:
            if line["event"] in ("touch", "idle"):
                events.append({"t": t, "event": line["event"], "set": line["set"]})
            continue
        columns = sets.setdefault(line["set"], {"bytes": line["bytes"], "t": [], "ops": [], "passes": [], "touch": [], "nodes": {},
                                                "heat": {}})
        columns["t"].append(t)
        columns["ops"].append(line["ops"])
        columns["passes"].append(line["passes"])
        columns["touch"].append(1 if line["state"] == "touch" else 0)
        for node, n_bytes in line["node_bytes"].items():
            columns["nodes"].setdefault(node, []).append(n_bytes)
        for node, ppm in line.get("heat_ppm", {}).items():
            columns["heat"].setdefault(node, []).append(ppm)
    return sets, events


def watch_of(lines, start_ms):
    """bench-watch's samples as columns."""
    return {
        "t": [line["t_ms"] - start_ms for line in lines],
        "free_kib": [line["free_kib"] for line in lines],
        "percpu_kib": [line["percpu_kib"] for line in lines],
        "migrated_bytes": [line["vmstat"].get("pgmigrate_success", 0) * PAGE_BYTES for line in lines],
        "failed_bytes": [line["vmstat"].get("pgmigrate_fail", 0) * PAGE_BYTES for line in lines],
        "promoted_bytes": [line["vmstat"].get("pgpromote_success", 0) * PAGE_BYTES for line in lines],
        "reclaim_demoted_bytes": [sum(n for name, n in line["vmstat"].items() if name.startswith("pgdemote_")) * PAGE_BYTES
                                  for line in lines],
        "threads_ns": {kind: [line["threads_ns"][kind] for line in lines] for kind in (lines[0]["threads_ns"] if lines else {})},
        "manager_us": [line.get("manager_us") for line in lines],
        "manager_rss_kib": [line.get("manager_rss_kib") for line in lines],
    }


def cell_of(directory):
    host = read_pairs(os.path.join(directory, "host"))
    facts = read_pairs(os.path.join(directory, "facts"))
    cell = {
        "key": host["key"],
        "workload": host["workload"],
        "manager": host["manager"],
        "run": int(host["run"]),
        "span_s": int(host["span_s"]),
        "status": int(host["status"]),
        "host_others_percent": int(host["host_others_percent"]),
        "kernel": facts.get("kernel", ""),
        "damo": facts.get("damo", ""),
        "unsupported": facts.get("unsupported"),
    }
    if cell["unsupported"] is not None:
        return cell
    start_ms = int(facts["start_ms"])
    cell["goal_bp"] = int(facts["goal_bp"])
    cell["started_ms"] = int(facts["started_ms"]) - start_ms
    # A guest that notices late that the span is over has its manager judged by no more than the others.
    cell["end_ms"] = min(int(facts["end_ms"]) - start_ms, cell["span_s"] * 1000)
    cell["total_kib"] = [int(kib) for kib in facts["total_kib"].split()]
    cell["min_free_kib"] = int(facts["min_free_kib"])
    cell["pairs"] = [[int(node) for node in pair.split(":")] for pair in facts["pairs"].split()]
    cell["targets"] = {name: int(node) for name, node in (target.split(":") for target in facts["targets"].split())}
    cell["facts"] = {name: int(value) for name, value in facts.items() if name.startswith(("start_", "look_", "applied_"))
                     and name != "start_ms"}
    cell["sets"], cell["events"] = sets_of(read_lines(os.path.join(directory, "memload.json")), start_ms)
    cell["watch"] = watch_of(read_lines(os.path.join(directory, "watch.json")), start_ms)
    if not cell["sets"] or not cell["watch"]["t"]:
        raise ValueError("there are no samples")
    return cell


def main():
    if len(sys.argv) != 2:
        print("usage: cell.py DIRECTORY", file=sys.stderr)
        return 2
    cell = cell_of(sys.argv[1])
    # A line for each key, so that bench/run finds its own.
    print("{\n" + ",\n".join(' %s: %s' % (json.dumps(name), json.dumps(value)) for name, value in cell.items()) + "\n}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
