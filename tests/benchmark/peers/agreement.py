"""Whether a contestant's numbers are right: against float64, in a bound that its type implies."""

import numpy

_SAMPLE_ROWS = 8

# Half the distance from 1 to the next number: of what is stored.
_UNIT = {"f32": 2.0**-24, "bf16": 2.0**-9}


def bound(data_type, width):
    """On the relative error in the Frobenius norm, for N(0, 1) operands.

    Scores are sums of `width` products of the operands, exact in bfloat16 and in f32 off by a unit
    each, in a random walk. Then each of scores, weights and outputs may be stored in the type:
    three roundings, the first of numbers of up to about 4, which makes 8 together with one to
    spare. Exponentials of fast math are off by up to 20 units of f32.
    """
    f32 = _UNIT["f32"]
    return 8 * _UNIT[data_type] + (2 * width**0.5 + 20) * f32


def relative_error(got, want):
    return float(numpy.linalg.norm(got - want) / numpy.linalg.norm(want))


def sample_rows(count):
    """A few rows, the first and the last among them."""
    return numpy.unique(numpy.linspace(0, count - 1, _SAMPLE_ROWS).astype(int))


def reference(case, operands):
    """Rows sample_rows(queries) of every head, in float64."""
    rows = sample_rows(case.queries)
    query = operands.query.values()[:, :, rows].astype(numpy.float64)
    key, value = (numpy.repeat(each.values().astype(numpy.float64),
                               case.query_shape[1] // case.key_shape[1], axis=1)
                  for each in (operands.key, operands.value))
    scores = query @ key.swapaxes(-1, -2) * case.width**-0.5
    if case.causal:
        scores[..., numpy.arange(case.key_shape[2]) > rows[:, None]] = -numpy.inf
    weights = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights @ value / weights.sum(axis=-1, keepdims=True)


def error_of(case, prepared, want):
    """The relative error of a contestant's answer."""
    got = prepared.output(prepared.run())
    return relative_error(got[:, :, sample_rows(case.queries)].astype(numpy.float64), want)


def layer_reference(layer, operands):
    """The whole output of a layer, in float64."""
    embeddings, in_weight, in_bias, out_weight, out_bias = (
        each.values().astype(numpy.float64) for each in (
            operands.embeddings, operands.in_weight, operands.in_bias, operands.out_weight,
            operands.out_bias))
    projected = embeddings @ in_weight.T + in_bias
    query, key, value = (
        part.reshape(layer.batch, layer.tokens, layer.heads, -1).swapaxes(1, 2)
        for part in numpy.split(projected, 3, axis=-1))
    scores = query @ key.swapaxes(-1, -2) * query.shape[-1]**-0.5
    weights = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
    attended = weights @ value / weights.sum(axis=-1, keepdims=True)
    attended = attended.swapaxes(1, 2).reshape(layer.batch, layer.tokens, layer.width)
    return attended @ out_weight.T + out_bias


def layer_error_of(prepared, want):
    return relative_error(prepared.output(prepared.run()).astype(numpy.float64), want)
