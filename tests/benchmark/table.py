"""Turns what kernels_benchmark measured into the tables of docs/performance/.

    table.py [--into FILE] JSON...

reads files that --benchmark_out wrote, takes the median over the repetitions of each row (of those
in the best phase of AMX) and prints Markdown. --into writes it into FILE instead, between the lines
that begin and end the figures.
"""

import argparse
import collections
import json
import math
import pathlib
import statistics
import sys

BEGIN = "<!-- figures of kernels_benchmark: begin -->"
END = "<!-- figures of kernels_benchmark: end -->"

# How the names of shapes end that have a plain twin.
PROPERTIES = ("_causal", "_padded", "_weights", "_unpacked")

PHASES = ("", "fast", "mixed", "slow")  # the best first

Key = collections.namedtuple("Key", "kind shape type precision threads")


class Row:
    """The repetitions of one benchmark in the best phase of AMX that any of them met: medians over
    several phases would be figures of none."""

    def __init__(self, key, runs):
        self.key = key
        self.phase = min((phase_of(run) for run in runs), key=PHASES.index)
        self.runs = [run for run in runs if phase_of(run) == self.phase]
        self.all_count = len(runs)

    def median(self, counter):
        """Of the repetitions that have the counter, or None."""
        values = [run[counter] for run in self.runs if counter in run]
        return statistics.median(values) if values else None

    def peak(self, counter, percentage):
        """What `counter` would be at 100 per cent."""
        peaks = [100 * run[counter] / run[percentage] for run in self.runs if run.get(percentage)]
        return statistics.median(peaks) if peaks else None

    @property
    def implementation(self):
        return self.runs[0]["label"].split()[0]

    @property
    def phase_text(self):
        """The phase and in how many of the repetitions it was."""
        return f"{self.phase} {len(self.runs)}/{self.all_count}".strip() if self.phase else ""


def phase_of(run):
    """Of AMX during one repetition; empty where there is no AMX."""
    words = [word for word in run["label"].split() if word.startswith("amx:")]
    return words[0].removeprefix("amx:") if words else ""


def parse_name(name, label):
    """KIND/SHAPE/TYPE[/PRECISION]/threads:N/real_time; the precision is the one that ran."""
    parts = name.split("/")
    threads = next(part for part in parts if part.startswith("threads:"))
    return Key(parts[0], parts[1], parts[2], label.split()[1], int(threads.partition(":")[2]))


def read_rows(documents):
    """Rows by key, in the order of the benchmark. An error in any of them is an error."""
    runs = {}
    for document in documents:
        for run in sorted(document["benchmarks"], key=lambda run: run.get("family_index", 0)):
            if run.get("error_occurred"):
                raise ValueError(f"{run['name']}: {run['error_message']}")
            if run.get("run_type") == "iteration" and "median_ms" in run:
                runs.setdefault(parse_name(run["name"], run["label"]), []).append(run)
    return {key: Row(key, found) for key, found in runs.items()}


def significant(value, digits=3):
    """At least `digits` digits, and never an exponent."""
    if value is None:
        return ""
    magnitude = math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{max(0, digits - 1 - magnitude)}f}"


def rate(row):
    if row.key.kind == "decode":
        return f"{significant(row.median('GB/s'))} GB/s"
    return f"{significant(row.median('GFLOP/s'))} GFLOP/s"


def peak_share(row):
    """Of what limits the row: the matrix units, or for decoding the memory."""
    if row.key.kind == "tiny":
        return ""
    for counter, peak in (("read%", "read"), ("amx%", "AMX"), ("fma%", "FMA")):
        if row.median(counter):
            return f"{row.median(counter):.0f} % {peak}"
    return ""


def time_ratio(over, under):
    """Of the medians, or nothing if a row is missing or met another phase of AMX."""
    if not over or not under or over.phase != under.phase:
        return ""
    return f"{over.median('median_ms') / under.median('median_ms'):.2f}"


def figures(rows):
    """One line for each case, with one thread and with two."""
    lines = ["| shape | type | precision | ms | rate | of the peak | to plain | ms, 2 threads | "
             "rate | speed-up | AMX |", "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---|"]
    for key, row in rows.items():
        if key.threads != 1:
            continue
        two = rows.get(key._replace(threads=2))
        suffix = next((end for end in PROPERTIES if key.shape.endswith(end)), None)
        plain = suffix and rows.get(key._replace(shape=key.shape.removesuffix(suffix)))
        cells = (f"{key.kind} {key.shape}", key.type, key.precision,
                 significant(row.median("median_ms")), rate(row), peak_share(row),
                 time_ratio(row, plain), significant(two and two.median("median_ms")),
                 two and rate(two) or "", time_ratio(row, two),
                 "; ".join(each.phase_text for each in (row, two) if each and each.phase))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def peaks(rows):
    """The peaks of one thread, as the medians over all rows that name them."""
    one_thread = [row for row in rows.values() if row.key.threads == 1]
    lines = []
    for text, counter, percentage, products in (
            ("FMA", "GFLOP/s", "fma%", False), ("AMX, BF16 products", "GFLOP/s", "amx%", True),
            ("plain read", "GB/s", "read%", False)):
        found = [row.peak(counter, percentage) for row in one_thread
                 if not products or row.key.precision == "bf16"]
        found = [peak for peak in found if peak]
        if found:
            lines.append(f"- {text}: {statistics.median(found):.0f} {counter} "
                         f"({min(found):.0f} to {max(found):.0f} during the run)")
    return lines


def machine(context):
    parts = [context.get("processor", ""), f"{context['num_cpus']} processors",
             context.get("instruction_set", ""), context["date"].partition("T")[0]]
    return ", ".join(part for part in parts if part)


def render(documents):
    rows = read_rows(documents)
    implementations = sorted(
        {row.implementation for row in rows.values() if row.key.kind != "projection"})
    contexts = dict.fromkeys(machine(document["context"]) for document in documents)
    lines = [f"Machine: {'; '.join(contexts)}.",
             f"Implementation: {', '.join(implementations) or 'of projections alone'}.",
             "", "Peaks of one thread in this run, medians over its rows:", "",
             *peaks(rows), "", *figures(rows)]
    return "\n".join(lines) + "\n"


def replace_figures(text, tables):
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"want a line {BEGIN} and a line {END} after it")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="JSON", nargs="+", type=pathlib.Path)
    parser.add_argument("--into", metavar="FILE", type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        tables = render([json.loads(path.read_text()) for path in arguments.files])
        if arguments.into is None:
            sys.stdout.write(tables)
        else:
            arguments.into.write_text(replace_figures(arguments.into.read_text(), tables))
    except (OSError, ValueError) as error:
        sys.exit(f"table.py: {error}")


if __name__ == "__main__":
    main()
