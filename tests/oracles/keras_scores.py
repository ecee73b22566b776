"""keras.layers.Attention and AdditiveAttention, with the conventions that differ from ours:

  score_mode="dot"       -> scale of 1, or the learned one with use_scale; not 1 / sqrt(width)
  score_mode="concat"    -> the additive score with identities, times use_scale's, as weights and
                            the learned scalar everywhere in its vector
  AdditiveAttention      -> the additive score with identities as weights and the scale as vector
  inputs [query, value]  -> the keys are the values
  mask[1] (of values)    -> boolean mask over the keys; each query has to see one
  mask[0] (of queries)   -> the caller sets the output of hidden queries to 0
  use_causal_mask        -> causal, aligned at the top left
"""

import dataclasses

import numpy
from hypothesis import strategies as st

import draws
from attention.v1 import options_pb2
from keras_in_float64 import keras
from question import Expected, Question
from tensors import BOOL


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int
    data_type: int
    kind: str  # "dot", "concat", "additive"
    batch: int
    queries: int
    keys: int
    width: int
    value_width: int
    has_key: bool  # keys of their own
    use_scale: bool
    query_mask: bool
    value_mask: bool
    causal: bool
    return_scores: bool


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES,
    kind=st.sampled_from(["dot", "dot", "concat", "additive"]), batch=draws.BATCHES,
    queries=draws.SEQUENCES, keys=draws.SEQUENCES, width=draws.WIDTHS, value_width=draws.WIDTHS,
    has_key=st.booleans(), use_scale=st.booleans(), query_mask=st.booleans(),
    value_mask=st.booleans(), causal=st.booleans(), return_scores=st.booleans())


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    value_width = recipe.value_width if recipe.has_key else recipe.width
    arrays = {
        "query": numbers.normal(recipe.batch, recipe.queries, recipe.width),
        "value": numbers.normal(recipe.batch, recipe.keys, value_width),
    }
    arrays["key"] = (
        numbers.normal(recipe.batch, recipe.keys, recipe.width) if recipe.has_key
        else arrays["value"])
    request = draws.ready_request(numbers, {name: a[:, None] for name, a in arrays.items()})
    inputs = [arrays["query"], arrays["value"]] + ([arrays["key"]] if recipe.has_key else [])
    layer = _layer(recipe, inputs, numbers, request.options)
    masks = _masks(recipe, numbers, request.options)
    request.options.return_weights = recipe.return_scores
    results = layer(
        inputs, mask=masks, return_attention_scores=recipe.return_scores,
        use_causal_mask=recipe.causal)
    output, *scores = results if recipe.return_scores else [results]
    rows = masks[0][..., None].astype("f8") if masks and masks[0] is not None else None
    expected = {"output": Expected(keras.ops.convert_to_numpy(output), "only_head", rows)}
    for each in scores:
        expected["weights"] = Expected(keras.ops.convert_to_numpy(each), "only_head")
    return Question("Keras", request, expected)


def _layer(recipe, inputs, numbers, options):
    """A layer with random parameters, which also go into the options."""
    if recipe.kind == "additive":
        layer = keras.layers.AdditiveAttention(use_scale=recipe.use_scale, dtype="float64")
    else:
        layer = keras.layers.Attention(
            use_scale=recipe.use_scale, score_mode=recipe.kind, dtype="float64")
    layer.build([each.shape for each in inputs])
    layer.set_weights([numbers.normal(*each.shape) for each in layer.weights])
    learned = {each.name: keras.ops.convert_to_numpy(each) for each in layer.weights}
    scale = learned.get("scale", numpy.ones(()))
    if recipe.kind == "dot":
        options.scale = float(scale)
        return layer
    if recipe.kind == "concat":
        inner, vector = scale, numpy.full(recipe.width, learned["concat_score_weight"])
    else:
        inner, vector = numpy.ones(()), numpy.broadcast_to(scale, recipe.width)
    identity = inner * numpy.eye(recipe.width)
    options.additive_score.query_weight.CopyFrom(numbers.tensor(identity))
    options.additive_score.key_weight.CopyFrom(numbers.tensor(identity))
    options.additive_score.vector.CopyFrom(numbers.tensor(vector))
    return layer


def _masks(recipe, numbers, options):
    """Sets the options and returns Keras' masks of queries and values."""
    if recipe.causal:
        options.causal.alignment = options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT
    query_mask = value_mask = None
    if recipe.query_mask:
        query_mask = numbers.chance(0.7, recipe.batch, recipe.queries)
    if recipe.value_mask:
        value_mask = numbers.chance(0.7, recipe.batch, recipe.keys)
        value_mask[:, 0] = True
        options.boolean_mask.CopyFrom(numbers.tensor(value_mask[:, None, None], BOOL))
    if query_mask is None and value_mask is None:
        return None
    return [query_mask, value_mask]
