"""Precisions of float32 products: each within its bound, and the report says what ran."""

import unittest

import numpy

import attention_kernels
from reference import attention, operands

attend = attention_kernels.scaled_dot_product_attention

# Bounds on the relative error in the Frobenius norm for N(0, 1) operands. A weight's relative error
# is its score's absolute one: scores are sums of `width` products of unit size, scaled back to unit
# size, so each is off by about the unit of the precision; 8 leaves room for the rare large ones.
BOUNDS = {
    "f32": 8 * 2.0**-24,
    "bf16_x6": 8 * 2.0**-24,
    "bf16_x3": 2e-5,
    "bf16": 8 * 2.0**-8,
    "f32_grade_fastest": 8 * 2.0**-24,
}


class PrecisionTest(unittest.TestCase):
    def test_each_is_within_its_bound_and_reported(self):
        arrays = operands(queries=128, keys=192, width=64)
        want, _ = attention(*arrays)
        for precision, bound in BOUNDS.items():
            with self.subTest(precision=precision):
                got, report = attend(*arrays, precision=precision, return_report=True)
                error = numpy.linalg.norm(got - want) / numpy.linalg.norm(want)
                self.assertLess(error, bound)
                # Without BF16 tiles every product is in f32.
                self.assertIn(report.precision, ("f32", precision)
                              if precision != "f32_grade_fastest" else ("f32", "bf16_x6"))

    def test_float32_is_in_float32_unless_told_otherwise(self):
        arrays = operands()
        want = attend(*arrays)
        for precision in (None, "f32"):
            numpy.testing.assert_array_equal(attend(*arrays, precision=precision), want)

    def test_is_refused_for_other_types_as_by_the_server(self):
        for dtype in ("float16", "float64"):
            arrays = operands(dtype=dtype)
            attend(*arrays, precision=None)
            for precision in BOUNDS:
                with self.subTest(dtype=dtype, precision=precision), self.assertRaisesRegex(
                        ValueError, f"^precision: got {precision}, want none where query.dtype is "
                                    f"{dtype}"):
                    attend(*arrays, precision=precision)


if __name__ == "__main__":
    unittest.main()
