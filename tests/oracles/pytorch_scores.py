"""Score functions, normalizations and the score matrices at each stage, written plainly with
PyTorch's operations."""

import dataclasses
import math

import torch
from hypothesis import strategies as st

import draws
from attention.v1 import options_pb2
from question import Expected, Question

_KINDS = {
    "none": options_pb2.SCORES_KIND_UNSPECIFIED,
    "raw": options_pb2.SCORES_KIND_RAW,
    "capped": options_pb2.SCORES_KIND_CAPPED,
    "masked": options_pb2.SCORES_KIND_MASKED,
}
_NORMALIZATIONS = {
    "keys": options_pb2.NORMALIZATION_SOFTMAX_OVER_KEYS,
    "queries": options_pb2.NORMALIZATION_SOFTMAX_OVER_QUERIES,
    "none": options_pb2.NORMALIZATION_NONE,
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
    scale: float | None
    score: str  # "dot", "general", "additive"
    hidden_width: int
    softcap: float | None
    additive_mask: bool
    multiplicative_mask: bool
    causal_offset: int | None
    normalization: str
    scores: str
    return_weights: bool


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES, batch=draws.BATCHES,
    key_value_heads=draws.HEADS, group=st.integers(1, 2),
    queries=st.one_of(st.integers(1, 12), st.sampled_from([33, 64])),
    keys=st.one_of(st.integers(1, 12), st.sampled_from([33, 65])),
    key_width=draws.WIDTHS, value_width=draws.WIDTHS, scale=draws.SCALES,
    score=st.sampled_from(["dot", "dot", "general", "additive"]), hidden_width=st.integers(1, 9),
    softcap=st.one_of(st.none(), st.sampled_from([0.5, 5.0])), additive_mask=st.booleans(),
    multiplicative_mask=st.booleans(), causal_offset=st.one_of(st.none(), st.integers(-5, 20)),
    normalization=st.sampled_from(list(_NORMALIZATIONS)), scores=st.sampled_from(list(_KINDS)),
    return_weights=st.booleans())


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    heads, groups = recipe.key_value_heads * recipe.group, recipe.key_value_heads
    arrays = {
        "query": numbers.normal(recipe.batch, heads, recipe.queries, recipe.key_width),
        "key": numbers.normal(recipe.batch, groups, recipe.keys, recipe.key_width),
        "value": numbers.normal(recipe.batch, groups, recipe.keys, recipe.value_width),
    }
    request = draws.ready_request(numbers, arrays)
    options = request.options
    options.return_scores = _KINDS[recipe.scores]
    options.return_weights = recipe.return_weights
    options.normalization = _NORMALIZATIONS[recipe.normalization]
    query, key, value = (torch.from_numpy(array) for array in arrays.values())
    key, value = (each.repeat_interleave(recipe.group, 1) for each in (key, value))

    raw = _raw_scores(recipe, numbers, options, query, key)
    capped = raw
    if recipe.softcap is not None:
        options.softcap = recipe.softcap
        capped = recipe.softcap * torch.tanh(raw / recipe.softcap)
    scores, seen = _masked(recipe, numbers, options, capped)
    weights, masked = _normalized(recipe, scores, seen)
    expected = {"output": Expected((weights @ value).numpy())}
    if recipe.return_weights:
        expected["weights"] = Expected(weights.numpy())
    if recipe.scores != "none":
        matrix = {"raw": raw, "capped": capped, "masked": masked}[recipe.scores]
        expected["scores"] = Expected(matrix.numpy())
    return Question("the formula", request, expected)


def _raw_scores(recipe, numbers, options, query, key):
    scale = 1 / math.sqrt(recipe.key_width) if recipe.score == "dot" else 1.0
    if recipe.scale is not None:
        options.scale = scale = recipe.scale
    if recipe.score == "dot":
        return scale * (query @ key.mT)
    width, hidden = recipe.key_width, recipe.hidden_width
    if recipe.score == "general":
        weight = numbers.normal(width, width, scale=width**-0.5)
        options.general_score.weight.CopyFrom(numbers.tensor(weight))
        return scale * (query @ torch.from_numpy(weight) @ key.mT)
    parameters = {
        "query_weight": numbers.normal(width, hidden, scale=width**-0.5),
        "key_weight": numbers.normal(width, hidden, scale=width**-0.5),
        "vector": numbers.normal(hidden),
    }
    for name, array in parameters.items():
        getattr(options.additive_score, name).CopyFrom(numbers.tensor(array))
    query_weight, key_weight, vector = map(torch.from_numpy, parameters.values())
    together = (query @ query_weight)[:, :, :, None] + (key @ key_weight)[:, :, None]
    return scale * (torch.tanh(together) @ vector)


def _masked(recipe, numbers, options, scores):
    """Sets the options; returns the scores and where a query sees a key."""
    extents = scores.shape
    seen = torch.ones(extents, dtype=bool)
    if recipe.multiplicative_mask and recipe.normalization == "none":
        mask = numbers.normal(*extents[2:])
        options.multiplicative_mask.CopyFrom(numbers.tensor(mask))
        scores = scores * torch.from_numpy(mask)
    if recipe.additive_mask:
        mask = numbers.float_mask(*extents[1:])
        options.additive_mask.CopyFrom(numbers.tensor(mask))
        scores = scores + torch.from_numpy(mask)
        seen &= scores != -math.inf
    if recipe.causal_offset is not None:
        options.causal.alignment = options_pb2.CAUSAL_ALIGNMENT_OFFSET
        options.causal.offset = recipe.causal_offset
        seen &= torch.ones(extents[2:], dtype=bool).tril(recipe.causal_offset)
    return scores, seen


def _normalized(recipe, scores, seen):
    """The weights and the masked scores."""
    if recipe.normalization == "none":
        masked = scores.masked_fill(~seen, 0.0)
        return masked, masked
    masked = scores.masked_fill(~seen, -math.inf)
    axis = -1 if recipe.normalization == "keys" else -2
    return torch.softmax(masked, axis).nan_to_num(0.0), masked
