"""Arrays with a bound on the error that a computation of another order or a lower precision may
have made so far, by the usual forward analysis (Higham, "Accuracy and Stability of Numerical
Algorithms", chapter 3): a sum of n products is off by at most (n + 2) u times the sum of the
absolute products, a stored number by u times itself.
"""

import dataclasses

import numpy

from attention.v1 import options_pb2
from attention.v1 import tensor_pb2
from tensors import BF16, F16, F32, F64

# The unit roundoff of a stored number, and of the sums that lead to it.
_STORED = {F32: 2.0**-24, F16: 2.0**-11, BF16: 2.0**-8, F64: 2.0**-53}
_SUMMED = {F32: 2.0**-24, F16: 2.0**-24, BF16: 2.0**-24, F64: 2.0**-53}
_SMALLEST = {F32: 2.0**-126, F16: 2.0**-24, BF16: 2.0**-126, F64: 2.0**-1022}

# How far a single product of F32 numbers may be off, where less than f32 is asked for.
_PRODUCT = {options_pb2.PRECISION_BF16_X3: 2.0**-14, options_pb2.PRECISION_BF16: 2.0**-7}

# exp, ln, tanh and a division, each within a few units.
FUNCTION_ULPS = 8


@dataclasses.dataclass
class Bounded:
    value: numpy.ndarray
    error: numpy.ndarray

    def map(self, function):
        """Applies a rearrangement of axes."""
        return Bounded(function(self.value), function(self.error))


def exact(array):
    return Bounded(array, numpy.zeros_like(array))


def concatenate(parts, axis):
    return Bounded(
        numpy.concatenate([each.value for each in parts], axis),
        numpy.concatenate([each.error for each in parts], axis))


@dataclasses.dataclass
class Roundoff:
    stored: float
    summed: float
    smallest: float
    product: float
    statistic: float

    @classmethod
    def of(cls, data_type, options):
        data_type = data_type or F32
        in_float64 = options.softmax_type == tensor_pb2.DATA_TYPE_F64
        return cls(
            _STORED[data_type], _SUMMED[F64 if in_float64 else data_type], _SMALLEST[data_type],
            _PRODUCT.get(options.precision, 0.0), _STORED[F64 if data_type == F64 else F32])

    def store(self, bounded):
        return self._store(bounded, self.stored)

    def store_statistic(self, bounded):
        return self._store(bounded, self.statistic)

    def _store(self, bounded, unit):
        error = bounded.error + unit * numpy.abs(bounded.value) + self.smallest
        return Bounded(bounded.value, error)

    def matmul(self, left, right):
        """left right, summed in the accumulator's precision and not yet stored."""
        growth = (left.value.shape[-1] + 2) * self.summed + self.product
        error = (
            (left.error + growth * numpy.abs(left.value)) @ numpy.abs(right.value)
            + (numpy.abs(left.value) + left.error) @ right.error)
        return Bounded(left.value @ right.value, error)

    def add(self, left, right):
        value = left.value + right.value
        return Bounded(value, left.error + right.error + self.summed * numpy.abs(value))

    def multiply(self, left, factor):
        """A product with numbers that are exact but for their own rounding."""
        value = left.value * factor
        error = left.error * numpy.abs(factor) + 2 * self.summed * numpy.abs(value)
        return Bounded(value, error)
