"""Whether a response is what the contract says: every tensor that was asked for, and no other."""

import numpy

from attention.v1 import options_pb2
from contract.answers import answer, permitted_precisions
from contract.bounded import exact
from tensors import to_array

_SCORES = {
    options_pb2.SCORES_KIND_RAW: "raw_scores",
    options_pb2.SCORES_KIND_CAPPED: "capped_scores",
    options_pb2.SCORES_KIND_MASKED: "masked_scores",
}


def disagreements(request, response, expected=None):
    """One sentence for each part of the response that is not as `expected`, by default the
    contract's own answer."""
    expected = expected or answer(request)
    found = []
    for name, wanted in asked_for(request, expected).items():
        found += _presence(response, name, wanted is not None)
        if wanted is not None and response.HasField(name):
            found += differences(name, getattr(response, name), wanted)
    found += _top_weights(request.options.return_top_weights, response, expected)
    precision, permitted = response.execution.precision, permitted_precisions(request)
    if precision not in permitted:
        found.append(f"execution.precision: got {precision}, want one of {sorted(permitted)}")
    return found


def asked_for(request, expected):
    """What each tensor of the response should be; None where it should be absent."""
    options = request.options
    asked = {"output": expected.output, "scores": None}
    if options.return_scores:
        asked["scores"] = getattr(expected, _SCORES[options.return_scores])
    for name in ("weights", "log_sum_exp", "entropy", "key_mass", "maximum_weight"):
        asked[name] = getattr(expected, name) if getattr(options, f"return_{name}") else None
    for name in ("present_key", "present_value"):
        present = exact(getattr(expected, name))
        asked[name] = present if getattr(request, "return_present", False) else None
    return asked


def _presence(response, name, wanted):
    if response.HasField(name) == wanted:
        return []
    return [f"{name}: {'not answered' if wanted else 'not asked for, but answered'}"]


def differences(name, tensor, expected):
    """What is wrong with a tensor that should be a Bounded array; nothing or one sentence."""
    got = to_array(tensor)
    # Float64 written as `floats` is rounded once more.
    written = 2.0**-24 * numpy.abs(got) if tensor.floats else 0
    return array_differences(name, got, expected, written)


def array_differences(name, got, expected, slack=0):
    if got.shape != expected.value.shape:
        return [f"{name}: got shape {got.shape}, want {expected.value.shape}"]
    finite = numpy.isfinite(expected.value)
    if not numpy.array_equal(got[~finite], expected.value[~finite], equal_nan=True):
        return [f"{name}: not infinite or NaN where it should be"]
    difference = numpy.abs(got - numpy.where(finite, expected.value, 0))
    bound = expected.error + slack
    off = finite & ~(difference <= bound)  # true for NaN
    if not off.any():
        return []
    with numpy.errstate(divide="ignore"):
        excess = numpy.where(off, difference / bound, 0)
    place = numpy.unravel_index(numpy.argmax(numpy.nan_to_num(excess, nan=numpy.inf)), got.shape)
    return [f"{name}{[int(each) for each in place]}: got {got[place]}, want "
            f"{expected.value[place]}, off by {difference[place]:.3g}, allowed "
            f"{numpy.broadcast_to(bound, got.shape)[place]:.3g}; {numpy.count_nonzero(off)} of "
            f"{off.size} are off"]


def _top_weights(count, response, expected):
    found = _presence(response, "top_weights", count > 0)
    found += _presence(response, "top_keys", count > 0)
    if found or count == 0:
        return found
    weights, keys = to_array(response.top_weights), to_array(response.top_keys).astype(int)
    probabilities = expected.probabilities
    shape = (*probabilities.value.shape[:-1], count)
    if weights.shape != shape or keys.shape != shape:
        return [f"top_weights: got shapes {weights.shape} and {keys.shape}, want {shape}"]
    for row in numpy.ndindex(shape[:-1]):
        found += _top_row(
            f"top_weights{list(row)}", weights[row], keys[row], probabilities.value[row],
            probabilities.error[row], expected.visible[row])
        if found:
            break
    return found


def _top_row(name, weights, keys, true_weights, errors, visible):
    count = len(weights)
    slack = errors.max(initial=0)
    largest = numpy.zeros(count)
    largest[:len(true_weights)] = numpy.sort(true_weights)[::-1][:count]
    taken = keys[keys >= 0]
    if (numpy.abs(weights - largest) > slack).any():
        return [f"{name}: got {weights}, want {largest} within {slack:.3g}"]
    if len(set(taken)) != len(taken) or (taken >= len(true_weights)).any():
        return [f"{name}: got keys {keys}, want each once"]
    if not visible[taken].all():
        return [f"{name}: got keys {keys}, of which some are hidden"]
    if (numpy.abs(weights[keys >= 0] - true_weights[taken]) > errors[taken]).any():
        return [f"{name}: got {weights} of keys {keys}, which weigh {true_weights[taken]}"]
    if (weights[keys < 0] != 0).any() or (numpy.diff((keys < 0).astype(int)) < 0).any():
        return [f"{name}: got {weights} of keys {keys}, want zeros at the end where keys run out"]
    descends = numpy.diff(weights) < 0
    ascending_keys = (numpy.diff(keys) > 0) | (keys[1:] < 0)
    if not (descends | ((numpy.diff(weights) == 0) & ascending_keys)).all():
        return [f"{name}: got {weights} of keys {keys}, want the smaller key first among equals"]
    return []
