"""Attention by numpy in float64, straight from the formula of kernels/attend.h.

A case is a dictionary; options that it does not have are off.
"""

import math

import numpy as np


def softmax(scores, hidden, axis):
    """Softmax along an axis over what is not hidden; zeros where nothing is left."""
    visible = np.where(hidden, -np.inf, scores)
    maximum = np.max(visible, axis=axis, keepdims=True, initial=-np.inf)
    maximum = np.where(np.isfinite(maximum), maximum, 0.0)
    exponentials = np.where(hidden, 0.0, np.exp(visible - maximum))
    total = np.sum(exponentials, axis=axis, keepdims=True)
    return exponentials / np.where(total == 0.0, 1.0, total)


def mask(stored, shape):
    """A mask with its axes of extent 1 spread out; "hide" stands for minus infinity."""
    numbers = [-np.inf if number == "hide" else float(number) for number in stored["values"]]
    return np.broadcast_to(np.array(numbers).reshape(stored["extents"]), shape)


def of_heads(case, name):
    """[1, heads, 1, 1]."""
    return np.array(case[name], dtype=np.float64).reshape(1, -1, 1, 1)


def offsets(case, batch):
    """What is added to the index of a query to get its position; [batch]."""
    if "query_offsets" in case:
        return np.array(case["query_offsets"])
    alone = case["causal_offset"] if case["causal_offset"] is not None else 0
    return np.full(batch, case.get("query_offset", alone))


def distances(case, shape):
    """Key minus position of the query; [batch, 1, queries, keys]."""
    batch, _, queries, keys = shape
    positions = np.arange(queries)[None, :] + offsets(case, batch)[:, None]
    return np.arange(keys)[None, None, None, :] - positions[:, None, :, None]


def rotate(rotary, rows, positions):
    """rows [batch, heads, sequence, width], positions [batch, sequence]."""
    width = rotary["width"] or rows.shape[3]
    half = width // 2
    frequencies = rotary["base"] ** (-2.0 * np.arange(half) / width)
    angles = positions[:, None, :, None] * rotary["position_scale"] * frequencies
    cosine, sine = np.cos(angles), np.sin(angles)
    first, second = np.arange(half), np.arange(half) + half
    if rotary["interleaved"]:
        first, second = np.arange(half) * 2, np.arange(half) * 2 + 1
    turned = rows.copy()
    turned[..., first] = rows[..., first] * cosine - rows[..., second] * sine
    turned[..., second] = rows[..., first] * sine + rows[..., second] * cosine
    return turned


def raw_scores(case, query, key):
    if "rotary" in case:
        batch, queries, keys = query.shape[0], query.shape[2], key.shape[2]
        positions = np.arange(queries)[None, :] + offsets(case, batch)[:, None]
        query = rotate(case["rotary"], query, positions)
        key = rotate(case["rotary"], key, np.broadcast_to(np.arange(keys), (batch, keys)))
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
    distance = distances(case, shape)
    if case["causal_offset"] is not None:
        later = distance > 0
        if "prefix_lengths" in case:
            prefixes = np.array(case["prefix_lengths"]).reshape(batch, 1, 1, 1)
            later = later & (np.arange(keys) >= prefixes)
        hidden |= later
    if "left_window" in case:
        hidden |= distance < -case["left_window"]
    if "right_window" in case:
        hidden |= distance > case["right_window"]
    if case["key_lengths"] is not None:
        lengths = np.array(case["key_lengths"])
        hidden |= np.arange(keys)[None, None, None, :] >= lengths.reshape(batch, 1, 1, 1)
    if "query_segments" in case:
        of_queries = np.array(case["query_segments"]).reshape(batch, 1, queries, 1)
        of_keys = np.array(case["key_segments"]).reshape(batch, 1, 1, keys)
        hidden |= of_queries != of_keys
    if "block_mask" in case:
        blocks = case["block_mask"]
        rows = np.arange(queries) // blocks["query_block_size"]
        columns = np.arange(keys) // blocks["key_block_size"]
        spread = (shape[0], shape[1], rows.max() + 1, columns.max() + 1)
        hidden |= mask(blocks, spread)[:, :, rows, :][:, :, :, columns] == 0
    if case["boolean_mask"] is not None:
        hidden |= ~mask(case["boolean_mask"], shape).astype(bool)
    if case["additive_mask"] is not None:
        hidden |= np.isneginf(mask(case["additive_mask"], shape))
    return hidden


def relative_position_bucket(relative_position, bidirectional, num_buckets, max_distance):
    """Transcribed from Hugging Face transformers' T5, float32 logarithms included."""
    relative_buckets = 0
    if bidirectional:
        num_buckets //= 2
        relative_buckets = relative_buckets + (relative_position > 0) * num_buckets
        relative_position = np.abs(relative_position)
    else:
        relative_position = -np.minimum(relative_position, 0)
    max_exact = num_buckets // 2
    is_small = relative_position < max_exact
    logarithm = np.log(np.maximum(relative_position, 1).astype(np.float32) / np.float32(max_exact))
    if_large = max_exact + (
        logarithm / np.float32(math.log(max_distance / max_exact)) * (num_buckets - max_exact)
    ).astype(np.int64)
    if_large = np.minimum(if_large, num_buckets - 1)
    return relative_buckets + np.where(is_small, relative_position, if_large)


def relative_bias(case, shape):
    distance = distances(case, shape)
    bias = np.zeros(shape)
    if "alibi_slopes" in case:
        steps = -np.abs(distance) if case.get("symmetric_alibi") else distance
        bias = bias + of_heads(case, "alibi_slopes") * steps
    if "bucketed_bias" in case:
        stored = case["bucketed_bias"]
        table = np.array(stored["table"])  # [buckets, heads]
        buckets = relative_position_bucket(
            distance, stored["bidirectional"], len(table), stored["maximum_distance"]
        )
        bias = bias + np.moveaxis(table[buckets[:, 0]], 3, 1)
    return bias


def capped_scores(case, raw):
    softcap = case.get("softcap")
    return raw if softcap is None else softcap * np.tanh(raw / softcap)


def normalized_scores(case, capped):
    """What is normalized, where nothing is hidden."""
    scores = capped
    if case["multiplicative_mask"] is not None:
        scores = scores * mask(case["multiplicative_mask"], scores.shape)
    scores = scores + relative_bias(case, scores.shape)
    if case["additive_mask"] is not None:
        scores = scores + mask(case["additive_mask"], scores.shape)
    if "temperatures" in case:
        scores = scores / of_heads(case, "temperatures")
    return scores


def with_sinks(case, scores, hidden):
    """The softmax over keys and a sink, and the logarithm of its denominator."""
    visible = np.where(hidden, -np.inf, scores)
    sinks = of_heads(case, "sinks") if "sinks" in case else np.full((1, 1, 1, 1), -np.inf)
    column = np.broadcast_to(sinks, scores.shape[:3] + (1,))
    everything = np.concatenate([visible, column], axis=3)
    weights = softmax(everything, np.isneginf(everything), axis=3)[..., :-1]
    maximum = np.max(everything, axis=3, keepdims=True)
    finite = np.where(np.isfinite(maximum), maximum, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.sum(np.exp(everything - finite), axis=3, keepdims=True))
    return weights, (total + finite)[..., 0]


def statistics(weights, log_sum_exp):
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(weights > 0, -weights * np.log(weights), 0.0)
    return {
        "softmax": weights,
        "log_sum_exp": log_sum_exp,
        "entropy": terms.sum(axis=3),
        "maximum_weight": np.max(weights, axis=3, initial=0.0),
        "key_mass": weights.sum(axis=2),
    }


def attention(case):
    heads, groups = case["query"]["extents"][1], case["key"]["extents"][1]
    query, key, value = (
        np.array(case[name]["values"], dtype=np.float64).reshape(case[name]["extents"])
        for name in ("query", "key", "value")
    )
    key = np.repeat(key, heads // groups, axis=1)
    value = np.repeat(value, heads // groups, axis=1)
    raw = raw_scores(case, query, key)
    capped = capped_scores(case, raw)
    hidden = hidden_pairs(case, raw.shape)
    scores = normalized_scores(case, capped)
    described = {}
    if case["normalization"] == "none":
        weights = masked = np.where(hidden, 0.0, scores)
    else:
        masked = np.where(hidden, -np.inf, scores)
    if case["normalization"] == "queries":
        weights = softmax(scores, hidden, axis=2)
    if case["normalization"] == "keys":
        weights, log_sum_exp = with_sinks(case, scores, hidden)
        described = statistics(weights, log_sum_exp)
        sees_nothing = np.isneginf(log_sum_exp)[..., None]
        policy = {"zeros": 0.0, "nan": np.nan, "uniform": 1.0 / max(1, raw.shape[3])}
        weights = np.where(sees_nothing, policy[case.get("fully_masked", "zeros")], weights)
    if "head_factors" in case:
        factors = of_heads(case, "head_factors")
        weights = np.where(factors == 0.0, 0.0, factors * weights)
    return {
        "output": weights @ value,
        "weights": weights,
        "raw_scores": raw,
        "capped_scores": capped,
        "masked_scores": masked,
        **described,
    }
