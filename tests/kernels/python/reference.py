"""Attention in float64 NumPy, and how far a computation in another type may be from it."""

import numpy

UNIT = {  # half the distance from 1 to the next number
    numpy.dtype("float64"): 2.0**-53,
    numpy.dtype("float32"): 2.0**-24,
    numpy.dtype("float16"): 2.0**-11,
}


def normals(seed, *shape, dtype="float32"):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(dtype)


def operands(*, heads=4, key_value_heads=None, queries=37, keys=53, width=24, value_width=None,
             batch=2, dtype="float32"):
    """Queries, keys and values of a problem with no two extents alike."""
    key_value_heads = key_value_heads or heads
    return (normals(1, batch, heads, queries, width, dtype=dtype),
            normals(2, batch, key_value_heads, keys, width, dtype=dtype),
            normals(3, batch, key_value_heads, keys, value_width or width, dtype=dtype))


def attention(query, key, value, visible=True, bias=0.0, scale=None):
    """The output and the weights, in float64, of operands of rank four."""
    query, key, value = (array.astype("float64") for array in (query, key, value))
    group = query.shape[1] // key.shape[1]
    key, value = (array.repeat(group, axis=1) for array in (key, value))
    scale = query.shape[-1]**-0.5 if scale is None else scale
    scores = scale * (query @ key.swapaxes(-1, -2)) + bias
    scores = numpy.where(numpy.broadcast_to(visible, scores.shape), scores, -numpy.inf)
    largest = scores.max(axis=-1, keepdims=True)
    weights = numpy.exp(scores - numpy.where(numpy.isfinite(largest), largest, 0.0))
    total = weights.sum(axis=-1, keepdims=True)
    weights /= numpy.where(total == 0, 1.0, total)
    return weights @ value, weights


def causal(queries, keys, offset=0):
    """Which keys each query sees."""
    return numpy.arange(keys) <= numpy.arange(queries)[:, None] + offset


def tolerance(query, key, value, unit=None):
    """An absolute bound on the error of an output element of N(0, 1) operands.

    A score is a sum of `width` products, off by at most width units of the sum of their sizes; the
    weights inherit that as a relative error, twice (numerator and denominator); the output adds a
    sum over the keys. Sizes are bounded by the operands' own largest rows. One rounding for
    each stored result.
    """
    unit = unit or UNIT[query.dtype]
    width, keys = query.shape[-1], key.shape[-2]
    norm = [numpy.linalg.norm(array.astype("float64"), axis=-1).max() for array in (query, key)]
    score_error = (width + 4) * unit * norm[0] * norm[1] * width**-0.5
    largest = numpy.abs(value.astype("float64")).max()
    return largest * (2 * score_error + (keys + 8) * min(unit, 2.0**-24) + 2 * unit)
