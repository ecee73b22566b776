"""Rotary embeddings inside attention, as models written with PyTorch turn queries and keys: in
pairs of neighbours by complex numbers (the first Llama), or in halves by rotate_half (Hugging
Face). With keys of earlier steps."""

import dataclasses

import numpy
import torch
from hypothesis import strategies as st

import draws
from attention.v1 import options_pb2
from question import Expected, Question


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int
    data_type: int
    batch: int
    key_value_heads: int
    group: int
    queries: int
    past: int
    half_width: int
    turned_part: int | None  # of the half width
    base: float | None
    position_scale: float | None
    interleaved: bool
    causal: bool
    ahead: int  # by how much queries stand further on than their rows say, where nothing is causal
    layout: int


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES, batch=draws.BATCHES,
    key_value_heads=draws.HEADS, group=st.integers(1, 3), queries=draws.SEQUENCES,
    past=st.sampled_from([0, 0, 1, 9, 70]), half_width=st.integers(1, 40),
    turned_part=st.one_of(st.none(), st.integers(1, 40)),
    base=st.sampled_from([None, 100.0, 10000.0, 500000.0]),
    position_scale=st.sampled_from([None, 0.25, 1.0, 2.0]), interleaved=st.booleans(),
    causal=st.booleans(), ahead=st.sampled_from([0, 0, 1000, 2**20]), layout=draws.LAYOUTS)


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    heads, groups = recipe.key_value_heads * recipe.group, recipe.key_value_heads
    width = 2 * recipe.half_width
    arrays = {
        "query": numbers.normal(recipe.batch, heads, recipe.queries, width),
        "key": numbers.normal(recipe.batch, groups, recipe.queries, width),
        "value": numbers.normal(recipe.batch, groups, recipe.queries, width),
    }
    request = draws.ready_request(numbers, arrays, recipe.layout)
    keys, values = arrays["key"], arrays["value"]
    if recipe.past:
        past = {name: numbers.normal(recipe.batch, groups, recipe.past, width)
                for name in ("past_key", "past_value")}
        for name, array in past.items():
            getattr(request, name).CopyFrom(numbers.tensor(array))
        keys = numpy.concatenate([past["past_key"], keys], axis=2)
        values = numpy.concatenate([past["past_value"], values], axis=2)
    options = request.options
    first = recipe.past
    if recipe.causal:
        options.causal.alignment = options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT
    else:
        options.query_positions.alignment = options_pb2.CAUSAL_ALIGNMENT_OFFSET
        options.query_positions.offset = first = recipe.past + recipe.ahead
    turn = _turn(recipe, options.rotary_embedding)
    query, key, value = (
        turn(torch.from_numpy(arrays["query"]), first), turn(torch.from_numpy(keys), 0),
        torch.from_numpy(values))
    mask = torch.ones(recipe.queries, keys.shape[2], dtype=bool)
    if recipe.causal:
        mask = mask.tril(recipe.past)
    output = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, enable_gqa=recipe.group > 1)
    output = draws.from_heads_first(output.numpy(), recipe.layout)
    # Great angles are rounded to float64, too, and not to a small part of what they change.
    return Question("PyTorch", request, {"output": Expected(output, is_exact=recipe.ahead == 0)})


def _turn(recipe, message):
    """Sets the options; returns what turns [..., rows, width] from a first position on."""
    half = recipe.half_width
    if recipe.turned_part is not None:
        half = 1 + (recipe.turned_part - 1) % recipe.half_width
        message.width = 2 * half
    message.interleaved = recipe.interleaved
    base, scale = 10000.0, 1.0
    if recipe.base is not None:
        message.base = base = recipe.base
    if recipe.position_scale is not None:
        message.position_scale = scale = recipe.position_scale
    rates = 1.0 / base ** (torch.arange(0, 2 * half, 2, dtype=torch.float64) / (2 * half))

    def turn(rows, first):
        positions = scale * torch.arange(first, first + rows.shape[-2], dtype=torch.float64)
        angles = torch.outer(positions, rates)
        turned, kept = rows[..., :2 * half], rows[..., 2 * half:]
        if recipe.interleaved:
            pairs = torch.view_as_complex(turned.reshape(*turned.shape[:-1], half, 2).contiguous())
            pairs = pairs * torch.polar(torch.ones_like(angles), angles)
            turned = torch.view_as_real(pairs).flatten(-2)
        else:
            cosines, sines = (torch.cat([f(angles)] * 2, -1) for f in (torch.cos, torch.sin))
            rotated = torch.cat([-turned[..., half:], turned[..., :half]], -1)
            turned = turned * cosines + rotated * sines
        return torch.cat([turned, kept], -1)

    return turn
