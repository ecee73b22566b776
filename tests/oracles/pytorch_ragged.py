"""Ragged batches: PyTorch is asked about each sequence alone."""

import dataclasses

import numpy
import torch
from hypothesis import strategies as st

import draws
from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from question import Expected, Question
from tensors import INT32, INT64


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int
    data_type: int
    lengths: list  # (queries, keys) of each sequence
    key_value_heads: int
    group: int
    key_width: int
    value_width: int
    packed: bool
    starts_type: int
    causal: str  # "none", "top left", "bottom right"
    log_sum_exp: bool


_ROWS = st.one_of(st.integers(0, 12), st.sampled_from([16, 33, 64, 100]))

RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES,
    lengths=st.lists(st.tuples(_ROWS, _ROWS), min_size=1, max_size=6),
    key_value_heads=draws.HEADS, group=st.integers(1, 3), key_width=draws.WIDTHS,
    value_width=draws.WIDTHS, packed=st.booleans(), starts_type=st.sampled_from([INT32, INT64]),
    causal=st.sampled_from(["none", "top left", "bottom right"]), log_sum_exp=st.booleans())


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    heads, groups = recipe.key_value_heads * recipe.group, recipe.key_value_heads
    starts = numpy.concatenate([[[0, 0]], numpy.cumsum(recipe.lengths, axis=0)]).T
    arrays = {  # [tokens, heads, width]
        "query": numbers.normal(starts[0, -1], heads, recipe.key_width),
        "key": numbers.normal(starts[1, -1], groups, recipe.key_width),
        "value": numbers.normal(starts[1, -1], groups, recipe.value_width),
    }
    request = service.ScaledDotProductAttentionRequest(layout=service.LAYOUT_SEQUENCE_FIRST)
    if recipe.packed:
        request.layout = service.LAYOUT_PACKED
        request.head_count, request.key_value_head_count = heads, groups
    for name, array in arrays.items():
        sent = array.reshape(len(array), array.shape[1] * array.shape[2])
        getattr(request, name).CopyFrom(numbers.tensor(sent if recipe.packed else array))
    for name, each in zip(("query_starts", "key_starts"), starts):
        getattr(request, name).CopyFrom(numbers.tensor(each, recipe.starts_type))
    if recipe.causal != "none":
        request.options.causal.alignment = {
            "top left": options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT,
            "bottom right": options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT}[recipe.causal]
    request.options.return_log_sum_exp = recipe.log_sum_exp
    parts = [
        _attend(recipe, arrays, queries, keys)
        for queries, keys in zip(*(map(slice, each, each[1:]) for each in starts))]
    output = torch.cat([output for output, _ in parts]).numpy()
    output = output.reshape(len(output), heads * recipe.value_width) if recipe.packed else output
    expected = {"output": Expected(output)}
    if recipe.log_sum_exp:
        log_sum_exp = torch.cat([each for _, each in parts], -1)
        expected["log_sum_exp"] = Expected(log_sum_exp.numpy())
    return Question("PyTorch", request, expected)


def _attend(recipe, arrays, queries, keys):
    """Output [queries, heads, width] and log-sum-exp [heads, queries] of one sequence."""
    query, key, value = (
        torch.from_numpy(array[rows]).transpose(0, 1)
        for array, rows in zip(arrays.values(), (queries, keys, keys)))
    query_count, key_count = query.shape[1], key.shape[1]
    mask = torch.ones(query_count, key_count, dtype=bool)
    if recipe.causal == "top left":
        mask = mask.tril()
    elif recipe.causal == "bottom right":
        mask = mask.tril(key_count - query_count)
    if key_count == 0:
        output = query.new_zeros(query.shape[0], query_count, recipe.value_width)
    else:
        output = torch.nn.functional.scaled_dot_product_attention(
            query[None], key[None], value[None], attn_mask=mask, enable_gqa=recipe.group > 1)[0]
    scores = query @ key.repeat_interleave(recipe.group, 0).mT * recipe.key_width**-0.5
    log_sum_exp = torch.logsumexp(scores.masked_fill(~mask, -torch.inf), -1)
    return output.transpose(0, 1), log_sum_exp
