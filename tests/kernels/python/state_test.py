"""Log-sum-exps: against float64, of every kind of array, and parts of the keys that are merged."""

import unittest

import numpy

import attention_kernels
from reference import (UNIT, attention, causal, log_sum_exp, normals, operands, score_tolerance,
                       scores, tolerance)

try:
    import torch
except ImportError:
    torch = None

attend = attention_kernels.scaled_dot_product_attention
merge = attention_kernels.merge_attention_states


def state_tolerance(query, key, unit=2.0**-24):
    """Of a log-sum-exp: the scores' error, that of a sum over the keys, and a rounding of a number
    below 16."""
    return score_tolerance(query, key, unit) + (key.shape[-2] + 16) * unit


class LogSumExpTest(unittest.TestCase):
    def test_every_type_gives_float32_but_float64_its_own(self):
        for dtype in ("float64", "float32", "float16"):
            with self.subTest(dtype=dtype):
                query, key, value = operands(key_value_heads=2, dtype=dtype)
                output, state = attend(query, key, value, return_log_sum_exp=True)
                numpy.testing.assert_array_equal(output, attend(query, key, value))
                self.assertEqual(state.shape, (2, 4, 37))
                self.assertEqual(state.dtype, "float64" if dtype == "float64" else "float32")
                want = log_sum_exp(scores(query, key))
                bound = state_tolerance(query, key, UNIT[state.dtype])
                self.assertLess(numpy.abs(state - want).max(), bound)

    def test_leading_axes_may_be_left_out(self):
        query, key, value = operands(batch=1, heads=1)
        _, want = attend(query, key, value, return_log_sum_exp=True)
        _, state = attend(query[0], key[0], value[0], return_log_sum_exp=True)
        numpy.testing.assert_array_equal(state, want[0], strict=True)
        _, state = attend(query[0, 0], key[0, 0], value[0, 0], return_log_sum_exp=True)
        numpy.testing.assert_array_equal(state, want[0, 0], strict=True)

    def test_only_what_is_visible_counts(self):
        query, key, value = operands()
        mask = normals(7, 4, 37, 53) > -0.5
        mask[:, 5] = False
        _, state = attend(query, key, value, attn_mask=mask, causal_offset=10, scale=0.3,
                          return_log_sum_exp=True)
        want = log_sum_exp(scores(query, key, visible=mask & causal(37, 53, 10), scale=0.3))
        self.assertTrue((state[:, :, 5] == -numpy.inf).all())
        numpy.testing.assert_allclose(state, want, rtol=0, atol=2 * state_tolerance(query, key))

    def test_no_keys_give_minus_infinity(self):
        query, key, value = operands()
        _, state = attend(query, key[:, :, :0], value[:, :, :0], return_log_sum_exp=True)
        numpy.testing.assert_array_equal(state, numpy.full((2, 4, 37), -numpy.inf, "float32"))

    def test_stands_between_the_weights_and_the_report(self):
        arrays = operands()
        got = attend(*arrays, return_weights=True, return_log_sum_exp=True, return_report=True)
        self.assertEqual([getattr(each, "shape", None) for each in got],
                         [(2, 4, 37, 24), (2, 4, 37, 53), (2, 4, 37), None])
        self.assertIsInstance(got[3], attention_kernels.Report)


class MergeTest(unittest.TestCase):
    def test_shards_of_the_keys_merge_into_the_whole(self):
        query, key, value = operands(key_value_heads=2)
        want, _ = attention(query, key, value)
        whole = log_sum_exp(scores(query, key))
        for bounds in ((0, 53), (0, 20, 53), (0, 1, 1, 30, 53)):
            with self.subTest(bounds=bounds):
                states = [attend(query, key[:, :, begin:end], value[:, :, begin:end],
                                 return_log_sum_exp=True)
                          for begin, end in zip(bounds, bounds[1:])]
                output, state = merge(*zip(*states))
                self.assertLess(numpy.abs(output - want).max(), 2 * tolerance(query, key, value))
                self.assertLess(numpy.abs(state - whole).max(), 2 * state_tolerance(query, key))

    def test_causal_shards_count_from_their_own_first_key(self):
        query, key, value = operands()
        want, _ = attention(query, key, value, visible=causal(37, 53, 3))
        states = [attend(query, key[:, :, begin:begin + 18], value[:, :, begin:begin + 18],
                         causal_offset=3 - begin, return_log_sum_exp=True)
                  for begin in (0, 18, 36)]
        output, _ = merge(*zip(*states))
        self.assertLess(numpy.abs(output - want).max(), 2 * tolerance(query, key, value))


@unittest.skipIf(torch is None, "PyTorch cannot be imported")
class TorchTest(unittest.TestCase):
    def test_tensors_give_tensors_that_merge(self):
        for dtype, unit in ((torch.float64, 2.0**-53), (torch.float32, 2.0**-24),
                            (torch.bfloat16, 2.0**-8)):
            with self.subTest(dtype=dtype):
                query, key, value = (torch.from_numpy(each).to(dtype) for each in operands())
                exact = [each.double().numpy() for each in (query, key, value)]
                states = [attend(query, key[:, :, part], value[:, :, part],
                                 return_log_sum_exp=True)
                          for part in (slice(0, 20), slice(20, 53))]
                output, state = merge(*zip(*states))
                wide = torch.float64 if dtype == torch.float64 else torch.float32
                self.assertEqual((output.dtype, state.dtype), (dtype, wide))
                error = numpy.abs(output.double().numpy() - attention(*exact)[0]).max()
                self.assertLess(error, 2 * tolerance(*exact, unit=unit))
                error = numpy.abs(state.double().numpy() - log_sum_exp(scores(*exact[:2]))).max()
                self.assertLess(error, 2 * state_tolerance(*exact[:2], min(unit, 2.0**-24)))


if __name__ == "__main__":
    unittest.main()
