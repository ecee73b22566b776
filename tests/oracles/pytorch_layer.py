"""torch.nn.MultiheadAttention. How its conventions map to a request is part of what is tested.

  weight W of a linear map     -> its transpose: PyTorch's rows are outputs
  in_proj_weight [3 E, E]      -> the projections of query, key and value, one below the other
  boolean masks                -> inverted: PyTorch hides what is True
  attn_mask (N * H, L, S)      -> [N, H, L, S]
  key_padding_mask (N, S)      -> [N, 1, 1, S]
  bias_k, bias_v               -> projections.appended_key and appended_value; seen by every query
  add_zero_attn                -> sinks of 0; its column of weights is e^-log_sum_exp
  need_weights                 -> plain softmax: NaN where a query sees no key; otherwise zeros
  average_attn_weights         -> the mean of the weights over heads
  batch_first=False            -> axes of batch and sequence exchanged
"""

import dataclasses

import numpy
import torch
from hypothesis import strategies as st

import draws
from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from question import Expected, Question
from tensors import BF16, BOOL, F32, F64

_FULLY_MASKED = {
    True: options_pb2.FULLY_MASKED_POLICY_NAN,
    False: options_pb2.FULLY_MASKED_POLICY_UNSPECIFIED,
}

# Its quick path for inference has answers of its own to masks.
torch.backends.mha.set_fastpath_enabled(False)


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int
    data_type: int
    batch: int  # 0 for inputs without a batch axis
    heads: int
    head_width: int
    queries: int
    keys: int
    self_attention: bool
    key_source_width: int | None  # kdim; None for that of the queries
    value_source_width: int | None
    bias: bool
    add_bias_kv: bool
    add_zero_attn: bool
    batch_first: bool
    need_weights: bool
    average_weights: bool
    mask: str  # "none", "boolean", "float", "causal"
    mask_per_head: bool
    key_padding: bool


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=st.sampled_from([F32, F32, BF16, F64]),
    batch=st.integers(0, 3), heads=st.integers(1, 4), head_width=st.integers(1, 20),
    queries=draws.SEQUENCES, keys=draws.SEQUENCES, self_attention=st.booleans(),
    key_source_width=st.one_of(st.none(), st.integers(1, 30)),
    value_source_width=st.one_of(st.none(), st.integers(1, 30)), bias=st.booleans(),
    add_bias_kv=st.booleans(), add_zero_attn=st.booleans(), batch_first=st.booleans(),
    need_weights=st.booleans(), average_weights=st.booleans(),
    mask=st.sampled_from(["none", "boolean", "float", "causal"]), mask_per_head=st.booleans(),
    key_padding=st.booleans())


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    return ask(recipe, make_layer(recipe, numbers), numbers)


def ask(recipe, layer, numbers):
    inputs = _inputs(recipe, numbers, layer)
    request = service.MultiHeadAttentionRequest(
        head_count=recipe.heads, projections=projections_of(layer, numbers))
    for name, array in inputs.items():
        getattr(request, name).CopyFrom(numbers.tensor(array))
    how = _masks(recipe, numbers, request.options, inputs)
    _set_statistics(recipe, request.options)
    with torch.inference_mode():
        output, weights = layer(
            *(torch.from_numpy(_to_library(recipe, inputs.get(name, inputs["query"])))
              for name in ("query", "key", "value")),
            need_weights=recipe.need_weights, average_attn_weights=recipe.average_weights, **how)
    has_batch = recipe.batch > 0
    view = "as_is" if recipe.batch_first or not has_batch else "sequence_before_batch"
    expected = {"output": Expected(output.numpy(), view)}
    if recipe.need_weights:
        expected |= _expected_weights(recipe, weights.numpy())
    return Question("PyTorch", request, expected)


def make_layer(recipe, numbers):
    width = recipe.heads * recipe.head_width
    both = {}
    if not recipe.self_attention:
        both = {"kdim": recipe.key_source_width, "vdim": recipe.value_source_width}
    layer = torch.nn.MultiheadAttention(
        width, recipe.heads, bias=recipe.bias, add_bias_kv=recipe.add_bias_kv,
        add_zero_attn=recipe.add_zero_attn, batch_first=recipe.batch_first, dtype=torch.float64,
        **both).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            spread = parameter.shape[-1] ** -0.5 if parameter.ndim == 2 else 0.25
            parameter.copy_(torch.from_numpy(numbers.normal(*parameter.shape, scale=spread)))
    return layer


def projections_of(layer, numbers):
    """The layer's parameters as they stand in a request."""
    width = layer.embed_dim
    projections = service.Projections()
    packed = layer.in_proj_weight is not None
    for part, name in enumerate(("query", "key", "value")):
        rows = slice(part * width, (part + 1) * width)
        weight = layer.in_proj_weight[rows] if packed else getattr(layer, f"{name[0]}_proj_weight")
        bias = None if layer.in_proj_bias is None else layer.in_proj_bias[rows]
        _set_projection(getattr(projections, name), weight, bias, numbers)
    _set_projection(projections.output, layer.out_proj.weight, layer.out_proj.bias, numbers)
    if layer.bias_k is not None:
        for name, row in (("appended_key", layer.bias_k), ("appended_value", layer.bias_v)):
            array = row.detach().numpy().reshape(width)
            getattr(projections, name).CopyFrom(numbers.tensor(array))
    return projections


def _set_projection(projection, weight, bias, numbers):
    projection.weight.CopyFrom(numbers.tensor(weight.detach().numpy().T))
    if bias is not None:
        projection.bias.CopyFrom(numbers.tensor(bias.detach().numpy()))


def _inputs(recipe, numbers, layer):
    """Arrays [batch?, sequence, width] by the request's names."""
    batch = (recipe.batch,) if recipe.batch else ()
    inputs = {"query": numbers.normal(*batch, recipe.queries, layer.embed_dim)}
    if not recipe.self_attention:
        inputs["key"] = numbers.normal(*batch, recipe.keys, layer.kdim)
        inputs["value"] = numbers.normal(*batch, recipe.keys, layer.vdim)
    return inputs


def _to_library(recipe, array):
    exchange = recipe.batch > 0 and not recipe.batch_first
    return numpy.ascontiguousarray(array.swapaxes(0, 1) if exchange else array)


def _masks(recipe, numbers, options, inputs):
    """Sets the options and returns PyTorch's arguments."""
    batch = max(recipe.batch, 1)
    key_count = inputs.get("key", inputs["query"]).shape[-2]
    appended = int(recipe.add_bias_kv)
    shape = (recipe.queries, key_count)
    if recipe.mask_per_head:
        shape = (batch * recipe.heads, *shape)
    how, boolean = {}, None
    if recipe.mask in ("boolean", "causal"):
        hidden = numbers.chance(0.3, *shape)
        if recipe.mask == "causal":
            hidden = numpy.broadcast_to(numpy.triu(numpy.ones(shape[-2:], bool), 1), shape).copy()
        how["attn_mask"] = torch.from_numpy(hidden)
        boolean = _per_head(recipe, ~hidden, appended, True)
    elif recipe.mask == "float":
        terms = numbers.float_mask(*shape)
        how["attn_mask"] = torch.from_numpy(terms)
        options.additive_mask.CopyFrom(numbers.tensor(_per_head(recipe, terms, appended, 0.0)))
    if recipe.key_padding:
        ignored = numbers.chance(0.3, batch, key_count)
        padding = ignored if recipe.batch else ignored[0]
        if recipe.mask == "float":  # PyTorch wants both masks of one type
            padding = numpy.where(padding, -numpy.inf, 0.0)
        how["key_padding_mask"] = torch.from_numpy(padding)
        seen = numpy.pad(~ignored, [(0, 0), (0, appended)], constant_values=True)[:, None, None]
        boolean = seen if boolean is None else boolean & seen
    if boolean is not None:
        options.boolean_mask.CopyFrom(numbers.tensor(boolean, BOOL))
    return how


def _per_head(recipe, mask, appended, seen):
    """Masks reach the appended key with what lets it be seen."""
    padding = [(0, 0)] * (mask.ndim - 1) + [(0, appended)]
    mask = numpy.pad(mask, padding, constant_values=seen)
    if mask.ndim == 3:
        mask = mask.reshape(max(recipe.batch, 1), recipe.heads, *mask.shape[1:])
    return mask


def _set_statistics(recipe, options):
    if recipe.add_zero_attn:
        options.sinks.CopyFrom(draws.to_tensor(numpy.zeros(recipe.heads), F32))
    else:
        options.fully_masked = _FULLY_MASKED[recipe.need_weights]
    if recipe.need_weights:
        options.return_weights = True
        options.return_log_sum_exp = recipe.add_zero_attn


def _expected_weights(recipe, weights):
    expected = {}
    if recipe.add_zero_attn:
        if not recipe.average_weights:
            log_sum_exp = -numpy.log(weights[..., -1])
            expected["log_sum_exp"] = Expected(log_sum_exp)
        weights = weights[..., :-1]
    view = "mean_over_heads" if recipe.average_weights else "as_is"
    return expected | {"weights": Expected(weights, view)}
