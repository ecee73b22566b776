#!/usr/bin/env python3
"""Writes the golden vectors: attention problems with their results, computed by numpy in float64.

    generate.py            writes the files beside this program
    generate.py --check    compares them with what would be written: inputs exactly, results to the
                           last few bits, since numpy's sums and exponentials differ that much
                           between processors. Exit code 0: the same; 1: they differ; 77: there is
                           no numpy.

It knows the formula of kernels/attend.h and shares no code with any implementation. All inputs are
multiples of 1/8 of small magnitude, which every element type holds exactly, so the results are
right for all of them.
"""

import json
import math
import pathlib
import platform
import sys

try:
    import numpy as np
except ImportError:
    print("numpy is not installed: the golden vectors cannot be generated here")
    sys.exit(77)

FOLDER = pathlib.Path(__file__).resolve().parent
RESULTS = ("output", "weights", "raw_scores", "masked_scores")
RELATIVE_TOLERANCE = 1e-13  # a few hundred roundings of float64


def softmax(scores, hidden, axis):
    """Softmax along an axis over what is not hidden; zeros where nothing is left."""
    visible = np.where(hidden, -np.inf, scores)
    maximum = np.max(visible, axis=axis, keepdims=True, initial=-np.inf)
    maximum = np.where(np.isfinite(maximum), maximum, 0.0)
    exponentials = np.where(hidden, 0.0, np.exp(visible - maximum))
    total = np.sum(exponentials, axis=axis, keepdims=True)
    return exponentials / np.where(total == 0.0, 1.0, total)


def raw_scores(case, query, key):
    if case["score"] == "dot":
        scores = np.einsum("bhid,bhjd->bhij", query, key)
    elif case["score"] == "general":
        weight = np.array(case["first_weight"])
        scores = np.einsum("bhid,de,bhje->bhij", query, weight, key)
    else:
        first = query @ np.array(case["first_weight"])
        second = key @ np.array(case["second_weight"])
        together = np.tanh(first[:, :, :, None, :] + second[:, :, None, :, :])
        scores = together @ np.array(case["vector"])
    scale = case["scale"]
    if scale is None:
        scale = 1.0 / math.sqrt(query.shape[3]) if case["score"] == "dot" else 1.0
    return scale * scores


def hidden_pairs(case, shape):
    batch, _, queries, keys = shape
    hidden = np.zeros(shape, dtype=bool)
    if case["causal_offset"] is not None:
        hidden |= np.arange(keys)[None, :] > np.arange(queries)[:, None] + case["causal_offset"]
    if case["key_lengths"] is not None:
        lengths = np.array(case["key_lengths"])
        hidden |= np.arange(keys)[None, None, None, :] >= lengths.reshape(batch, 1, 1, 1)
    if case["boolean_mask"] is not None:
        hidden |= ~mask(case["boolean_mask"], shape).astype(bool)
    if case["additive_mask"] is not None:
        hidden |= np.isneginf(mask(case["additive_mask"], shape))
    return hidden


def mask(stored, shape):
    """A mask with its axes of extent 1 spread out; "hide" stands for minus infinity."""
    numbers = [-np.inf if number == "hide" else float(number) for number in stored["values"]]
    return np.broadcast_to(np.array(numbers).reshape(stored["extents"]), shape)


def attention(case):
    heads, groups = case["query"]["extents"][1], case["key"]["extents"][1]
    query, key, value = (
        np.array(case[name]["values"], dtype=np.float64).reshape(case[name]["extents"])
        for name in ("query", "key", "value")
    )
    key = np.repeat(key, heads // groups, axis=1)
    value = np.repeat(value, heads // groups, axis=1)
    raw = raw_scores(case, query, key)
    hidden = hidden_pairs(case, raw.shape)
    scores = raw
    if case["multiplicative_mask"] is not None:
        scores = scores * mask(case["multiplicative_mask"], raw.shape)
    if case["additive_mask"] is not None:
        scores = scores + mask(case["additive_mask"], raw.shape)
    if case["normalization"] == "none":
        weights = masked = np.where(hidden, 0.0, scores)
    else:
        masked = np.where(hidden, -np.inf, scores)
        weights = softmax(scores, hidden, axis=3 if case["normalization"] == "keys" else 2)
    return {
        "output": weights @ value,
        "weights": weights,
        "raw_scores": raw,
        "masked_scores": masked,
    }


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


def flat(array):
    """Numbers in the order of indices; "hide" for minus infinity, which JSON does not have."""
    return ["hide" if np.isneginf(number) else float(number) for number in array.reshape(-1)]


def documents():
    for file_name, cases in (
        ("softmax.json", softmax_cases()),
        ("masks.json", mask_cases()),
        ("other.json", other_cases()),
    ):
        for case in cases:
            case["expected"] = {name: flat(array) for name, array in attention(case).items()}
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
            for result in RESULTS:
                got, want = stored["expected"][result], made["expected"][result]
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
