"""The table for people and the file for programs."""

import json
import math

HEADER = (f"{'kind':8} {'shape':18} {'type':5} {'precision':13} {'':7} threads {'amx':5} "
          f"{'ours':>10}  best peer / ours, every peer in ms")


def _precision(row):
    """What ran, and in brackets what was asked for if that was something else."""
    asked = row["requested_precision"]
    return row["precision"] if row["precision"] == asked else f"{row['precision']} ({asked})"


def table_line(row):
    """One row: ours, the ratio to the best peer, every peer."""
    what = (f"{row['kind']:8} {row['shape']:18} {row['type']:5} {_precision(row):13} "
            f"{'causal' if row['causal'] else '':7} {row['threads']:7} {row['amx_phase']:5}")
    peers = "  ".join(f"{name} {time:.4g}" for name, time in sorted(
        row["peers"].items(), key=lambda item: item[1]))
    ratio = row["ratio_to_best_peer"]
    said = "   -  " if ratio is None else f"{ratio:5.2f}x"
    if row["wrong"]:
        said = "WRONG "
    return f"{what} {row['ours_ms']:9.4g} ms {said}  {peers}"


def make_row(case, data_type, threads, ran, times, peers, amx_phase):
    """`ran`: our own call: what it reported, its name, and whether its answer is wrong, for which
    there is no ratio; `times`: {name: ms}; `peers`: names of those whose answer is right."""
    ours = times[ran["name"]]
    peer_times = {name: times[name] for name in peers}
    return {
        "shape": case.shape, "kind": case.kind, "type": data_type, "precision": ran["precision"],
        "causal": case.causal, "threads": threads, "ours_ms": ours, "peers": peer_times,
        "wrong": ran["wrong"],
        "ratio_to_best_peer":
            min(peer_times.values()) / ours if peer_times and not ran["wrong"] else None,
        "amx_phase": amx_phase, "implementation": ran["implementation"],
        "requested_precision": ran["requested_precision"],
        "gflops_per_second": case.flops / ours / 1e6,
    }


def summary(rows):
    """Geometric mean and worst ratio of each group of rows."""
    groups = {}
    for row in rows:
        if row["ratio_to_best_peer"] is not None:
            key = tuple(row[name] for name in ("kind", "type", "requested_precision", "threads"))
            groups.setdefault(key, []).append(row)
    for key, members in sorted(groups.items()):
        ratios = [row["ratio_to_best_peer"] for row in members]
        worst = min(members, key=lambda row: row["ratio_to_best_peer"])
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        yield (f"{key[0]:8} {key[1]:5} {key[2]:8} threads {key[3]}: {mean:5.2f}x in the "
               f"geometric mean of {len(ratios)}, least {min(ratios):5.2f}x "
               f"({worst['shape']}{' causal' if worst['causal'] else ''})")


def write_json(path, rows, **about):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**about, "rows": rows}, file, indent=1)
        file.write("\n")
