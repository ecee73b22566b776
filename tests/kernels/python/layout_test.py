"""Shapes and strides: missing axes, views into other arrays, grouped heads, empty ones."""

import unittest

import numpy

import attention_kernels
from reference import attention, normals, operands, tolerance

attend = attention_kernels.scaled_dot_product_attention


def rearranged(array, axes):
    """The same numbers with the axes in another order in memory."""
    back = numpy.argsort(axes)
    return numpy.ascontiguousarray(array.transpose(axes)).transpose(back)


class LayoutTest(unittest.TestCase):
    def assert_attends(self, query, key, value):
        got = attend(query, key, value)
        want, _ = attention(query, key, value)
        self.assertEqual(got.shape, want.shape)
        self.assertLess(numpy.abs(got - want).max(), tolerance(query, key, value))

    def test_heads_may_share_keys_and_values(self):
        for key_value_heads in (1, 2, 4):
            with self.subTest(key_value_heads=key_value_heads):
                self.assert_attends(*operands(key_value_heads=key_value_heads))

    def test_unshared_heads_may_be_asked_for(self):
        for key_value_heads in (1, 4):  # one is broadcast, in PyTorch as well
            arrays = operands(key_value_heads=key_value_heads)
            want = attend(*arrays)
            for enable_gqa in (None, True, False):
                numpy.testing.assert_array_equal(attend(*arrays, enable_gqa=enable_gqa), want)
        query, key, value = operands(key_value_heads=2)
        numpy.testing.assert_array_equal(attend(query, key, value, enable_gqa=True),
                                         attend(query, key, value))
        for arrays in ((query, key, value), (query[0], key[0], value[0])):
            with self.assertRaisesRegex(
                    ValueError, "^enable_gqa: got False with 4 heads of query and 2 of key"):
                attend(*arrays, enable_gqa=False)

    def test_values_may_have_a_width_of_their_own(self):
        self.assert_attends(*operands(value_width=40))

    def test_leading_axes_may_be_left_out(self):
        query, key, value = operands(batch=1, heads=1)
        want = attend(query, key, value)
        numpy.testing.assert_array_equal(attend(query[0], key[0], value[0]), want[0], strict=True)
        numpy.testing.assert_array_equal(
            attend(query[0, 0], key[0, 0], value[0, 0]), want[0, 0], strict=True)

    def test_strides_do_not_change_a_bit(self):
        query, key, value = operands()
        want = attend(query, key, value)
        for axes in ((0, 2, 1, 3), (2, 0, 1, 3), (1, 2, 0, 3)):
            views = [rearranged(array, axes) for array in (query, key, value)]
            with self.subTest(axes=axes):
                self.assertFalse(views[0].flags.c_contiguous)
                numpy.testing.assert_array_equal(attend(*views), want)
                out = rearranged(numpy.zeros_like(query), axes)
                attend(*views, out=out)
                numpy.testing.assert_array_equal(out, want)

    def test_operands_may_be_interleaved_in_one_array(self):
        packed = normals(5, 2, 30, 3, 4, 16)  # batch, token, which operand, head, width
        views = [packed[:, :, index].swapaxes(1, 2) for index in range(3)]
        copies = [numpy.ascontiguousarray(view) for view in views]
        numpy.testing.assert_array_equal(attend(*views), attend(*copies))

    def test_axes_may_run_backwards(self):
        query, key, value = operands()
        copies = [numpy.ascontiguousarray(array[:, ::-1, ::-1]) for array in (query, key, value)]
        views = [array[:, ::-1, ::-1] for array in (query, key, value)]
        numpy.testing.assert_array_equal(attend(*views), attend(*copies))

    def test_a_broadcast_batch_is_read_in_place(self):
        query, key, value = operands()
        shared = [numpy.broadcast_to(array[:1], array.shape) for array in (key, value)]
        copies = [array.copy() for array in shared]
        numpy.testing.assert_array_equal(attend(query, *shared), attend(query, *copies))

    def test_no_queries_give_no_rows(self):
        query, key, value = operands()
        self.assertEqual(attend(query[:, :, :0], key, value).shape, (2, 4, 0, 24))
        # NumPy gives empty arrays such strides, and since 2.5 passes them on.
        none = numpy.lib.stride_tricks.as_strided(query, (2, 4, 0, 24), (0, 0, 0, 0))
        self.assertEqual(attend(none, key, value).shape, (2, 4, 0, 24))
        self.assertEqual(attend(none, none, none).shape, (2, 4, 0, 24))

    def test_no_keys_give_zeros(self):
        query, key, value = operands()
        got = attend(query, key[:, :, :0], value[:, :, :0])
        numpy.testing.assert_array_equal(got, numpy.zeros_like(query))


if __name__ == "__main__":
    unittest.main()
