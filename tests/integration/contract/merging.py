"""Joining attention over parts of the keys."""

import numpy

from attention.v1 import options_pb2
from contract.bounded import FUNCTION_ULPS, Bounded, Roundoff
from tensors import to_array


def merged_states(request):
    """The Bounded output and log_sum_exp of a MergeAttentionStatesRequest."""
    roundoff = Roundoff.of(
        request.states[0].output.data_type, options_pb2.AttentionOptions())
    log_sums = numpy.stack([to_array(each.log_sum_exp) for each in request.states])
    outputs = numpy.stack([to_array(each.output) for each in request.states])
    peak = log_sums.max(axis=0)
    steady = numpy.where(numpy.isfinite(peak), peak, 0)
    powers = numpy.exp(log_sums - steady)
    total = powers.sum(axis=0)
    shares = powers / numpy.where(total == 0, 1, total)
    parts = numpy.where(shares[..., None] > 0, shares[..., None] * outputs, 0)
    # A share is off by the rounding of its exponent, the sum and a few functions.
    spread = numpy.where(numpy.isfinite(log_sums), numpy.abs(log_sums - steady), 0)
    growth = roundoff.summed * (2 * spread + len(log_sums) + 2 * FUNCTION_ULPS)
    error = (numpy.abs(parts) * growth[..., None]).sum(axis=0)
    with numpy.errstate(divide="ignore"):
        log_sum_exp = peak + numpy.log(numpy.where(total == 0, 1, total))
    own = roundoff.summed * (
        len(log_sums) + FUNCTION_ULPS + 2 * numpy.abs(numpy.nan_to_num(log_sum_exp, neginf=0)))
    return {
        "output": roundoff.store(Bounded(parts.sum(axis=0), error)),
        "log_sum_exp": roundoff.store_statistic(Bounded(log_sum_exp, own)),
    }
