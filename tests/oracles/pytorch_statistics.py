"""What PyTorch has no attention for, written plainly with its operations: sinks, temperatures, head
masks, block masks, segments, answers to queries that see nothing, and statistics."""

import dataclasses
import math

import numpy
import torch
from hypothesis import strategies as st

import draws
from attention.v1 import options_pb2
from question import Expected, Question
from tensors import BOOL, F32, F64, INT32, round_to

_POLICIES = {
    "zeros": options_pb2.FULLY_MASKED_POLICY_ZEROS,
    "nan": options_pb2.FULLY_MASKED_POLICY_NAN,
    "uniform": options_pb2.FULLY_MASKED_POLICY_UNIFORM,
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int
    data_type: int
    batch: int
    key_value_heads: int
    group: int
    queries: int
    keys: int
    key_width: int
    value_width: int
    layout: int
    precision: int
    softmax_in_float64: bool

    boolean_mask: bool
    block_sizes: tuple | None  # of queries and keys
    segments: int  # 0 for none; in any order
    blind_query: bool
    fully_masked: str

    sinks: bool
    temperature: bool
    head_mask: bool

    statistics: bool
    top_count: int
    return_weights: bool


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES, batch=draws.BATCHES,
    key_value_heads=draws.HEADS, group=st.integers(1, 3), queries=draws.QUERIES,
    keys=draws.KEYS, key_width=draws.WIDTHS, value_width=draws.WIDTHS, layout=draws.LAYOUTS,
    precision=draws.PRECISIONS, softmax_in_float64=st.sampled_from([False, False, True]),
    boolean_mask=st.booleans(),
    block_sizes=st.one_of(st.none(), st.tuples(*[st.sampled_from([1, 3, 8, 16, 64])] * 2)),
    segments=st.sampled_from([0, 0, 1, 2, 4]), blind_query=st.booleans(),
    fully_masked=st.sampled_from(list(_POLICIES)), sinks=st.booleans(),
    temperature=st.booleans(), head_mask=st.booleans(), statistics=st.booleans(),
    top_count=st.sampled_from([0, 1, 5, 256]), return_weights=st.booleans())


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    heads, groups = recipe.key_value_heads * recipe.group, recipe.key_value_heads
    arrays = {
        "query": numbers.normal(recipe.batch, heads, recipe.queries, recipe.key_width),
        "key": numbers.normal(recipe.batch, groups, recipe.keys, recipe.key_width),
        "value": numbers.normal(recipe.batch, groups, recipe.keys, recipe.value_width),
    }
    request = draws.ready_request(numbers, arrays, recipe.layout)
    options = request.options
    _ask_for(recipe, options)
    seen = _visibility(recipe, numbers, options, heads)
    sinks, temperature, head_mask = _per_head(recipe, numbers, options, heads)

    query, key, value = (torch.from_numpy(array) for array in arrays.values())
    key, value = (each.repeat_interleave(recipe.group, 1) for each in (key, value))
    scores = query @ key.mT / math.sqrt(recipe.key_width) / temperature
    scores = scores.masked_fill(~seen, -math.inf)
    with_sink = torch.cat([scores, sinks.expand(*scores.shape[:-1], 1)], -1)
    log_sum_exp = torch.logsumexp(with_sink, -1)
    weights = torch.exp(scores - log_sum_exp[..., None]).nan_to_num(0.0)
    final = head_mask * _answer_the_blind(recipe, weights, log_sum_exp)
    final = torch.where(head_mask == 0, 0.0, final)  # a head that is off is not even NaN
    output = draws.from_heads_first((final @ value).numpy(), recipe.layout)
    expected = {"output": Expected(output)}
    if recipe.return_weights:
        expected["weights"] = Expected(final.numpy())
    if recipe.statistics:
        expected |= {
            "log_sum_exp": Expected(log_sum_exp.numpy()),
            "entropy": Expected(torch.special.entr(weights).sum(-1).numpy()),
            "key_mass": Expected(weights.sum(-2).numpy()),
            "maximum_weight": Expected(weights.amax(-1).numpy()),
        }
    return Question("the formula", request, expected)


def _ask_for(recipe, options):
    if recipe.data_type == F32 and not recipe.softmax_in_float64:
        options.precision = recipe.precision
    if recipe.softmax_in_float64:
        options.softmax_type = F64
    options.return_weights = recipe.return_weights
    options.return_top_weights = recipe.top_count
    for name in ("log_sum_exp", "entropy", "key_mass", "maximum_weight"):
        setattr(options, f"return_{name}", recipe.statistics)
    if not recipe.sinks:
        options.fully_masked = _POLICIES[recipe.fully_masked]


def _visibility(recipe, numbers, options, heads):
    """Sets the options; returns where a query sees a key."""
    extents = (recipe.batch, heads, recipe.queries, recipe.keys)
    seen = numpy.ones(extents, bool)
    if recipe.boolean_mask:
        mask = numbers.chance(0.6, *extents)
        if recipe.blind_query:
            mask[..., numbers.integers(0, recipe.queries - 1), :] = False
        options.boolean_mask.CopyFrom(numbers.tensor(mask, BOOL))
        seen &= mask
    if recipe.block_sizes:
        blocks = [math.ceil(count / size) for count, size in zip(extents[2:], recipe.block_sizes)]
        mask = numbers.chance(0.6, *extents[:2], *blocks)
        message = options.block_mask
        message.mask.CopyFrom(numbers.tensor(mask, BOOL))
        message.query_block_size, message.key_block_size = recipe.block_sizes
        whole = torch.from_numpy(mask)
        for axis, size in zip((2, 3), recipe.block_sizes):
            whole = whole.repeat_interleave(size, axis)
        seen &= whole[:, :, :recipe.queries, :recipe.keys].numpy()
    if recipe.segments:
        query_segments, key_segments = (
            numbers.integers(1, recipe.segments, recipe.batch, count) - 2
            for count in extents[2:])
        options.query_segments.CopyFrom(numbers.tensor(query_segments, INT32))
        options.key_segments.CopyFrom(numbers.tensor(key_segments, INT32))
        seen &= query_segments[:, None, :, None] == key_segments[:, None, None, :]
    return torch.from_numpy(seen)


def _per_head(recipe, numbers, options, heads):
    """Sets the options; returns sinks, temperatures and factors as [heads, 1, 1]."""
    arrays = {
        "sinks": round_to(numbers.random.normal(0, 2, heads), F32),
        "temperature": round_to(numbers.random.uniform(0.25, 4, heads), F32),
        "head_mask": round_to(numbers.random.choice([0.0, 1.0, -0.5, 2.0], heads), F32),
    }
    neutral = {"sinks": -math.inf, "temperature": 1.0, "head_mask": 1.0}
    for name, array in arrays.items():
        if getattr(recipe, name):
            getattr(options, name).CopyFrom(numbers.tensor(array, F32))
        else:
            array.fill(neutral[name])
    return [torch.from_numpy(array)[:, None, None] for array in arrays.values()]


def _answer_the_blind(recipe, weights, log_sum_exp):
    """What a query that sees nothing gets by the policy."""
    stead = {"zeros": 0.0, "nan": math.nan, "uniform": 1 / weights.shape[-1]}[recipe.fully_masked]
    return torch.where(log_sum_exp[..., None] == -math.inf, stead, weights)
