"""The contract of proto/attention/v1 in float64 numpy: the right answer to a request, and how far
a computation in the request's type may be from it.

Written from the protocol's comments alone and sharing nothing with the server. Every array is
Bounded: its value, and a bound on the error that a computation of another order or a lower
precision may have made so far, by the usual forward analysis (Higham, "Accuracy and Stability of
Numerical Algorithms", chapter 3): a sum of n products is off by at most (n + 2) u times the sum of
the absolute products, a stored number by u times itself.
"""

import dataclasses

import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from tensors import BF16, F16, F32, F64, to_array

# The unit roundoff of a stored number, and of the sums that lead to it.
_STORED = {F32: 2.0**-24, F16: 2.0**-11, BF16: 2.0**-8, F64: 2.0**-53}
_SUMMED = {F32: 2.0**-24, F16: 2.0**-24, BF16: 2.0**-24, F64: 2.0**-53}
_SMALLEST = {F32: 2.0**-126, F16: 2.0**-24, BF16: 2.0**-126, F64: 2.0**-1022}

# How far a single product of F32 numbers may be off, where less than f32 is asked for.
_PRODUCT = {options_pb2.PRECISION_BF16_X3: 2.0**-14, options_pb2.PRECISION_BF16: 2.0**-7}

# What Execution.precision may say where F32 tensors are sent. Asking for a precision permits it.
_GRANTED = {
    options_pb2.PRECISION_UNSPECIFIED: {"f32"},  # the default of --default-precision
    options_pb2.PRECISION_F32: {"f32"},
    options_pb2.PRECISION_BF16_X6: {"f32", "bf16_x6"},
    options_pb2.PRECISION_BF16_X3: {"f32", "bf16_x3"},
    options_pb2.PRECISION_BF16: {"f32", "bf16"},
    options_pb2.PRECISION_F32_GRADE_FASTEST: {"f32", "bf16_x6"},
}

# exp, tanh and a division, each within a few units.
_FUNCTION_ULPS = 8


@dataclasses.dataclass
class Bounded:
    value: numpy.ndarray
    error: numpy.ndarray

    def map(self, function):
        """Applies a rearrangement of axes."""
        return Bounded(function(self.value), function(self.error))


@dataclasses.dataclass
class Answer:
    output: Bounded
    weights: Bounded
    raw_scores: Bounded
    masked_scores: Bounded


@dataclasses.dataclass
class _Roundoff:
    stored: float
    summed: float
    smallest: float
    product: float

    @classmethod
    def of(cls, request):
        data_type = _first_tensor(request).data_type or F32
        return cls(
            _STORED[data_type], _SUMMED[data_type], _SMALLEST[data_type],
            _PRODUCT.get(request.options.precision, 0.0))

    def store(self, value, error):
        return Bounded(value, error + self.stored * numpy.abs(value) + self.smallest)

    def exact(self, array):
        return Bounded(array, numpy.zeros_like(array))

    def matmul(self, left, right):
        """left right, summed in the accumulator's precision and not yet stored."""
        growth = (left.value.shape[-1] + 2) * self.summed + self.product
        error = (
            (left.error + growth * numpy.abs(left.value)) @ numpy.abs(right.value)
            + (numpy.abs(left.value) + left.error) @ right.error)
        return Bounded(left.value @ right.value, error)


def permitted_precisions(request):
    """What Execution.precision may say in the answer: float64 is always precise enough."""
    data_type = _first_tensor(request).data_type or F32
    if data_type == F32:
        return _GRANTED[request.options.precision] | {"f64"}
    return {"f64"} if data_type == F64 else {"f32", "bf16", "f64"}


@numpy.errstate(invalid="ignore")  # NaN may stand where it is hidden
def answer(request):
    """Returns the Answer to any of the five requests, tensors shaped as the contract says."""
    query, key, value, shape_output = _operands(request)
    roundoff = _Roundoff.of(request)
    group = query.value.shape[1] // key.value.shape[1]
    key, value = (each.map(lambda a: numpy.repeat(a, group, axis=1)) for each in (key, value))

    raw = _raw_scores(request.options, query, key, roundoff)
    softmax = request.options.normalization != options_pb2.NORMALIZATION_NONE
    masked, visible = _apply_masks(request.options, raw, roundoff)
    over_queries = options_pb2.NORMALIZATION_SOFTMAX_OVER_QUERIES
    axis = -2 if request.options.normalization == over_queries else -1
    weights = (
        _softmax(masked, visible, axis, roundoff)
        if softmax
        else Bounded(numpy.where(visible, masked.value, 0), masked.error))
    # Fused kernels round the weights to the type of the values before the second product.
    rounded = roundoff.store(weights.value, numpy.where(visible, weights.error, 0))
    rounded.error = numpy.where(visible, rounded.error, 0)
    hidden_score = -numpy.inf if softmax else 0.0
    stored_masked = roundoff.store(numpy.where(visible, masked.value, 0), masked.error)
    stored_masked.value = numpy.where(visible, masked.value, hidden_score)

    visible_value = Bounded(numpy.nan_to_num(value.value), value.error)
    output = shape_output(roundoff.matmul(rounded, visible_value), roundoff)
    drop = (lambda a: a) if _has_batch(request) else (lambda a: a[0])
    return Answer(
        output,
        roundoff.store(weights.value, weights.error).map(drop),
        roundoff.store(raw.value, raw.error).map(drop),
        stored_masked.map(drop))


def _first_tensor(request):
    names = {
        service.SelfAttentionRequest: "embeddings",
        service.MaskedAttentionRequest: "embeddings",
        service.CrossAttentionRequest: "query_embeddings",
    }
    return getattr(request, names.get(type(request), "query"))


def _has_batch(request):
    rank = len(_first_tensor(request).shape)
    if isinstance(request, service.ScaledDotProductAttentionRequest):
        return rank == (3 if request.layout == service.LAYOUT_PACKED else 4)
    return rank == 3


def _operands(request):
    """Returns query, key and value as [batch, heads, sequence, width], and what to do with the
    attended [batch, heads, queries, value width]."""
    if isinstance(request, service.ScaledDotProductAttentionRequest):
        return _ready_operands(request)
    sources = {
        service.SelfAttentionRequest: lambda r: [r.embeddings] * 3,
        service.MaskedAttentionRequest: lambda r: [r.embeddings] * 3,
        service.CrossAttentionRequest:
            lambda r: [r.query_embeddings, r.memory_embeddings, r.memory_embeddings],
        service.MultiHeadAttentionRequest: _multi_head_sources,
    }[type(request)](request)
    roundoff = _Roundoff.of(request)
    head_count = request.head_count or 1
    key_value_head_count = getattr(request, "key_value_head_count", 0) or head_count
    projections = request.projections
    operands = []
    for source, name, heads in zip(
            sources, ("query", "key", "value"),
            (head_count, key_value_head_count, key_value_head_count)):
        array = to_array(source)
        array = array if array.ndim == 3 else array[None]
        projected = roundoff.exact(array)
        if projections.HasField(name):
            projected = _project(projected, getattr(projections, name), roundoff)
        operands.append(projected.map(lambda a, n=heads: _split_heads(a, n)))

    def shape_output(attended, roundoff):
        joined = roundoff.store(attended.value, attended.error).map(_join_heads)
        if projections.HasField("output"):
            joined = _project(joined, projections.output, roundoff)
        return joined if _has_batch(request) else joined.map(lambda a: a[0])

    return *operands, shape_output


def _multi_head_sources(request):
    key = request.key if request.HasField("key") else request.query
    return [request.query, key, request.value if request.HasField("value") else key]


def _ready_operands(request):
    heads = request.head_count
    key_value_heads = request.key_value_head_count or heads

    def to_heads_first(array, head_count):
        if request.layout == service.LAYOUT_PACKED:
            return _split_heads(array if array.ndim == 3 else array[None], head_count)
        array = array if array.ndim == 4 else array[None]
        return array.swapaxes(1, 2) if request.layout == service.LAYOUT_SEQUENCE_FIRST else array

    def shape_output(attended, roundoff):
        stored = roundoff.store(attended.value, attended.error)
        if request.layout == service.LAYOUT_PACKED:
            stored = stored.map(_join_heads)
        elif request.layout == service.LAYOUT_SEQUENCE_FIRST:
            stored = stored.map(lambda a: a.swapaxes(1, 2))
        return stored if _has_batch(request) else stored.map(lambda a: a[0])

    roundoff = _Roundoff.of(request)
    return (
        roundoff.exact(to_heads_first(to_array(request.query), heads)),
        roundoff.exact(to_heads_first(to_array(request.key), key_value_heads)),
        roundoff.exact(to_heads_first(to_array(request.value), key_value_heads)),
        shape_output)


def _split_heads(array, head_count):
    batch, rows, width = array.shape
    return array.reshape(batch, rows, head_count, width // head_count).swapaxes(1, 2)


def _join_heads(array):
    batch, heads, rows, width = array.shape
    return array.swapaxes(1, 2).reshape(batch, rows, heads * width)


def _project(rows, projection, roundoff):
    product = roundoff.matmul(rows, roundoff.exact(to_array(projection.weight)))
    if projection.HasField("bias"):
        product.value = product.value + to_array(projection.bias)
        product.error = product.error + roundoff.summed * numpy.abs(product.value)
    return roundoff.store(product.value, product.error)


def _raw_scores(options, query, key, roundoff):
    default_scale = 1.0
    if options.WhichOneof("score") == "general_score":
        weight = roundoff.exact(to_array(options.general_score.weight))
        score = roundoff.matmul(roundoff.matmul(query, weight), _transposed(key))
    elif options.WhichOneof("score") == "additive_score":
        score = _additive_score(options.additive_score, query, key, roundoff)
    else:
        default_scale = query.value.shape[-1] ** -0.5
        score = roundoff.matmul(query, _transposed(key))
    scale = options.scale if options.HasField("scale") else default_scale
    error = score.error + 2 * roundoff.summed * numpy.abs(score.value)
    return Bounded(scale * score.value, abs(scale) * error)


def _transposed(operand):
    return operand.map(lambda a: a.swapaxes(-1, -2))


def _additive_score(parameters, query, key, roundoff):
    rows = roundoff.matmul(query, roundoff.exact(to_array(parameters.query_weight)))
    columns = roundoff.matmul(key, roundoff.exact(to_array(parameters.key_weight)))
    total = rows.value[..., :, None, :] + columns.value[..., None, :, :]
    error = rows.error[..., :, None, :] + columns.error[..., None, :, :]
    hidden = numpy.tanh(total)  # of slope at most 1, so no error grows
    error = error + roundoff.summed * (numpy.abs(total) + _FUNCTION_ULPS * numpy.abs(hidden))
    vector = roundoff.exact(to_array(parameters.vector)[:, None])
    return roundoff.matmul(Bounded(hidden, error), vector).map(lambda a: a[..., 0])


def _apply_masks(options, raw, roundoff):
    """Returns the masked scores, and where a key is visible to a query."""
    value, error = raw.value, raw.error
    visible = numpy.ones(value.shape, bool)
    if options.HasField("multiplicative_mask"):
        factor = to_array(options.multiplicative_mask)
        value, error = value * factor, error * numpy.abs(factor)
        error = error + roundoff.summed * numpy.abs(value)
    if options.HasField("additive_mask"):
        term = numpy.broadcast_to(to_array(options.additive_mask), value.shape)
        visible &= term != -numpy.inf
        value = value + numpy.where(visible, term, 0)
        error = error + roundoff.summed * numpy.abs(value)
    if options.HasField("boolean_mask"):
        visible &= to_array(options.boolean_mask) != 0
    query_count, key_count = value.shape[-2:]
    if options.HasField("causal"):
        offset = {
            options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT: key_count - query_count,
            options_pb2.CAUSAL_ALIGNMENT_OFFSET: options.causal.offset,
        }.get(options.causal.alignment, 0)
        visible &= numpy.arange(key_count) <= numpy.arange(query_count)[:, None] + offset
    if options.HasField("key_lengths"):
        lengths = to_array(options.key_lengths)
        visible &= numpy.arange(key_count) < lengths[:, None, None, None]
    return Bounded(value, error), visible


def _softmax(scores, visible, axis, roundoff):
    shifted = numpy.where(visible, scores.value, -numpy.inf)
    peak = shifted.max(axis=axis, keepdims=True, initial=-numpy.inf)
    powers = numpy.exp(numpy.where(visible, shifted - numpy.where(visible, peak, 0), -numpy.inf))
    total = powers.sum(axis=axis, keepdims=True)
    weights = powers / numpy.where(total == 0, 1, total)
    # A weight is off by the errors of its own score and of the others', beside the sum's own.
    score_error = numpy.where(visible, scores.error, 0).max(axis=axis, keepdims=True, initial=0)
    spread = numpy.where(visible & numpy.isfinite(peak), numpy.abs(shifted - peak), 0)
    growth = numpy.expm1(2 * score_error) + roundoff.summed * (
        scores.value.shape[axis] + _FUNCTION_ULPS + 2 * numpy.nan_to_num(spread))
    return Bounded(weights, weights * growth)
