"""Windows, softcaps and sinks, alone and together, against float64."""

import unittest

import numpy

import attention_kernels
from reference import attention, causal, log_sum_exp, normals, operands, scores, tolerance, window

try:
    import torch
except ImportError:
    torch = None

attend = attention_kernels.scaled_dot_product_attention

SINKS = [0.5, -numpy.inf, 3.0, -1.0]


class OptionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.arrays = operands(key_value_heads=2)
        cls.tolerance = 2 * tolerance(*cls.arrays)

    def assert_is(self, got, **options):
        want, _ = attention(*self.arrays, **options)
        self.assertLess(numpy.abs(got - want).max(), self.tolerance)

    def assert_refused(self, error, words, **options):
        with self.subTest(options=options), self.assertRaises(error) as caught:
            attend(*self.arrays, **options)
        self.assertTrue(str(caught.exception).startswith(words), str(caught.exception))


class WindowTest(OptionsTest):
    def test_either_side_may_be_bounded(self):
        for left, right in ((4, 3), (4, None), (None, 3), (0, 0), (0, 60), (2**40, 2**40)):
            with self.subTest(left=left, right=right):
                self.assert_is(attend(*self.arrays, window_left=left, window_right=right),
                               visible=window(37, 53, left, right))

    def test_counts_from_the_position_that_causality_gives_the_query(self):
        for offset in (-5, 0, 53 - 37):
            with self.subTest(offset=offset):
                got = attend(*self.arrays, causal_offset=offset, window_left=7)
                self.assert_is(got, visible=window(37, 53, 7, 0, offset))

    def test_goes_with_what_else_hides_keys(self):
        mask = normals(7, 4, 37, 53) > -0.5
        lengths = numpy.arange(53) < numpy.reshape([30, 50], (2, 1, 1, 1))
        got = attend(*self.arrays, attn_mask=mask, key_lengths=[30, 50], is_causal=True,
                     window_left=20)
        self.assert_is(got, visible=mask & lengths & causal(37, 53) & window(37, 53, 20))

    def test_what_is_refused(self):
        self.assert_refused(ValueError, "window_left: got -1, want >= 0", window_left=-1)
        self.assert_refused(ValueError, "window_right: got -2, want >= 0", window_right=-2)


class SoftcapTest(OptionsTest):
    def test_caps_scores_before_masks(self):
        bias = normals(8, 37, 53)
        for softcap in (0.5, 2.0, 50.0):
            with self.subTest(softcap=softcap):
                got = attend(*self.arrays, softcap=softcap, attn_mask=bias, scale=1.0)
                want, _ = attention(*self.arrays, softcap=softcap, bias=bias.astype("float64"),
                                    scale=1.0)
                # Scores are the square root of the width larger than those of the bound.
                self.assertLess(numpy.abs(got - want).max(), 24**0.5 * self.tolerance)

    def test_what_is_refused(self):
        for softcap, text in ((0.0, "0"), (-1.0, "-1"), (numpy.inf, "infinity"),
                              (numpy.nan, "NaN")):
            self.assert_refused(ValueError, f"softcap: got {text}, want a finite number > 0",
                                softcap=softcap)


class SinkTest(OptionsTest):
    def test_a_sink_takes_its_share(self):
        for sinks in (SINKS, tuple(SINKS), numpy.array(SINKS, dtype="float32")):
            with self.subTest(kind=type(sinks)):
                got, weights, state = attend(*self.arrays, sinks=sinks, return_weights=True,
                                             return_log_sum_exp=True)
                self.assert_is(got, sinks=SINKS)
                want = attention(*self.arrays, sinks=SINKS)[1]
                self.assertLess(numpy.abs(weights - want).max(), self.tolerance)
                whole = numpy.logaddexp(log_sum_exp(scores(*self.arrays[:2])),
                                        numpy.reshape(SINKS, (4, 1)))
                self.assertLess(numpy.abs(state - whole).max(), self.tolerance)

    def test_a_sink_belongs_to_one_shard(self):
        query, key, value = self.arrays
        states = [attend(query, key[:, :, part], value[:, :, part], sinks=sinks,
                         return_log_sum_exp=True)
                  for part, sinks in ((slice(0, 20), SINKS), (slice(20, 53), None))]
        output, _ = attention_kernels.merge_attention_states(*zip(*states))
        self.assert_is(output, sinks=SINKS)

    def test_what_is_refused(self):
        for error, words, sinks in (
                (ValueError, "sinks: got 2 numbers, want 4, one for each query head", [0.0, 1.0]),
                (ValueError, "sinks: got 0 numbers, want 4", []),
                (ValueError, "sinks[1]: got NaN, want a number", [0.0, numpy.nan, 1.0, 1.0]),
                (TypeError, "sinks: got float, want a sequence of numbers", 0.5),
                (TypeError, "sinks[2]: got str, want a number", [0.0, 1.0, "2", 3.0]),
                (ValueError, "sinks[1]: got a number beyond float64, want one that fits",
                 [0.0, 10**400, 1.0, 1.0]),
                (TypeError, "sinks[0]: got ndarray, want a number", numpy.zeros((4, 2)))):
            self.assert_refused(error, words, sinks=sinks)

    @unittest.skipIf(torch is None, "PyTorch cannot be imported")
    def test_tensors_without_a_gradient(self):
        sinks = torch.nn.Parameter(torch.tensor(SINKS, dtype=torch.bfloat16))
        with torch.no_grad():
            self.assert_is(attend(*self.arrays, sinks=sinks), sinks=SINKS)
        self.assert_refused(ValueError, "sinks: got a tensor that requires a gradient", sinks=sinks)


class TogetherTest(unittest.TestCase):
    def test_in_every_type(self):
        visible = window(37, 53, 9, 0, 16)
        for dtype in ("float64", "float32", "float16"):
            with self.subTest(dtype=dtype):
                arrays = operands(key_value_heads=2, dtype=dtype)
                got = attend(*arrays, causal_offset=16, window_left=9, softcap=3.0, sinks=SINKS)
                want, _ = attention(*arrays, visible=visible, softcap=3.0, sinks=SINKS)
                self.assertLess(numpy.abs(got - want).max(), 2 * tolerance(*arrays))

    def test_one_query_at_the_end_of_a_cache(self):
        query, key, value = operands(queries=1, key_value_heads=2)
        got = attend(query, key, value, causal_offset=52, window_left=9, softcap=3.0, sinks=SINKS)
        want, _ = attention(query, key[:, :, 43:], value[:, :, 43:], softcap=3.0, sinks=SINKS)
        self.assertLess(numpy.abs(got - want).max(), 2 * tolerance(query, key, value))


if __name__ == "__main__":
    unittest.main()
