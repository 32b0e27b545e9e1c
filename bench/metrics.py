# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one cell of the bench measured, from the columns that cell.py made. Pure: cells in, numbers out; None is what was not reached, or
does not apply."""

MIB = 1 << 20
# The quota ceiling that tierd, mtier and damo have by their own settings, and one aggregation: sooner none of them can be done.
CEILING_BYTES_PER_S = 200 * MIB
AGGREGATION_S = 0.1
# What the bench reckons with where a manager has no goal of its own.
FREE_BP = 500
SETTLED_BP = 50
REST_MS = 20000
BLOCK_BYTES = 2 * MIB
# Hot sets take turns in this workload: each turn is a trial of its own.
MOVES = "moves"
# What is hot is more than what is fast, so that not all of it can be up.
LARGER = ("zipf", "pingpong")


def median(values):
    """Of numbers, None counting as more than any: the median of runs of which most did not get there is None."""
    ranked = sorted(values, key=lambda value: (value is None, value if value is not None else 0))
    n = len(ranked)
    if n == 0:
        return None
    if n % 2:
        return ranked[n // 2]
    low, high = ranked[n // 2 - 1], ranked[n // 2]
    return None if low is None or high is None else (low + high) / 2


def at_time(times, values, t):
    """The last value at or before t, or the first one."""
    found = values[0]
    for when, value in zip(times, values):
        if when > t:
            break
        found = value
    return found


def share_on(columns, node, i):
    """Of a set's touches, those that sample i finds on a node."""
    node = str(node)
    if columns["heat"]:
        return columns["heat"].get(node, [0] * (i + 1))[i] / 1e6
    return columns["nodes"].get(node, [0] * (i + 1))[i] / columns["bytes"] if columns["bytes"] else 0.0


def sample_count(sets):
    return min((len(columns["t"]) for columns in sets.values()), default=0)


def residency(cell):
    """[(ms, share)]: of the hot sets' heat, what is where it belongs. A set counts by its bytes while it is touched."""
    series = []
    hot = {name: cell["sets"][name] for name in cell["targets"]}
    for i in range(sample_count(hot)):
        weight = sum(columns["bytes"] for columns in hot.values() if columns["touch"][i])
        if weight:
            there = sum(columns["bytes"] * share_on(columns, cell["targets"][name], i)
                        for name, columns in hot.items() if columns["touch"][i])
            series.append((min(columns["t"][i] for columns in hot.values()), there / weight))
    return series


def harmonic(n):
    return sum(1.0 / rank for rank in range(1, n + 1))


def capacity_bytes(cell, node):
    """What of a node could hold hot pages: all but the goal's share, and what others than the workload have there at the start."""
    total = cell["total_kib"][node] * 1024
    free = at_time(cell["watch"]["t"], cell["watch"]["free_kib"], 0)[node] * 1024
    own = sum(columns["nodes"].get(str(node), [0])[0] for columns in cell["sets"].values())
    return max(0, int(total * (1 - FREE_BP / 10000)) - (total - free - own))


def ideal(cell):
    """The most of the heat that can be where it belongs."""
    if cell["workload"] not in LARGER:
        return 1.0
    (name, node), = cell["targets"].items()
    n_bytes = cell["sets"][name]["bytes"]
    room = capacity_bytes(cell, node)
    if cell["workload"] == "zipf":
        blocks = -(-n_bytes // BLOCK_BYTES)
        return harmonic(min(blocks, room // BLOCK_BYTES)) / harmonic(blocks)
    return min(1.0, room / n_bytes)


def turns(cell):
    """[(from, to)]: the whole span, or one for each hot set."""
    begins = [0]
    if cell["workload"] == MOVES:
        begins += [event["t"] for event in cell["events"] if event["event"] == "touch" and event["t"] > 0]
    return list(zip(begins, begins[1:] + [cell["end_ms"]]))


def seconds_until(series, share, begin, end):
    return next(((t - begin) / 1000 for t, value in series if begin <= t <= end and value >= share), None)


def mean_between(series, begin, end):
    """By time: each value holds until the next sample."""
    total = held = 0.0
    for (t, value), (until, _) in zip(series, series[1:] + [(end, None)]):
        t, until = max(t, begin), min(until, end)
        if until > t:
            total += value * (until - t)
            held += until - t
    return total / held if held else None


def upper_nodes(cell):
    return sorted({upper for upper, _ in cell["pairs"]})


def fast_nodes(cell):
    lower = {node for _, node in cell["pairs"]}
    return [node for node in upper_nodes(cell) if node not in lower]


def served(cell):
    """Shares of all touches that found their page where it belongs (of sets that belong nowhere: on a fast node) and on each node, and
    touches per second."""
    fast = touches = 0.0
    by_node = [0.0] * len(cell["total_kib"])
    first, last = None, None
    for name, columns in cell["sets"].items():
        nodes = [cell["targets"][name]] if name in cell["targets"] else fast_nodes(cell)
        for i in range(1, len(columns["t"])):
            if columns["t"][i - 1] < 0 or columns["t"][i] > cell["end_ms"]:
                continue
            done = columns["ops"][i] - columns["ops"][i - 1]
            touches += done
            fast += done * sum(share_on(columns, node, i) for node in nodes)
            for node in range(len(by_node)):
                by_node[node] += done * share_on(columns, node, i)
            first = columns["t"][i - 1] if first is None else min(first, columns["t"][i - 1])
            last = columns["t"][i] if last is None else max(last, columns["t"][i])
    if not touches or last <= first:
        return None, [], None
    return fast / touches, [n / touches for n in by_node], touches * 1000 / (last - first)


def gross_ways(cell):
    """Bytes that went up and down in all: of what was moved, and by how much the workload's share of the upper nodes grew. Where a node is
    both upper and lower that cannot be told: None. Compaction counts half up and half down."""
    upper = upper_nodes(cell)
    if set(upper) & {lower for _, lower in cell["pairs"]}:
        return None, None
    net = 0
    for columns in cell["sets"].values():
        for node in upper:
            on_node = columns["nodes"].get(str(node))
            if on_node:
                net += at_time(columns["t"], on_node, cell["end_ms"]) - at_time(columns["t"], on_node, 0)
    moved = growth(cell, "migrated_bytes", 0, cell["end_ms"])
    return max(0, moved + net) / 2, max(0, moved - net) / 2


def goal_bp(cell):
    return cell["goal_bp"] if cell["goal_bp"] >= 0 else FREE_BP


def free_bp(cell, node):
    """[(ms, basis points)]"""
    return [(t, free[node] * 10000 / cell["total_kib"][node]) for t, free in zip(cell["watch"]["t"], cell["watch"]["free_kib"])]


def overshoot(cell):
    """Points of a node above the goal of free memory at most, once it had been as low as that."""
    most = None
    for node in upper_nodes(cell):
        low = False
        for t, value in free_bp(cell, node):
            low = low or value <= goal_bp(cell) + SETTLED_BP
            if low and 0 <= t <= cell["end_ms"]:
                above = max(0.0, value - goal_bp(cell)) / 100
                most = above if most is None else max(most, above)
    return most


def settling(cell):
    """Seconds until free memory of the first node was within half a point of the goal, and stayed there."""
    settled = None
    for t, value in free_bp(cell, upper_nodes(cell)[0]):
        if t < 0 or t > cell["end_ms"]:
            continue
        if abs(value - goal_bp(cell)) > SETTLED_BP:
            settled = None
        elif settled is None:
            settled = t / 1000
    return settled


def until_free(cell):
    """Seconds until the first node had 90 % of what was missing to its goal."""
    series = free_bp(cell, upper_nodes(cell)[0])
    begin = at_time([t for t, _ in series], [value for _, value in series], 0)
    if begin >= goal_bp(cell):
        return None
    return seconds_until(series, begin + (goal_bp(cell) - begin) * 0.9, 0, cell["end_ms"])


def missing_bytes(cell, node):
    """To the bench's goal of free memory at the start; below nothing where there is more."""
    total = cell["total_kib"][node] * 1024
    return total * FREE_BP // 10000 - at_time(cell["watch"]["t"], cell["watch"]["free_kib"], 0)[node] * 1024


def needed(cell):
    """Bytes that have to be moved: by edge from below, and in all, with what makes room for them. Of like heat there is nothing to gain,
    and of what is larger than its place it is a matter of how much is worth it: None."""
    if cell["workload"] in LARGER:
        return None, None
    way = {lower: upper for upper, lower in cell["pairs"]}
    up = {}
    for name, target in cell["targets"].items():
        columns = cell["sets"][name]
        hot = heat_bytes(columns)
        for node in way:
            at, n_bytes = node, int(hot * share_on(columns, node, 0))
            while n_bytes and at in way and at != target:
                up[at] = up.get(at, 0) + n_bytes
                at = way[at]
    if cell["workload"] == MOVES:
        # Those that get hot later, and only as far as the span goes.
        up = {lower: n_bytes * len(turns(cell)) // len(cell["targets"]) for lower, n_bytes in up.items()}
    all_bytes = sum(up.values())
    # From above: what comes in from below must go out below, but for what is free beyond the goal.
    came_down = {}
    for upper, lower in sorted(cell["pairs"]):
        out = up.get(lower, 0) + came_down.get(upper, 0) + missing_bytes(cell, upper) - up.get(upper, 0)
        if out > 0:
            came_down[lower] = came_down.get(lower, 0) + out
            all_bytes += out
    return max(list(up.values()) + list(came_down.values()), default=0), all_bytes


def heat_bytes(columns):
    """Of a set's bytes those that are touched: of spots a pass tells."""
    if not columns["heat"]:
        return columns["bytes"]
    passes = columns["passes"][-1]
    return min(columns["bytes"], columns["ops"][-1] // passes * 4096) if passes else columns["bytes"]


def bound_s(cell):
    """No manager with that ceiling can be done sooner: the bytes of the busiest edge, and one aggregation for each step."""
    edge, _ = needed(cell)
    if edge is None:
        return None
    if cell["workload"] == MOVES:
        edge //= len(turns(cell))
    return edge / CEILING_BYTES_PER_S + AGGREGATION_S * len({lower for _, lower in cell["pairs"] if cell["workload"] != "sockets"} or {0})


def growth(cell, column, begin, end):
    times, values = cell["watch"]["t"], cell["watch"][column]
    return at_time(times, values, end) - at_time(times, values, begin)


def cpu_s(cell, kinds):
    times = cell["watch"]["t"]
    return sum(at_time(times, cell["watch"]["threads_ns"][kind], cell["end_ms"]) - at_time(times, cell["watch"]["threads_ns"][kind], 0)
               for kind in kinds if kind in cell["watch"]["threads_ns"]) / 1e9


def manager_cost(cell):
    """CPU seconds and resident MiB of a manager that is a program, with its start."""
    if "start_us" in cell["facts"]:
        return cell["facts"]["start_us"] / 1e6, cell["facts"]["start_rss_kib"] / 1024
    usec = [value for value in cell["watch"]["manager_us"] if value is not None]
    rss = [value for value in cell["watch"]["manager_rss_kib"] if value]
    return (usec[-1] / 1e6 if usec else None), (max(rss) / 1024 if rss else None)


def pass_ms(cell):
    """What a pass over a hot set took at the median, of those that are touched at a pace: 30 or 40 ms where the guest has its CPUs."""
    rates = []
    for name in cell["targets"]:
        columns = cell["sets"][name]
        for i in range(1, len(columns["t"])):
            done = columns["passes"][i] - columns["passes"][i - 1]
            if done > 0 and columns["touch"][i] and columns["touch"][i - 1]:
                rates.append((columns["t"][i] - columns["t"][i - 1]) / done)
    return median(rates)


def measure(cell):
    """All of a cell's numbers by name, or None where the manager cannot be had on that kernel."""
    if cell["unsupported"] is not None:
        return None
    end = cell["end_ms"]
    series = residency(cell)
    best = ideal(cell)
    result = {}
    if cell["targets"]:
        result["t90_s"] = median([seconds_until(series, 0.90 * best, *turn) for turn in turns(cell)])
        result["t99_s"] = median([seconds_until(series, 0.99 * best, *turn) for turn in turns(cell)])
        mean = mean_between(series, 0, end)
        result["residency_pct"] = None if mean is None else mean * 100
        result["end_residency_pct"] = series[-1][1] * 100 if series else None
        result["ideal_pct"] = best * 100
    else:
        result["t90_s"] = until_free(cell)
        result["settle_s"] = settling(cell)
    fast, by_node, rate = served(cell)
    for node, share in enumerate(by_node):
        result["served_node%d_pct" % node] = share * 100
    result["fast_pct"] = None if fast is None else fast * 100
    result["kops"] = None if rate is None else rate / 1000
    result["overshoot_points"] = overshoot(cell)
    up, down = gross_ways(cell)
    if up is not None:
        result["promoted_mib"], result["demoted_mib"] = up / MIB, down / MIB
        hot = sum(heat_bytes(cell["sets"][name]) * (1 - share_on(cell["sets"][name], target, 0))
                  for name, target in cell["targets"].items())
        result["promoted_per_hot"] = up / hot if hot else None
    result["gap_mib"] = sum(max(0, missing_bytes(cell, node)) for node in upper_nodes(cell)) / MIB
    moved = growth(cell, "migrated_bytes", 0, end)
    _, all_bytes = needed(cell)
    result["moved_mib"] = moved / MIB
    result["moved_per_needed"] = moved / all_bytes if all_bytes else None
    if end > 2 * REST_MS:
        result["rest_mib_per_min"] = growth(cell, "migrated_bytes", end - REST_MS, end) / MIB * 60000 / REST_MS
    result["kdamonds_cpu_s"] = cpu_s(cell, ["kdamond"])
    result["reclaim_cpu_s"] = cpu_s(cell, ["kswapd", "kcompactd", "migration"])
    result["manager_cpu_s"], result["manager_rss_mib"] = manager_cost(cell)
    if "look_us" in cell["facts"]:
        result["look_cpu_s"] = cell["facts"]["look_us"] / 1e6
    result["pass_ms"] = pass_ms(cell)
    result["bound_s"] = bound_s(cell)
    result["host_others_percent"] = cell["host_others_percent"]
    return result
