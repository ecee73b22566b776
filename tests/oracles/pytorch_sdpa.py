"""torch.nn.functional.scaled_dot_product_attention."""

import dataclasses

import torch
from hypothesis import strategies as st
from torch.nn.attention.bias import causal_lower_right

import draws
from attention.v1 import options_pb2
from question import Expected, Question
from tensors import BOOL, F32


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
    has_batch: bool
    scale: float | None
    precision: int
    magnitude: float

    mask: str  # "none", "boolean", "float", "causal", "lower right"
    mask_broadcast: tuple
    mask_rank: int
    mask_density: float


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES, batch=draws.BATCHES,
    key_value_heads=draws.HEADS, group=st.integers(1, 3), queries=draws.QUERIES,
    keys=draws.KEYS, key_width=draws.WIDTHS, value_width=draws.WIDTHS, layout=draws.LAYOUTS,
    has_batch=st.booleans(), scale=st.one_of(draws.SCALES, st.sampled_from([0.0, -0.5])),
    precision=draws.PRECISIONS, magnitude=st.sampled_from([1.0, 1.0, 0.01, 4.0]),
    mask=st.sampled_from(["none", "boolean", "float", "causal", "lower right"]),
    mask_broadcast=st.tuples(*[st.booleans()] * 4), mask_rank=st.integers(2, 4),
    mask_density=st.sampled_from([0.05, 0.5, 0.9]))


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    batch = recipe.batch if recipe.has_batch else 1
    heads, groups = recipe.key_value_heads * recipe.group, recipe.key_value_heads
    arrays = {
        "query": numbers.normal(
            batch, heads, recipe.queries, recipe.key_width, scale=recipe.magnitude),
        "key": numbers.normal(batch, groups, recipe.keys, recipe.key_width),
        "value": numbers.normal(batch, groups, recipe.keys, recipe.value_width),
    }
    request = draws.ready_request(numbers, arrays, recipe.layout, recipe.has_batch)
    options = request.options
    scale = recipe.scale
    if scale is not None and scale <= 0 and recipe.mask in ("causal", "lower right"):
        scale = None  # PyTorch scales the -infinity of hidden scores, too: NaN, or all is seen
    if scale is not None:
        options.scale = scale
    if recipe.data_type == F32:
        options.precision = recipe.precision
    how = {"enable_gqa": recipe.group > 1, "scale": scale}
    how |= _mask(recipe, numbers, options, (batch, heads, recipe.queries, recipe.keys))
    tensors = [torch.from_numpy(array) for array in arrays.values()]
    with torch.inference_mode():
        output = torch.nn.functional.scaled_dot_product_attention(*tensors, **how).numpy()
    output = draws.from_heads_first(output, recipe.layout, recipe.has_batch)
    return Question("PyTorch", request, {"output": Expected(output)})


def _mask(recipe, numbers, options, extents):
    """Sets the options and returns PyTorch's arguments."""
    queries, keys = extents[2:]
    # PyTorch documents NaN for a lower right alignment that leaves queries without a key.
    if recipe.mask == "causal" or (recipe.mask == "lower right" and queries > keys):
        options.causal.alignment = options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT
        return {"is_causal": True}
    if recipe.mask == "lower right":
        options.causal.alignment = options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT
        return {"attn_mask": causal_lower_right(queries, keys)}
    shape = draws.broadcast_extents(extents, recipe.mask_broadcast, recipe.mask_rank)
    if recipe.mask == "boolean":
        mask = numbers.chance(recipe.mask_density, *shape)
        options.boolean_mask.CopyFrom(numbers.tensor(mask, BOOL))
        return {"attn_mask": torch.from_numpy(mask)}
    if recipe.mask == "float":
        mask = numbers.float_mask(*shape)
        options.additive_mask.CopyFrom(numbers.tensor(mask))
        return {"attn_mask": torch.from_numpy(mask)}
    return {}
