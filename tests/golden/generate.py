#!/usr/bin/env python3
"""Writes the golden vectors: attention problems with their results, computed by numpy in float64.

    generate.py            writes the files beside this program
    generate.py --check    compares them with what would be written: inputs exactly, results to the
                           last few bits, since numpy's sums and exponentials differ that much
                           between processors. Exit code 0: the same; 1: they differ; 77: there is
                           no numpy.

The formula stands in formula.py, which shares no code with any implementation. All inputs are
multiples of 1/8 of small magnitude, which every element type holds exactly, so the results are
right for all of them; but the rotary embedding rounds to the type, so its cases are for F64.
"""

import json
import pathlib
import platform
import sys

try:
    import numpy as np
except ImportError:
    print("numpy is not installed: the golden vectors cannot be generated here")
    sys.exit(77)

from formula import attention

FOLDER = pathlib.Path(__file__).resolve().parent
RESULTS = ("output", "weights", "raw_scores", "masked_scores")
ALL_RESULTS = RESULTS + (
    "capped_scores",  # left out where there is no softcap
    "softmax",  # left out where it is the weights
    "log_sum_exp",
    "entropy",
    "maximum_weight",
    "key_mass",
)
RELATIVE_TOLERANCE = 1e-13  # a few hundred roundings of float64


class Maker:
    """Makes cases from a stream of integers that every version of numpy repeats."""

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)

    def eighths(self, *extents):
        return (self.random.randint(-12, 13, size=extents) / 8.0).tolist()

    def tensor(self, *extents):
        return {
            "extents": list(extents),
            "values": np.array(self.eighths(*extents)).reshape(-1).tolist(),
        }

    def mask(self, extents, kind):
        count = int(np.prod(extents))
        if kind == "boolean":
            values = self.random.randint(0, 4, size=count).clip(0, 1).tolist()
        else:
            values = (self.random.randint(-8, 9, size=count) / 8.0).tolist()
            if kind == "additive":
                hide = self.random.randint(0, 4, size=count) == 0
                values = ["hide" if hides else number for hides, number in zip(hide, values)]
        return {"extents": list(extents), "values": values}

    def case(self, name, extents, score="dot", normalization="keys", masks=None, **options):
        """extents: batch, query heads, key-value heads, queries, keys, key width, value width."""
        batch, heads, groups, queries, keys, width, value_width = extents
        case = {
            "name": name,
            "score": score,
            "normalization": normalization,
            "scale": None,
            "causal_offset": None,
            "key_lengths": None,
            "query": self.tensor(batch, heads, queries, width),
            "key": self.tensor(batch, groups, keys, width),
            "value": self.tensor(batch, groups, keys, value_width),
        }
        for kind in ("boolean", "additive", "multiplicative"):
            mask_extents = (masks or {}).get(kind)
            case[kind + "_mask"] = self.mask(mask_extents, kind) if mask_extents else None
        hidden_width = 3
        if score == "general":
            case["first_weight"] = self.eighths(width, width)
        if score == "additive":
            case["first_weight"] = self.eighths(width, hidden_width)
            case["second_weight"] = self.eighths(width, hidden_width)
            case["vector"] = self.eighths(hidden_width)
        case.update(options)
        return case


def softmax_cases():
    make = Maker(20240501).case
    return [
        make("one pair", (1, 1, 1, 1, 1, 1, 1)),
        make("self attention", (2, 2, 2, 5, 5, 4, 4)),
        make("cross attention with another value width", (1, 2, 2, 3, 7, 8, 5)),
        make("grouped heads", (2, 4, 2, 3, 6, 4, 3)),
        make("one head of keys for all", (1, 8, 1, 2, 5, 4, 2)),
        make("more keys than a vector", (1, 1, 1, 3, 37, 8, 3)),
        make("one query over many keys", (1, 2, 1, 1, 70, 4, 2)),
        make("negative scale", (1, 1, 1, 3, 4, 4, 2), scale=-0.5),
        make("zero scale", (1, 1, 1, 3, 4, 4, 2), scale=0.0),
        make("large scale", (1, 1, 1, 3, 4, 4, 2), scale=40.0),
        make("causal from the top left", (1, 2, 2, 5, 5, 4, 3), causal_offset=0),
        make("causal to the bottom right", (1, 1, 1, 3, 7, 4, 3), causal_offset=4),
        make("causal with more queries than keys", (1, 1, 1, 7, 3, 4, 3), causal_offset=-4),
        make("causal that hides everything", (1, 1, 1, 3, 3, 4, 3), causal_offset=-9),
        make("causal beyond the last key", (1, 1, 1, 3, 3, 4, 3), causal_offset=100),
        make("lengths with none and all", (3, 2, 1, 3, 6, 4, 3), key_lengths=[0, 4, 6]),
        make("no keys", (1, 1, 1, 2, 0, 4, 3)),
    ]


def mask_cases():
    make = Maker(20240502).case
    cases = []
    for bits in range(16):
        extents = [1 if bits >> axis & 1 else full for axis, full in enumerate((2, 2, 3, 4))]
        kind = "boolean" if bits % 2 else "additive"
        cases.append(make(f"{kind} mask {extents}", (2, 2, 1, 3, 4, 4, 2), masks={kind: extents}))
    cases.append(
        make(
            "both masks, causal and lengths",
            (2, 2, 2, 5, 6, 4, 3),
            causal_offset=2,
            key_lengths=[5, 3],
            masks={"boolean": (2, 1, 5, 6), "additive": (1, 2, 5, 6)},
        )
    )
    return cases


def other_cases():
    make = Maker(20240503).case
    return [
        make("softmax over queries", (2, 2, 1, 4, 5, 4, 3), normalization="queries"),
        make("softmax over many queries", (1, 1, 1, 40, 3, 4, 2), normalization="queries"),
        make(
            "softmax over queries, masked",
            (1, 2, 2, 5, 5, 4, 3),
            normalization="queries",
            causal_offset=0,
            masks={"boolean": (1, 2, 5, 5)},
        ),
        make(
            "softmax over queries, additive mask and lengths",
            (2, 1, 1, 4, 5, 4, 3),
            normalization="queries",
            key_lengths=[0, 3],
            masks={"additive": (1, 1, 4, 5)},
        ),
        make("no normalization", (1, 2, 2, 4, 4, 4, 3), normalization="none"),
        make(
            "no normalization, multiplied",
            (2, 2, 1, 4, 5, 4, 3),
            normalization="none",
            masks={"multiplicative": (1, 1, 1, 5)},
        ),
        make(
            "no normalization, all masks",
            (1, 2, 1, 4, 5, 4, 3),
            normalization="none",
            causal_offset=1,
            key_lengths=[4],
            masks={
                "multiplicative": (1, 2, 4, 5),
                "additive": (1, 1, 4, 5),
                "boolean": (1, 1, 1, 5),
            },
        ),
        make("general score", (1, 2, 1, 3, 4, 4, 3), score="general"),
        make(
            "general score over queries",
            (1, 1, 1, 3, 4, 4, 3),
            score="general",
            normalization="queries",
        ),
        make("additive score", (2, 2, 1, 3, 4, 4, 3), score="additive"),
        make(
            "additive score, scaled and masked",
            (1, 2, 2, 3, 4, 4, 3),
            score="additive",
            scale=2.5,
            masks={"boolean": (1, 1, 3, 4)},
        ),
        make(
            "additive score, no normalization",
            (1, 1, 1, 3, 4, 4, 3),
            score="additive",
            normalization="none",
            masks={"multiplicative": (1, 1, 3, 4)},
        ),
    ]


def option_cases():
    maker = Maker(20251125)
    make = maker.case
    rotary = {"width": 0, "base": 10000.0, "position_scale": 1.0, "interleaved": False}
    small = (2, 2, 1, 4, 5, 4, 3)

    def blocks(extents, query_block_size, key_block_size):
        sizes = {"query_block_size": query_block_size, "key_block_size": key_block_size}
        return maker.mask(extents, "boolean") | sizes

    def table(bucket_count, maximum_distance, bidirectional, heads=2):
        return {
            "table": maker.eighths(bucket_count, heads),
            "maximum_distance": maximum_distance,
            "bidirectional": bidirectional,
        }

    everything = dict(
        causal_offset=0,
        query_offsets=[3, 1],
        prefix_lengths=[2, 5],
        left_window=4,
        right_window=3,
        key_lengths=[8, 6],
        softcap=2.0,
        alibi_slopes=[0.5, 0.125],
        sinks=[0.5, -1.0],
        temperatures=[0.5, 2.0],
        head_factors=[1.5, -0.5],
    )
    return [
        make("an offset of each sequence", small, causal_offset=0, query_offsets=[2, -2]),
        make("a prefix seen by all", small, causal_offset=0, prefix_lengths=[0, 4]),
        make("a left window", small, query_offset=2, left_window=2),
        make("a right window", small, query_offset=-1, right_window=1),
        make("both windows", small, query_offset=1, left_window=1, right_window=2),
        make(
            "documents",
            small,
            query_segments=[0, 0, 1, 3, 5, 5, 5, 6],
            key_segments=[0, 0, 0, 1, 2, 6, 5, 6, 5, 4],
        ),
        make("blocks", small, block_mask=blocks((2, 1, 2, 2), 2, 3)),
        make("blocks of every head", small, block_mask=blocks((1, 2, 1, 5), 100, 1)),
        make("a bias by distance", small, query_offset=2, alibi_slopes=[0.5, 0.125]),
        make(
            "a symmetric bias by distance",
            small,
            query_offset=2,
            alibi_slopes=[0.5, 0.125],
            symmetric_alibi=True,
        ),
        make("T5's buckets", (1, 2, 2, 1, 140, 1, 1), bucketed_bias=table(32, 128, True)),
        make(
            "T5's buckets of a decoder",
            (1, 2, 2, 1, 140, 1, 1),
            query_offset=139,
            bucketed_bias=table(32, 128, False),
        ),
        make("few buckets", (1, 1, 1, 4, 30, 1, 1), bucketed_bias=table(8, 20, True, 1)),
        make(
            "buckets at odd borders",
            (1, 1, 1, 2, 60, 1, 1),
            query_offset=40,
            bucketed_bias=table(10, 50, False, 1),
        ),
        make("a softcap", small, scale=3.0, softcap=1.5),
        make("sinks", small, sinks=[0.5, -2.0]),
        make("sinks where nothing is seen", small, sinks=[0.5, -2.0], key_lengths=[0, 3]),
        make("temperatures", small, temperatures=[0.5, 2.0], masks={"additive": (1, 2, 4, 5)}),
        make("heads switched off", small, head_factors=[0.0, -1.5]),
        make("nothing seen: zeros", small, key_lengths=[0, 5], causal_offset=-2),
        make("nothing seen: NaN", small, key_lengths=[0, 5], fully_masked="nan"),
        make("nothing seen: uniform", small, causal_offset=-3, fully_masked="uniform"),
        make("turned", small, rotary=rotary, query_offset=3),
        make("turned in part", small, rotary=rotary | {"width": 2, "position_scale": 0.5}),
        make("turned, interleaved", small, rotary=rotary | {"base": 7.0, "interleaved": True}),
        make("together", (2, 2, 1, 6, 9, 4, 3), masks={"boolean": (2, 1, 6, 9)}, **everything),
        make(
            "together, over queries",
            small,
            normalization="queries",
            softcap=2.0,
            temperatures=[0.5, 2.0],
            head_factors=[0.5, 0.0],
            left_window=2,
        ),
    ]


def flat(array):
    """Numbers in the order of indices; "hide" for minus infinity and "nan", which JSON lacks."""

    def text(number):
        if np.isnan(number):
            return "nan"
        return "hide" if np.isneginf(number) else float(number)

    return [text(number) for number in array.reshape(-1)]


def documents():
    for file_name, cases, results in (
        ("softmax.json", softmax_cases(), RESULTS),
        ("masks.json", mask_cases(), RESULTS),
        ("other.json", other_cases(), RESULTS),
        ("options.json", option_cases(), ALL_RESULTS),
    ):
        for case in cases:
            computed = attention(case)
            if "softcap" not in case:
                computed.pop("capped_scores")
            if np.array_equal(computed.get("softmax"), computed["weights"]):
                computed.pop("softmax")
            case["expected"] = {name: flat(computed[name]) for name in results if name in computed}
        yield FOLDER / file_name, {
            "generator": {"python": platform.python_version(), "numpy": np.__version__},
            "cases": cases,
        }


def write():
    for path, document in documents():
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in document["cases"])
        generator = json.dumps(document["generator"])
        path.write_text(
            f'{{"generator": {generator},\n"cases": [\n{lines}\n]}}\n', encoding="utf-8"
        )
        print(f"{path.name}: {len(document['cases'])} cases, {path.stat().st_size} bytes")


def close(got, want):
    if isinstance(got, str) or isinstance(want, str):
        return got == want
    return abs(got - want) <= RELATIVE_TOLERANCE * max(1.0, abs(want))


def difference(stored, made):
    """The first field of a case that differs, or None."""
    for name in made:
        if name == "expected":
            for result in made[name]:
                got, want = stored["expected"].get(result, []), made["expected"][result]
                if len(got) != len(want) or not all(map(close, got, want)):
                    return f"expected.{result}"
        elif stored.get(name) != made[name]:
            return name
    return None if stored.keys() == made.keys() else "the set of fields"


def check():
    wrong = []
    for path, document in documents():
        stored = json.loads(path.read_text(encoding="utf-8"))["cases"]
        if len(stored) != len(document["cases"]):
            wrong.append(f"{path.name}: {len(stored)} cases, want {len(document['cases'])}")
            continue
        for case, made in zip(stored, json.loads(json.dumps(document["cases"]))):
            field = difference(case, made)
            if field is not None:
                wrong.append(f"{path.name}: {made['name']}: {field} differs")
    print("\n".join(wrong) if wrong else "the golden vectors are what this program writes")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(check())
    if sys.argv[1:]:
        sys.exit("usage: generate.py [--check]")
    write()
