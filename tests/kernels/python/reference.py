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


def scores(query, key, visible=True, bias=0.0, scale=None, softcap=None):
    """What is normalized, in float64, of operands of rank four."""
    query, key = (array.astype("float64") for array in (query, key))
    key = key.repeat(query.shape[1] // key.shape[1], axis=1)
    scale = query.shape[-1]**-0.5 if scale is None else scale
    raw = scale * (query @ key.swapaxes(-1, -2))
    if softcap is not None:
        raw = softcap * numpy.tanh(raw / softcap)
    return numpy.where(numpy.broadcast_to(visible, raw.shape), raw + bias, -numpy.inf)


def log_sum_exp(of):
    """Over the last axis; -infinity where all is."""
    largest = of.max(axis=-1)
    largest = numpy.where(numpy.isfinite(largest), largest, 0.0)
    with numpy.errstate(divide="ignore"):
        return largest + numpy.log(numpy.exp(of - largest[..., None]).sum(axis=-1))


def attention(query, key, value, sinks=None, **options):
    """The output and the weights, in float64, of operands of rank four."""
    normalized = scores(query, key, **options)
    total = log_sum_exp(normalized)[..., None]
    if sinks is not None:
        total = numpy.logaddexp(total, numpy.reshape(sinks, (-1, 1, 1)))
    weights = numpy.exp(normalized - numpy.where(numpy.isfinite(total), total, 0.0))
    value = value.astype("float64").repeat(query.shape[1] // value.shape[1], axis=1)
    return weights @ value, weights


def causal(queries, keys, offset=0):
    """Which keys each query sees."""
    return numpy.arange(keys) <= numpy.arange(queries)[:, None] + offset


def window(queries, keys, left=None, right=None, offset=0):
    """Which keys each query sees."""
    distance = numpy.arange(keys) - numpy.arange(queries)[:, None] - offset
    return ((distance >= (-numpy.inf if left is None else -left)) &
            (distance <= (numpy.inf if right is None else right)))


def score_tolerance(query, key, unit):
    """An absolute bound on the error of a score at the default scale.

    A score is a sum of `width` products, off by at most width units of the sum of their sizes,
    which are bounded by the operands' own largest rows.
    """
    width = query.shape[-1]
    norm = [numpy.linalg.norm(array.astype("float64"), axis=-1).max() for array in (query, key)]
    return (width + 4) * unit * norm[0] * norm[1] * width**-0.5


def tolerance(query, key, value, unit=None):
    """An absolute bound on the error of an output element of N(0, 1) operands.

    The weights inherit the scores' error as a relative one, twice (numerator and denominator); the
    output adds a sum over the keys. One rounding for each stored result.
    """
    unit = unit or UNIT[query.dtype]
    largest = numpy.abs(value.astype("float64")).max()
    return largest * (2 * score_tolerance(query, key, unit) +
                      (key.shape[-2] + 8) * min(unit, 2.0**-24) + 2 * unit)
