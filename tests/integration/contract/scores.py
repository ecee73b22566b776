"""From queries and keys to what is normalized."""

import dataclasses

import numpy

from contract.bounded import FUNCTION_ULPS, Bounded, exact
from contract.visibility import positions_of, visible_pairs, whole_mask
from tensors import to_array


@dataclasses.dataclass
class Scores:
    raw: Bounded
    capped: Bounded
    normalized: Bounded  # anything where hidden
    visible: numpy.ndarray


def scores_of(options, query, key, roundoff):
    """Of [batch, heads, rows, width], keys repeated for each head."""
    raw = _raw_scores(options, query, key, roundoff)
    capped = _capped(options, raw, roundoff)
    shape = raw.value.shape
    visible = visible_pairs(options, shape)
    masked = capped
    if options.HasField("multiplicative_mask"):
        factor = whole_mask(options.multiplicative_mask, options, shape, hidden=0)
        masked = roundoff.multiply(masked, factor)
    for bias in _relative_biases(options, shape, roundoff):
        masked = roundoff.add(masked, bias)
    if options.HasField("additive_mask"):
        term = whole_mask(options.additive_mask, options, shape, hidden=-numpy.inf)
        visible &= term != -numpy.inf
        masked = roundoff.add(masked, exact(numpy.where(visible, term, 0)))
    if options.HasField("temperature"):
        temperature = to_array(options.temperature)[:, None, None]
        masked = roundoff.multiply(masked, 1 / temperature)
    return Scores(raw, capped, masked, visible)


def _raw_scores(options, query, key, roundoff):
    default_scale = 1.0
    if options.WhichOneof("score") == "general_score":
        weight = exact(to_array(options.general_score.weight))
        score = roundoff.matmul(roundoff.matmul(query, weight), _transposed(key))
    elif options.WhichOneof("score") == "additive_score":
        score = _additive_score(options.additive_score, query, key, roundoff)
    else:
        default_scale = query.value.shape[-1] ** -0.5
        score = roundoff.matmul(query, _transposed(key))
    return roundoff.multiply(score, options.scale if options.HasField("scale") else default_scale)


def _transposed(operand):
    return operand.map(lambda a: a.swapaxes(-1, -2))


def _additive_score(parameters, query, key, roundoff):
    rows = roundoff.matmul(query, exact(to_array(parameters.query_weight)))
    columns = roundoff.matmul(key, exact(to_array(parameters.key_weight)))
    total = rows.value[..., :, None, :] + columns.value[..., None, :, :]
    error = rows.error[..., :, None, :] + columns.error[..., None, :, :]
    hidden = numpy.tanh(total)  # of slope at most 1, so no error grows
    error = error + roundoff.summed * (numpy.abs(total) + FUNCTION_ULPS * numpy.abs(hidden))
    vector = exact(to_array(parameters.vector)[:, None])
    return roundoff.matmul(Bounded(hidden, error), vector).map(lambda a: a[..., 0])


def _capped(options, raw, roundoff):
    if not options.HasField("softcap"):
        return raw
    cap = options.softcap
    value = cap * numpy.tanh(raw.value / cap)  # of slope at most 1
    growth = roundoff.summed * (2 * numpy.abs(raw.value) + FUNCTION_ULPS * numpy.abs(value))
    return Bounded(value, raw.error + growth)


def _relative_biases(options, shape, roundoff):
    """Each [batch, heads, queries, keys]."""
    distances = numpy.arange(shape[-1]) - positions_of(options, shape)[:, None, :, None]
    if options.HasField("alibi"):
        slopes = to_array(options.alibi.slopes)[:, None, None]
        reach = -numpy.abs(distances) if options.alibi.symmetric else distances
        bias = slopes * reach
        yield Bounded(bias, 2 * roundoff.summed * numpy.abs(bias))
    if options.HasField("relative_position_bias"):
        message = options.relative_position_bias
        table = to_array(message.table)
        buckets = _buckets(
            distances, table.shape[0], message.maximum_distance or 128, message.bidirectional)
        bias = table[buckets[:, 0]].transpose(0, 3, 1, 2)
        yield Bounded(bias, roundoff.summed * numpy.abs(bias))


def _buckets(distances, count, maximum_distance, bidirectional):
    first = 0
    if bidirectional:
        count //= 2
        first = numpy.where(distances > 0, count, 0)
        reach = numpy.abs(distances)
    else:
        reach = numpy.maximum(-distances, 0)
    own = count // 2  # distances that have a bucket of their own
    steps = numpy.log(numpy.maximum(reach, 1) / own) / numpy.log(maximum_distance / own)
    shared = own + (steps * (count - own)).astype("i8")
    return first + numpy.where(reach < own, reach, numpy.minimum(shared, count - 1))
