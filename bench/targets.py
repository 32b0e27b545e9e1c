# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tierd's default is meant to reach, against what was measured: medians of the table's rows."""

OURS = "tierd-direct"
PEERS = ("numab1", "tpp", "mtier", "mtier-fixed", "damo", "hmsdk")


def value(table, workload, manager, name):
    """The median, or None: not run, cannot be had, or not reached by most of the runs."""
    row = table.get(workload, {}).get(manager)
    return row[name]["median"] if row and name in row else None


def was_run(table, workload, manager, name):
    row = table.get(workload, {}).get(manager)
    return bool(row) and name in row


def best_peer(table, workload):
    """Of the peers that moved anything, the one with the highest residency; with the least moved, where they are alike."""
    rows = [(value(table, workload, peer, "residency_pct"), -value(table, workload, peer, "moved_mib"), peer) for peer in PEERS
            if was_run(table, workload, peer, "residency_pct") and value(table, workload, peer, "moved_mib") > 1]
    return max(rows)[2] if rows else None


def within(measured, limit, reached=True):
    """holds or fails; None where one of the two is not known. What was not reached does not hold."""
    if limit is None:
        return None
    if measured is None:
        return "fails" if reached else None
    return "holds" if measured <= limit else "fails"


def targets(table):
    """[(what, measured, limit, unit, holds or fails or None)]"""
    out = []

    def add(what, workload, name, limit, unit):
        measured = value(table, workload, OURS, name)
        out.append((what, measured, limit, unit, within(measured, limit) if was_run(table, workload, OURS, name) else None))

    def of(workload, manager, name, factor):
        number = value(table, workload, manager, name)
        return None if number is None else number * factor

    for workload, seconds in (("hot", 8), ("hot-huge", 5)):
        add("%s: 90 %% up after" % workload, workload, "t90_s", seconds, "s")
        add("%s: promoted" % workload, workload, "promoted_per_hot", 1.1, "bytes per hot byte")
        promoted, gap = value(table, workload, OURS, "promoted_mib"), value(table, workload, OURS, "gap_mib")
        add("%s: demoted, at most promoted and the gap" % workload, workload, "demoted_mib",
            None if promoted is None or gap is None else promoted + gap, "MiB")
        add("%s: free above goal" % workload, workload, "overshoot_points", 1, "points")
        add("%s: moved in the end" % workload, workload, "rest_mib_per_min", 1, "MiB/min")
    add("promote: 90 % up, 3 x bound", "promote", "t90_s", of("promote", OURS, "bound_s", 3), "s")
    for peer in ("mtier", "mtier-fixed"):
        add("promote: 90 %% up, a quarter of %s" % peer, "promote", "t90_s", of("promote", peer, "t90_s", 0.25), "s")
    add("fill: 90 % of the goal, 3 x bound", "fill", "t90_s", of("fill", OURS, "bound_s", 3), "s")
    add("fill: free above goal", "fill", "overshoot_points", 0.3, "points")
    peer = best_peer(table, "pingpong")
    if peer:
        add("pingpong: moved, a third of %s" % peer, "pingpong", "moved_mib", of("pingpong", peer, "moved_mib", 1 / 3), "MiB")
        ours, theirs = value(table, "pingpong", OURS, "residency_pct"), value(table, "pingpong", peer, "residency_pct")
        out.append(("pingpong: residency, no lower than %s" % peer, ours, theirs, "%",
                    None if ours is None or theirs is None else "holds" if ours >= theirs else "fails"))
    add("hot: CPU, a tenth of damo", "hot", "manager_cpu_s", of("hot", "damo", "manager_cpu_s", 0.1), "s")
    add("hot: memory, a fifth of damo", "hot", "manager_rss_mib", of("hot", "damo", "manager_rss_mib", 0.2), "MiB")
    return out
