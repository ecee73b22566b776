"""torch.nn.attention.flex_attention, as the catalogue of its users writes score_mod and mask_mod:
softcap, ALiBi, T5's relative bias, sliding windows, prefixes, documents, offsets; and its
log-sum-exp."""

import dataclasses
import math

import numpy
import torch
from hypothesis import strategies as st
from torch.nn.attention import flex_attention as flex

import draws
from attention.v1 import options_pb2
from question import Expected, Question
from tensors import F32, F64, INT32, INT64, round_to

# Without a compiler it runs as written, in float64, and warns of its speed.
flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = True


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
    scale: float | None
    offset: int
    causal: bool
    prefix: bool
    left: int | None
    right: int | None
    lengths: bool
    documents: int  # 0 for none
    softcap: float | None
    alibi: str  # "none", "one sided", "symmetric"
    buckets: int  # of T5's bias, 0 for none
    maximum_distance: int
    bidirectional: bool


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES, batch=draws.BATCHES,
    key_value_heads=draws.HEADS, group=st.integers(1, 3), queries=draws.QUERIES,
    keys=draws.KEYS, key_width=draws.WIDTHS, value_width=draws.WIDTHS, layout=draws.LAYOUTS,
    scale=draws.SCALES, offset=st.integers(-20, 60), causal=st.booleans(), prefix=st.booleans(),
    left=st.one_of(st.none(), st.integers(0, 40)), right=st.one_of(st.none(), st.integers(0, 40)),
    lengths=st.booleans(), documents=st.sampled_from([0, 0, 1, 2, 5]),
    softcap=st.one_of(st.none(), st.sampled_from([0.5, 5.0, 50.0])),
    alibi=st.sampled_from(["none", "one sided", "symmetric"]),
    buckets=st.sampled_from([0, 4, 8, 32]), maximum_distance=st.sampled_from([20, 128, 1000]),
    bidirectional=st.booleans())


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
    if recipe.scale is not None:
        options.scale = recipe.scale
    if _counts_distances(recipe):
        options.query_positions.alignment = options_pb2.CAUSAL_ALIGNMENT_OFFSET
        options.query_positions.offset = recipe.offset
    options.return_log_sum_exp = True
    modify = _score_modifier(recipe, numbers, options, heads)
    sees = _visibility(recipe, numbers, options)

    def score_mod(score, batch, head, query, key):
        position = query + recipe.offset
        changed = modify(score, head, position, key)
        return torch.where(sees(batch, query, position, key), changed, -math.inf)

    with torch.inference_mode():
        output, auxiliary = flex.flex_attention(
            *(torch.from_numpy(array) for array in arrays.values()), score_mod=score_mod,
            scale=recipe.scale, enable_gqa=recipe.group > 1,
            return_aux=flex.AuxRequest(lse=True))
    output = draws.from_heads_first(output.numpy(), recipe.layout)
    return Question("PyTorch", request, {
        "output": Expected(output), "log_sum_exp": Expected(auxiliary.lse.numpy())})


def _counts_distances(recipe):
    windowed = recipe.left is not None or recipe.right is not None
    return recipe.causal or windowed or recipe.alibi != "none" or recipe.buckets > 0


def _score_modifier(recipe, numbers, options, heads):
    softcap, slopes, table = recipe.softcap, None, None
    if softcap is not None:
        options.softcap = softcap
    if recipe.alibi != "none":
        slopes = torch.tensor([2.0 ** (-8 * (head + 1) / heads) for head in range(heads)])
        slopes = slopes.to(torch.float64)
        options.alibi.slopes.CopyFrom(numbers.tensor(slopes.numpy(), F64))
        options.alibi.symmetric = recipe.alibi == "symmetric"
    if recipe.buckets:
        table = torch.from_numpy(round_to(numbers.normal(recipe.buckets, heads), F32))
        message = options.relative_position_bias
        message.table.CopyFrom(numbers.tensor(table.numpy(), F32))
        message.maximum_distance = recipe.maximum_distance
        message.bidirectional = recipe.bidirectional

    def modify(score, head, position, key):
        if softcap is not None:
            score = softcap * torch.tanh(score / softcap)
        if slopes is not None:
            distance = key - position
            reach = -distance.abs() if recipe.alibi == "symmetric" else distance
            score = score + slopes[head] * reach
        if table is not None:
            score = score + table[_bucket(recipe, key - position), head]
        return score

    return modify


def _bucket(recipe, relative_position):
    """As in the T5 of Mesh TensorFlow and of Hugging Face, but in float64."""
    bucket_count, buckets = recipe.buckets, 0
    distance = -relative_position
    if recipe.bidirectional:
        bucket_count //= 2
        buckets = torch.where(distance < 0, bucket_count, 0)
        distance = distance.abs()
    else:
        distance = torch.clamp(distance, min=0)
    exact = bucket_count // 2
    logarithm = torch.log(torch.clamp(distance, min=1).to(torch.float64) / exact)
    large = exact + (
        logarithm / math.log(recipe.maximum_distance / exact) * (bucket_count - exact)
    ).to(torch.long)
    large = torch.clamp(large, max=bucket_count - 1)
    return buckets + torch.where(distance < exact, distance, large)


def _visibility(recipe, numbers, options):
    """Sets the options and returns mask_mod's question whether a query sees a key."""
    prefixes = lengths = query_documents = key_documents = None
    if recipe.causal:
        options.causal.SetInParent()
        if recipe.prefix:
            prefixes = numbers.integers(0, recipe.keys, recipe.batch)
            options.prefix_lengths.CopyFrom(numbers.tensor(prefixes, INT32))
            prefixes = torch.from_numpy(prefixes)
    for name in ("left", "right"):
        if getattr(recipe, name) is not None:
            setattr(options.window, name, getattr(recipe, name))
    if recipe.lengths:
        lengths = numbers.integers(0, recipe.keys, recipe.batch)
        options.key_lengths.CopyFrom(numbers.tensor(lengths, INT64))
        lengths = torch.from_numpy(lengths)
    if recipe.documents:
        query_documents, key_documents = (
            numpy.sort(numbers.integers(0, recipe.documents - 1, recipe.batch, count))
            for count in (recipe.queries, recipe.keys))
        options.query_segments.CopyFrom(numbers.tensor(query_documents, INT32))
        options.key_segments.CopyFrom(numbers.tensor(key_documents, INT32))
        query_documents, key_documents = map(torch.from_numpy, (query_documents, key_documents))

    def sees(batch, query, position, key):
        seen = key >= 0
        if recipe.causal:
            seen = key <= position
            if prefixes is not None:
                seen = seen | (key < prefixes[batch])
        if recipe.left is not None:
            seen = seen & (key >= position - recipe.left)
        if recipe.right is not None:
            seen = seen & (key <= position + recipe.right)
        if lengths is not None:
            seen = seen & (key < lengths[batch])
        if query_documents is not None:
            seen = seen & (query_documents[batch, query] == key_documents[batch, key])
        return seen

    return sees
