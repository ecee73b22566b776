"""keras.layers.MultiHeadAttention and GroupQueryAttention, with the conventions that differ:

  kernels [in, heads, width]   -> [in, heads * width]; of the output [heads, width, out] likewise
  biases [heads, width]        -> [heads * width]
  masks of attention, values and keys -> one boolean mask
  use_causal_mask              -> causal, aligned at the top left
  sliding_window w             -> a window of w - 1 keys on both sides
  a query that sees no key     -> weighs all keys alike, or none if scores are returned
  GroupQueryAttention          -> key_value_head_count
"""

import dataclasses

import numpy
from hypothesis import strategies as st

import draws
from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from keras_in_float64 import keras
from question import Expected, Question
from tensors import BF16, BOOL, F32, F64


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int
    data_type: int
    grouped: bool
    batch: int
    heads: int  # of keys and values
    group: int
    queries: int
    keys: int
    source_width: int
    memory_width: int
    head_width: int
    value_width: int
    output_width: int | None
    self_attention: bool
    use_bias: bool
    sliding_window: int | None
    causal: bool
    attention_mask: bool
    value_mask: bool
    key_mask: bool
    blind_queries: bool
    return_scores: bool


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=st.sampled_from([F32, F32, BF16, F64]),
    grouped=st.booleans(), batch=draws.BATCHES, heads=draws.HEADS, group=st.integers(1, 3),
    queries=draws.SEQUENCES, keys=draws.SEQUENCES, source_width=st.integers(1, 24),
    memory_width=st.integers(1, 24), head_width=st.integers(1, 24), value_width=st.integers(1, 24),
    output_width=st.one_of(st.none(), st.integers(1, 24)), self_attention=st.booleans(),
    use_bias=st.booleans(), sliding_window=st.one_of(st.none(), st.integers(1, 12)),
    causal=st.booleans(), attention_mask=st.booleans(), value_mask=st.booleans(),
    key_mask=st.booleans(), blind_queries=st.booleans(), return_scores=st.booleans())


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    return ask(recipe, make_layer(recipe, numbers), numbers)


def ask(recipe, layer, numbers):
    query = numbers.normal(recipe.batch, recipe.queries, recipe.source_width)
    value = query
    if not recipe.self_attention:
        value = numbers.normal(recipe.batch, recipe.keys, recipe.memory_width)
    request = service.MultiHeadAttentionRequest(
        query=numbers.tensor(query), projections=projections_of(layer, numbers),
        head_count=recipe.heads * (recipe.group if recipe.grouped else 1),
        key_value_head_count=recipe.heads)
    if not recipe.self_attention:
        request.key.CopyFrom(numbers.tensor(value))
    masks = _masks(recipe, numbers, request.options, value.shape[1])
    request.options.return_weights = recipe.return_scores
    results = layer(
        query, value, use_causal_mask=recipe.causal,
        return_attention_scores=recipe.return_scores, **masks)
    output, *scores = results if recipe.return_scores else [results]
    expected = {"output": Expected(keras.ops.convert_to_numpy(output))}
    for each in scores:
        expected["weights"] = Expected(keras.ops.convert_to_numpy(each))
    return Question("Keras", request, expected)


def make_layer(recipe, numbers):
    common = {
        "use_bias": recipe.use_bias, "sliding_window": recipe.sliding_window, "dtype": "float64"}
    if recipe.grouped:
        layer = keras.layers.GroupQueryAttention(
            recipe.head_width, recipe.heads * recipe.group, recipe.heads, **common)
    else:
        layer = keras.layers.MultiHeadAttention(
            recipe.heads, recipe.head_width, value_dim=recipe.value_width,
            output_shape=recipe.output_width, **common)
    memory_width = recipe.source_width if recipe.self_attention else recipe.memory_width
    layer.build((None, None, recipe.source_width), (None, None, memory_width))
    layer.set_weights([
        numbers.normal(*each.shape, scale=0.25) for each in layer.weights])
    return layer


def projections_of(layer, numbers):
    """The layer's parameters as they stand in a request."""
    projections = service.Projections()
    for each in layer.weights:
        part, kind = each.path.split("/")[-2:]
        array = keras.ops.convert_to_numpy(each)
        if kind == "bias":
            array = array.reshape(-1)
        elif part == "attention_output":
            array = array.reshape(-1, array.shape[-1])
        else:
            array = array.reshape(array.shape[0], -1)
        name = "output" if part == "attention_output" else part
        field = "weight" if kind == "kernel" else "bias"
        getattr(getattr(projections, name), field).CopyFrom(numbers.tensor(array))
    return projections


def _masks(recipe, numbers, options, key_count):
    """Sets the options and returns Keras' arguments."""
    shape = (recipe.batch, recipe.queries, key_count)
    if recipe.causal:
        options.causal.alignment = options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT
    if recipe.sliding_window is not None:
        options.window.left = options.window.right = recipe.sliding_window - 1
        options.query_positions.alignment = options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT
    masks, seen = {}, numpy.ones(shape, bool)
    if recipe.attention_mask:
        masks["attention_mask"] = numbers.chance(0.6, *shape)
        if recipe.blind_queries:
            masks["attention_mask"][:, numbers.integers(0, recipe.queries - 1)] = False
        seen &= masks["attention_mask"]
    for name, wanted in (("value_mask", recipe.value_mask), ("key_mask", recipe.key_mask)):
        if wanted:
            masks[name] = numbers.chance(0.8, recipe.batch, key_count)
            seen &= masks[name][:, None]
    if masks:
        options.boolean_mask.CopyFrom(numbers.tensor(seen[:, None], BOOL))
    if not recipe.return_scores:
        options.fully_masked = options_pb2.FULLY_MASKED_POLICY_UNIFORM
    return masks
