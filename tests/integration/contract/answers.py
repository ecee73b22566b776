"""The answer to a request: outputs, weights, scores and statistics."""

import dataclasses

import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from contract.bounded import FUNCTION_ULPS, Bounded, Roundoff, concatenate
from contract.operands import first_tensor, operands_of
from contract.rotary import rotate
from contract.scores import scores_of
from contract.visibility import positions_of
from tensors import F32, F64, INT32, to_array, to_tensor

# What Execution.precision may say where F32 tensors are sent. Asking for a precision permits it.
_GRANTED = {
    options_pb2.PRECISION_UNSPECIFIED: {"f32"},  # the default of --default-precision
    options_pb2.PRECISION_F32: {"f32"},
    options_pb2.PRECISION_BF16_X6: {"f32", "bf16_x6"},
    options_pb2.PRECISION_BF16_X3: {"f32", "bf16_x3"},
    options_pb2.PRECISION_BF16: {"f32", "bf16"},
    options_pb2.PRECISION_F32_GRADE_FASTEST: {"f32", "bf16_x6"},
}


@dataclasses.dataclass
class Answer:
    output: Bounded
    weights: Bounded
    raw_scores: Bounded
    capped_scores: Bounded
    masked_scores: Bounded

    # Of the softmax over keys. Before head_mask; `probabilities` are what the largest are of.
    probabilities: Bounded
    visible: numpy.ndarray
    log_sum_exp: Bounded
    entropy: Bounded
    key_mass: Bounded
    maximum_weight: Bounded

    present_key: numpy.ndarray
    present_value: numpy.ndarray

    def map_heads(self, function):
        """Rearranges the axes of all that is per head; the output and the present are as sent."""
        kept = {"output", "present_key", "present_value"}
        return dataclasses.replace(self, **{
            field.name: (
                getattr(self, field.name).map(function) if field.name != "visible"
                else function(self.visible))
            for field in dataclasses.fields(self) if field.name not in kept})


def permitted_precisions(request):
    """What Execution.precision may say in the answer: float64 is always precise enough."""
    data_type = first_tensor(request).data_type or F32
    if data_type == F32:
        return _GRANTED[request.options.precision] | {"f64"}
    return {"f64"} if data_type == F64 else {"f32", "bf16", "f64"}


@numpy.errstate(invalid="ignore")  # NaN may stand where it is hidden
def answer(request):
    """Returns the Answer to any of the five requests, tensors shaped as the contract says."""
    if isinstance(request, service.ScaledDotProductAttentionRequest) and (
            request.HasField("query_starts")):
        return _ragged_answer(request)
    roundoff = Roundoff.of(first_tensor(request).data_type, request.options)
    operands = operands_of(request, roundoff)
    attended = _attend(request.options, operands, roundoff)
    return attended if operands.has_batch else attended.map_heads(lambda a: a[0])


def _ragged_answer(request):
    """Each sequence as if sent alone; tokens one after the other again."""
    query_starts, key_starts = (
        to_array(starts).astype(int) for starts in (request.query_starts, request.key_starts))
    parts = []
    for sequence in range(len(query_starts) - 1):
        one = service.ScaledDotProductAttentionRequest()
        one.CopyFrom(request)
        one.ClearField("query_starts")
        one.ClearField("key_starts")
        queries = slice(query_starts[sequence], query_starts[sequence + 1])
        keys = slice(key_starts[sequence], key_starts[sequence + 1])
        for name, rows in (("query", queries), ("key", keys), ("value", keys)):
            tensor = getattr(request, name)
            part = to_tensor(to_array(tensor)[rows], tensor.data_type)
            getattr(one, name).CopyFrom(part)
        for name in ("key_lengths", "prefix_lengths"):
            if request.options.HasField(name):
                length = to_array(getattr(request.options, name))[sequence:sequence + 1]
                getattr(one.options, name).CopyFrom(to_tensor(length, INT32))
        parts.append(answer(one))
    joined = {
        name: concatenate([getattr(part, name) for part in parts], axis)
        for name, axis in (("output", 0), ("log_sum_exp", 1), ("entropy", 1),
                           ("maximum_weight", 1), ("key_mass", 1))}
    return dataclasses.replace(parts[0], **joined)


def _attend(options, operands, roundoff):
    group = operands.query.value.shape[1] // operands.key.value.shape[1]
    query = operands.query
    key, value = (
        each.map(lambda a: numpy.repeat(a, group, axis=1))
        for each in (operands.key, operands.value))
    if options.HasField("rotary_embedding"):
        shape = (*query.value.shape[:3], key.value.shape[2])
        query = rotate(query, positions_of(options, shape), options.rotary_embedding, roundoff)
        keys = numpy.arange(shape[3])[None]
        key = rotate(key, keys, options.rotary_embedding, roundoff)
    scores = scores_of(options, query, key, roundoff)
    softmax = options.normalization != options_pb2.NORMALIZATION_NONE
    probabilities, log_sum_exp = _normalize(options, scores, roundoff)
    weights = _final_weights(options, probabilities, scores.visible, roundoff)
    if options.softmax_type == F64:
        rounded = weights
    else:
        # Fused kernels round the weights to the type of the values before the second product.
        rounded = roundoff.store(weights)
        rounded.error = numpy.where(weights.value != 0, rounded.error, weights.error)
    visible_value = Bounded(numpy.nan_to_num(value.value), value.error)
    hidden_score = -numpy.inf if softmax else 0.0
    masked = roundoff.store(Bounded(
        numpy.where(scores.visible, scores.normalized.value, 0), scores.normalized.error))
    masked.value = numpy.where(scores.visible, masked.value, hidden_score)
    return Answer(
        output=operands.shape_output(roundoff.matmul(rounded, visible_value)),
        weights=roundoff.store(weights),
        raw_scores=roundoff.store(scores.raw),
        capped_scores=roundoff.store(scores.capped),
        masked_scores=masked,
        probabilities=roundoff.store_statistic(probabilities),
        visible=scores.visible,
        log_sum_exp=roundoff.store_statistic(log_sum_exp),
        entropy=roundoff.store_statistic(_entropy(probabilities, roundoff)),
        key_mass=roundoff.store_statistic(_key_mass(probabilities, roundoff)),
        maximum_weight=roundoff.store_statistic(Bounded(
            probabilities.value.max(axis=-1, initial=0),
            probabilities.error.max(axis=-1, initial=0))),
        present_key=_present(operands, operands.key),
        present_value=_present(operands, operands.value))


def _present(operands, rows):
    return rows.value if operands.has_batch else rows.value[0]


def _normalize(options, scores, roundoff):
    """The weights before head_mask, and ln of the sum of exponentials of each row."""
    if options.normalization == options_pb2.NORMALIZATION_NONE:
        value = numpy.where(scores.visible, scores.normalized.value, 0)
        error = numpy.where(scores.visible, scores.normalized.error, 0)
        nothing = numpy.zeros(value.shape[:-1])
        return Bounded(value, error), Bounded(nothing, nothing)
    over_queries = options.normalization == options_pb2.NORMALIZATION_SOFTMAX_OVER_QUERIES
    axis = -2 if over_queries else -1
    sink = to_array(options.sinks) if options.HasField("sinks") else None
    return _softmax(scores.normalized, scores.visible, axis, sink, roundoff)


def _softmax(scores, visible, axis, sink, roundoff):
    shifted = numpy.where(visible, scores.value, -numpy.inf)
    peak = shifted.max(axis=axis, keepdims=True, initial=-numpy.inf)
    sink_error = 0.0
    if sink is not None:
        sink = sink[:, None, None]
        peak = numpy.maximum(peak, sink)
        sink_error = 2 * roundoff.summed * numpy.abs(numpy.nan_to_num(sink, neginf=0))
    finite_peak = numpy.where(numpy.isneginf(peak), 0, peak)
    powers = numpy.exp(numpy.where(visible, shifted - finite_peak, -numpy.inf))
    total = powers.sum(axis=axis, keepdims=True)
    if sink is not None:
        total = total + numpy.exp(sink - finite_peak)
    weights = powers / numpy.where(total == 0, 1, total)
    # A weight is off by the errors of its own score and of the others', beside the sum's own.
    own = numpy.where(visible, scores.error, 0).max(axis=axis, keepdims=True, initial=0)
    score_error = own + sink_error
    spread = numpy.where(visible & numpy.isfinite(peak), numpy.abs(shifted - peak), 0)
    terms = scores.value.shape[axis] + FUNCTION_ULPS
    growth = numpy.expm1(2 * score_error) + roundoff.summed * (
        terms + 2 * numpy.nan_to_num(spread))
    if axis != -1:
        nothing = numpy.zeros(weights.shape[:-1])
        return Bounded(weights, weights * growth), Bounded(nothing, nothing)
    with numpy.errstate(divide="ignore"):
        log_sum_exp = (peak + numpy.log(total))[..., 0]
    magnitude = numpy.abs(numpy.nan_to_num(peak, neginf=0))
    error = score_error + roundoff.summed * (terms + 2 * magnitude)
    return Bounded(weights, weights * growth), Bounded(log_sum_exp, error[..., 0])


def _final_weights(options, probabilities, visible, roundoff):
    value, error = probabilities.value, probabilities.error
    policy = options.fully_masked
    if policy in (options_pb2.FULLY_MASKED_POLICY_NAN, options_pb2.FULLY_MASKED_POLICY_UNIFORM):
        if not options.HasField("sinks"):
            sees_nothing = ~visible.any(axis=-1, keepdims=True)
            nan = policy == options_pb2.FULLY_MASKED_POLICY_NAN
            stead = numpy.nan if nan else 1 / max(value.shape[-1], 1)
            value = numpy.where(sees_nothing, stead, value)
    weights = Bounded(value, error + roundoff.summed * numpy.abs(numpy.nan_to_num(value)))
    if options.HasField("head_mask"):
        factor = to_array(options.head_mask)[:, None, None]
        weights = roundoff.multiply(weights, factor)
        # A head that is switched off is 0, be it NaN otherwise.
        weights = Bounded(*(
            numpy.where(factor == 0, 0, each) for each in (weights.value, weights.error)))
    return weights


def _entropy(probabilities, roundoff):
    value = probabilities.value
    logarithms = numpy.log(numpy.where(value > 0, value, 1))
    error = (probabilities.error + FUNCTION_ULPS * roundoff.summed * value) * (
        numpy.abs(logarithms) + 1)
    terms = numpy.abs(value * logarithms)
    sums = (value.shape[-1] + 2) * roundoff.summed * terms.sum(axis=-1)
    return Bounded(-(value * logarithms).sum(axis=-1), error.sum(axis=-1) + sums)


def _key_mass(probabilities, roundoff):
    mass = probabilities.value.sum(axis=-2)
    sums = (probabilities.value.shape[-2] + 2) * roundoff.summed * mass
    return Bounded(mass, probabilities.error.sum(axis=-2) + sums)
