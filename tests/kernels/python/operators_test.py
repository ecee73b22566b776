"""Turning rows and merging states in process, against float64 NumPy."""

import unittest

import numpy

from attention_kernels import merge_attention_states, rotary_embedding
from reference import UNIT, normals

try:
    import torch
except ImportError:
    torch = None


def turned(rows, first=0, width=None, base=10000.0, scale=1.0, interleaved=False):
    """In float64."""
    rows = rows.astype("float64")
    width = width or rows.shape[-1]
    rates = base ** (-2 * numpy.arange(width // 2) / width)
    angles = (first + numpy.arange(rows.shape[-2]))[:, None] * scale * rates
    x_at = slice(0, width, 2) if interleaved else slice(0, width // 2)
    y_at = slice(1, width, 2) if interleaved else slice(width // 2, width)
    x, y = rows[..., x_at].copy(), rows[..., y_at].copy()
    rows[..., x_at] = x * numpy.cos(angles) - y * numpy.sin(angles)
    rows[..., y_at] = x * numpy.sin(angles) + y * numpy.cos(angles)
    return rows


class RotaryEmbeddingTest(unittest.TestCase):
    def check(self, got, rows, want):
        # Angles below 1000 that NumPy rounds; cosines, sines, products and a sum; the result.
        size = 2 * numpy.abs(rows.astype("float64")).max()
        bound = size * (2.0**-42 + 4 * min(UNIT[rows.dtype], 2.0**-24) + UNIT[rows.dtype])
        numpy.testing.assert_allclose(got.astype("float64"), want, rtol=0, atol=bound)

    def test_rows_turn_by_their_positions(self):
        for dtype in ("float32", "float16", "float64"):
            for shape in ((2, 3, 70, 10), (3, 70, 10), (70, 10)):
                rows = normals(1, *shape, dtype=dtype)
                got = rotary_embedding(rows)
                self.assertEqual((got.dtype, got.shape), (rows.dtype, rows.shape))
                self.check(got, rows, turned(rows))
                self.check(rotary_embedding(rows, first_position=900, width=6, base=50.0,
                                            position_scale=0.5, interleaved=True),
                           rows, turned(rows, 900, 6, 50.0, 0.5, True))

    def test_any_strides_and_its_own_memory(self):
        rows = normals(2, 2, 40, 3, 8).swapaxes(1, 2)
        want = rotary_embedding(numpy.ascontiguousarray(rows))
        numpy.testing.assert_array_equal(rotary_embedding(rows), want)
        self.assertIs(rotary_embedding(rows, out=rows), rows)
        numpy.testing.assert_array_equal(rows, want)

    def test_the_bits_do_not_depend_on_threads(self):
        rows = normals(3, 2, 40, 100, 16)
        numpy.testing.assert_array_equal(
            rotary_embedding(rows, threads=1), rotary_embedding(rows, threads=3))

    def test_what_is_refused(self):
        rows = normals(4, 5, 8)
        for words, options in (
                ("width: got 3", {"width": 3}), ("base: got 0", {"base": 0.0}),
                ("out: got shape [4, 8], want [5, 8]", {"out": normals(5, 4, 8)}),
                ("out: got memory among", {"out": rows[::-1]}),
                ("out.dtype: got float64, want float32 as rows", {"out": numpy.zeros((5, 8))}),
                ("first_position: got an integer of more than 64", {"first_position": 2**63}),
                ("width: got an integer of more than 64 bits", {"width": 2**63}),
                ("threads: got 0", {"threads": 0})):
            with self.assertRaises(ValueError) as caught:
                rotary_embedding(rows, **options)
            self.assertTrue(str(caught.exception).startswith(words), str(caught.exception))
        for words, array in (("rows: got 1 axes", rows[0]),
                             ("rows.dtype: got bool, want a floating point type", rows > 0),
                             ("rows.strides[1]: got 2, want 1", rows[:, ::2]),
                             ("width: got 7, want even, between 0 and 7", rows[:, :7])):
            with self.assertRaises(ValueError) as caught:
                rotary_embedding(array)
            self.assertTrue(str(caught.exception).startswith(words), str(caught.exception))
        with self.assertRaises(TypeError):
            rotary_embedding(rows.astype("int32"))

    @unittest.skipIf(torch is None, "PyTorch cannot be imported")
    def test_tensors_of_bfloat16(self):
        rows = torch.from_numpy(normals(6, 2, 30, 16)).bfloat16()
        got = rotary_embedding(rows)
        self.assertEqual(got.dtype, torch.bfloat16)
        want = turned(rows.float().numpy())
        numpy.testing.assert_allclose(got.float().numpy(), want, rtol=2.0**-8, atol=2.0**-20)


class MergeAttentionStatesTest(unittest.TestCase):
    def test_parts_merge_into_the_whole(self):
        scores = normals(7, 2, 3, 20, 50, dtype="float64")
        values = normals(8, 2, 3, 50, 8, dtype="float64")

        def attend(keys):
            powers = numpy.exp(scores[..., keys])
            total = powers.sum(axis=-1)
            return powers @ values[..., keys, :] / total[..., None], numpy.log(total)

        want, want_log_sum = attend(slice(0, 50))
        for dtype in ("float32", "float64"):
            parts = [attend(slice(begin, begin + 10)) for begin in range(0, 50, 10)]
            outputs = [part[0].astype(dtype) for part in parts]
            log_sums = [part[1].astype(dtype) for part in parts]
            nothing = numpy.full_like(outputs[0], numpy.nan)
            got, log_sum = merge_attention_states(
                [*outputs, nothing], [*log_sums, numpy.full_like(log_sums[0], -numpy.inf)])
            unit = UNIT[numpy.dtype(dtype)]
            self.assertEqual((got.dtype, log_sum.dtype), (dtype, dtype))
            # Outputs of values below 5; log-sums below 8, rounded, are relative errors of shares.
            numpy.testing.assert_allclose(got, want, rtol=0, atol=5 * 20 * unit)
            numpy.testing.assert_allclose(log_sum, want_log_sum, rtol=0, atol=20 * unit)

    def test_what_is_refused(self):
        output, log_sum = normals(9, 4, 5, 8), normals(10, 4, 5)
        for words, outputs, log_sums in (
                ("outputs: got none", [], []),
                ("log_sum_exps: got 1, want 2", [output, output], [log_sum]),
                ("log_sum_exps[0]: got shape [4, 5, 8], want [4, 5]", [output], [output]),
                ("outputs[1]: got shape [4, 5, 4], want [4, 5, 8] as outputs[0]",
                 [output, output[..., :4]], [log_sum, log_sum]),
                ("outputs[1].dtype: got float64, want float32 as outputs[0]",
                 [output, output.astype("float64")], [log_sum, log_sum]),
                ("outputs[1].strides[2]: got 2, want 1 (in elements)",
                 [output, numpy.repeat(output, 2, axis=-1)[..., ::2]], [log_sum, log_sum]),
                ("log_sum_exps[0].dtype: got float64, want float32", [output],
                 [log_sum.astype("float64")])):
            with self.subTest(words=words), self.assertRaises(ValueError) as caught:
                merge_attention_states(outputs, log_sums)
            self.assertTrue(str(caught.exception).startswith(words), str(caught.exception))


if __name__ == "__main__":
    unittest.main()
