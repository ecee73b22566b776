"""What hides keys: boolean and additive masks, causality, lengths, and all of them together."""

import unittest

import numpy

import attention_kernels
from reference import attention, causal, normals, operands, tolerance

attend = attention_kernels.scaled_dot_product_attention

MASK_SHAPES = ((2, 4, 37, 53), (2, 1, 1, 53), (1, 4, 37, 1), (4, 1, 53), (37, 53), (53,), (1,))


class MaskTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.arrays = operands()
        cls.tolerance = tolerance(*cls.arrays)

    def assert_is(self, got, *, visible=True, bias=0.0, scale=None):
        want, _ = attention(*self.arrays, visible=visible, bias=bias, scale=scale)
        self.assertLess(numpy.abs(got - want).max(), self.tolerance)

    def test_boolean_masks_broadcast(self):
        for shape in MASK_SHAPES:
            with self.subTest(shape=shape):
                mask = normals(7, *shape) > -0.5
                self.assert_is(attend(*self.arrays, attn_mask=mask), visible=mask)

    def test_additive_masks_broadcast_and_may_have_any_type(self):
        for shape in MASK_SHAPES:
            for dtype in ("float32", "float64", "float16"):
                with self.subTest(shape=shape, dtype=dtype):
                    mask = normals(8, *shape, dtype=dtype)
                    mask[mask < -1] = -numpy.inf
                    self.assert_is(attend(*self.arrays, attn_mask=mask),
                                   bias=mask.astype("float64"))

    def test_masks_may_have_any_strides(self):
        for name, shape, view in (
                ("transposed", (53, 37), lambda array: array.T),
                ("heads last", (37, 53, 4), lambda array: array.transpose(2, 0, 1)),
                ("every second", (37, 106), lambda array: array[:, ::2]),
                ("every third", (4, 37, 159), lambda array: array[..., 1::3]),
                ("backwards", (37, 53), lambda array: array[::-1, ::-1])):
            numbers = normals(7, *shape)
            additive, visible = view(numbers), view(numbers > -0.5)
            with self.subTest(name):
                self.assertNotEqual(visible.strides[-1], 1)
                self.assert_is(attend(*self.arrays, attn_mask=additive), bias=additive)
                self.assert_is(attend(*self.arrays, attn_mask=visible), visible=visible)

    def test_causality_is_aligned_at_the_top_left_as_pytorchs(self):
        self.assert_is(attend(*self.arrays, is_causal=True), visible=causal(37, 53))

    def test_a_causal_offset_moves_the_diagonal(self):
        for offset in (-5, 0, 53 - 37, 60):
            with self.subTest(offset=offset):
                self.assert_is(attend(*self.arrays, causal_offset=offset),
                               visible=causal(37, 53, offset))

    def test_keys_after_a_length_are_padding(self):
        for lengths in ([20, 53], (0, 1), numpy.array([7, 9])):
            with self.subTest(lengths=lengths):
                visible = numpy.arange(53) < numpy.reshape(lengths, (2, 1, 1, 1))
                self.assert_is(attend(*self.arrays, key_lengths=lengths), visible=visible)

    def test_all_of_them_together(self):
        mask = normals(7, 4, 37, 53) > -0.5
        got = attend(*self.arrays, attn_mask=mask, causal_offset=10, key_lengths=[30, 50],
                     scale=0.3)
        lengths = numpy.arange(53) < numpy.reshape([30, 50], (2, 1, 1, 1))
        self.assert_is(got, visible=mask & causal(37, 53, 10) & lengths, scale=0.3)

    def test_what_is_hidden_reaches_nothing(self):
        query, key, value = (array.copy() for array in self.arrays)
        want = attend(query, key, value, key_lengths=[40, 40])
        key[:, :, 40:] = numpy.nan
        value[:, :, 40:] = numpy.inf
        numpy.testing.assert_array_equal(attend(query, key, value, key_lengths=[40, 40]), want)

    def test_a_row_that_sees_nothing_is_zero(self):
        mask = numpy.ones((37, 53), dtype=bool)
        mask[5] = False
        got = attend(*self.arrays, attn_mask=mask)
        self.assertTrue((got[:, :, 5] == 0).all())
        self.assertTrue((got[:, :, 4] != 0).all())

    def test_scale_may_be_zero_or_negative(self):
        for scale in (0.0, -0.5):
            with self.subTest(scale=scale):
                self.assert_is(attend(*self.arrays, scale=scale), scale=scale)


if __name__ == "__main__":
    unittest.main()
