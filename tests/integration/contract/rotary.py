"""Rotary embeddings: inside attention, by positions, and as an operation of their own."""

import numpy

from contract.bounded import Bounded, Roundoff, exact
from attention.v1 import options_pb2
from tensors import to_array


_ANGLE_ROUNDINGS = 8  # of a power, two products and a few sums


def rotate(rows, positions, rotary, roundoff):
    """Turns [batch, heads, rows, width] by `positions` [batch, rows] and the message's angles."""
    width = rotary.width or rows.value.shape[-1]
    base = rotary.base if rotary.HasField("base") else 10000.0
    scale = rotary.position_scale if rotary.HasField("position_scale") else 1.0
    rates = base ** (-2 * numpy.arange(width // 2) / width)
    angles = (positions[:, None, :, None] * scale) * rates
    # An angle is a product of three numbers of float64, whatever the rows are.
    turned = _turn(rows, numpy.cos(angles), numpy.sin(angles), rotary.interleaved, roundoff)
    largest = numpy.abs(rows.value).max(axis=-1, keepdims=True, initial=0)
    turned.error[..., :width] += (
        _ANGLE_ROUNDINGS * 2.0**-53 * numpy.abs(angles).max(axis=-1, keepdims=True) * 2 * largest)
    return turned


def apply_rotary_embedding(request):
    """The Bounded output of an ApplyRotaryEmbeddingRequest."""
    roundoff = Roundoff.of(request.input.data_type, options_pb2.AttentionOptions())
    rows = to_array(request.input)
    packed = rows.ndim == 3
    if packed:
        batch, sequence, total = rows.shape
        rows = rows.reshape(batch, sequence, request.head_count, -1).swapaxes(1, 2)
    cos, sin = to_array(request.cos), to_array(request.sin)
    if request.HasField("position_ids"):
        ids = to_array(request.position_ids).astype("i8")
        cos, sin = cos[ids], sin[ids]
    turned = _turn(exact(rows), cos[:, None], sin[:, None], request.interleaved, roundoff)
    if packed:
        turned = turned.map(lambda a: a.swapaxes(1, 2).reshape(batch, sequence, total))
    return turned


def _turn(rows, cos, sin, interleaved, roundoff):
    half = cos.shape[-1]
    width = 2 * half
    x_columns = slice(0, width, 2) if interleaved else slice(0, half)
    y_columns = slice(1, width, 2) if interleaved else slice(half, width)
    x, y = rows.value[..., x_columns], rows.value[..., y_columns]
    turned = rows.value.copy()
    turned[..., x_columns] = cos * x - sin * y
    turned[..., y_columns] = sin * x + cos * y
    # Cosines, sines, two products and a sum, each rounded once.
    error = numpy.zeros_like(turned)
    spread = 4 * roundoff.summed * (numpy.abs(cos * x) + numpy.abs(sin * y))
    error[..., x_columns] = spread
    error[..., y_columns] = 4 * roundoff.summed * (numpy.abs(sin * x) + numpy.abs(cos * y))
    # A cosine near 0 is as exact as the numbers around 1 that it belongs to.
    reach = roundoff.summed * (numpy.abs(x) + numpy.abs(y))
    error[..., x_columns] += reach
    error[..., y_columns] += reach
    # Columns that are not turned are copied.
    stored = roundoff.store(Bounded(turned, error))
    stored.error[..., width:] = 0
    stored.error = stored.error + _carried(rows.error)
    return stored


def _carried(error):
    """What was off before: a turn mixes two numbers, neither by more than 1."""
    return 2 * error.max(axis=-1, keepdims=True, initial=0) * numpy.ones_like(error)
