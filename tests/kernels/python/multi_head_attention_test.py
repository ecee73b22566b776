"""The whole layer: against float64, against PyTorch, and what it refuses."""

import unittest

import numpy

import attention_kernels
from reference import UNIT, attention, causal, normals, window

try:
    import torch
except ImportError:
    torch = None

WIDTH, HEADS, BATCH, TOKENS = 96, 4, 3, 45


def make_weights(dtype="float32"):
    """Of the size that a trained layer has."""
    return [normals(11, 3 * WIDTH, WIDTH, dtype=dtype) / numpy.dtype(dtype).type(WIDTH**0.5),
            normals(12, 3 * WIDTH, dtype=dtype) / numpy.dtype(dtype).type(4),
            normals(13, WIDTH, WIDTH, dtype=dtype) / numpy.dtype(dtype).type(WIDTH**0.5),
            normals(14, WIDTH, dtype=dtype) / numpy.dtype(dtype).type(4)]


def layer(embeddings, weights, visible=True):
    """The layer in float64; a bias may be None."""
    in_weight, in_bias, out_weight, out_bias = (
        0.0 if each is None else each.astype("float64") for each in weights)
    projected = embeddings.astype("float64") @ in_weight.T + in_bias
    split = (BATCH, TOKENS, HEADS, WIDTH // HEADS)
    query, key, value = (part.reshape(split).swapaxes(1, 2)
                         for part in numpy.split(projected, 3, axis=-1))
    attended, _ = attention(query, key, value, visible=visible)
    return attended.swapaxes(1, 2).reshape(BATCH, TOKENS, WIDTH) @ out_weight.T + out_bias


def bound(dtype, unit=None):
    """On the relative error in the Frobenius norm: six stored results on the way (queries, keys,
    values, weights, heads, output), each off by a unit, and the random walk of sums in f32."""
    unit = unit or UNIT[numpy.dtype(dtype)]
    return 6 * unit + 4 * WIDTH**0.5 * min(unit, 2.0**-24)


def relative_error(got, want):
    return numpy.linalg.norm(got.astype("float64") - want) / numpy.linalg.norm(want)


class LayerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.embeddings = normals(10, BATCH, TOKENS, WIDTH)
        cls.weights = make_weights()
        cls.layer = attention_kernels.MultiHeadAttention(*cls.weights, HEADS)
        cls.output = cls.layer(cls.embeddings)

    def test_every_type_is_within_its_bound(self):
        for dtype in ("float64", "float32", "float16"):
            with self.subTest(dtype=dtype):
                weights, embeddings = make_weights(dtype), self.embeddings.astype(dtype)
                got = attention_kernels.MultiHeadAttention(*weights, HEADS)(embeddings)
                self.assertEqual((got.dtype, got.shape), (dtype, embeddings.shape))
                self.assertLess(relative_error(got, layer(embeddings, weights)), bound(dtype))

    def test_every_precision_is_within_its_bound(self):
        want = layer(self.embeddings, self.weights)
        for precision, limit in (("bf16_x6", bound("float32")), ("bf16_x3", 5e-5),
                                 ("bf16", 8 * 2.0**-8), ("f32_grade_fastest", bound("float32"))):
            with self.subTest(precision=precision):
                got = attention_kernels.MultiHeadAttention(
                    *self.weights, HEADS, precision=precision)(self.embeddings)
                self.assertLess(relative_error(got, want), limit)

    def test_biases_may_be_absent(self):
        weights = [self.weights[0], None, self.weights[2], None]
        got = attention_kernels.MultiHeadAttention(*weights, HEADS)(self.embeddings)
        self.assertLess(relative_error(got, layer(self.embeddings, weights)), bound("float32"))

    def test_keys_are_hidden_as_in_the_function(self):
        mask = normals(15, HEADS, TOKENS, TOKENS) > -0.5
        lengths = [TOKENS, 20, 7]
        visible = (mask & causal(TOKENS, TOKENS) &
                   window(TOKENS, TOKENS, 30) &
                   (numpy.arange(TOKENS) < numpy.reshape(lengths, (BATCH, 1, 1, 1))))
        got = self.layer(self.embeddings, attn_mask=mask, is_causal=True, key_lengths=lengths,
                         window_left=30)
        want = layer(self.embeddings, self.weights, visible)
        self.assertLess(relative_error(got, want), bound("float32"))

    def test_weights_are_not_referred_to_afterwards(self):
        weights = make_weights()
        made = attention_kernels.MultiHeadAttention(*weights, HEADS)
        for each in weights:
            each[...] = numpy.nan
        numpy.testing.assert_array_equal(made(self.embeddings), self.output)

    def test_weights_may_have_any_strides(self):
        weights = [numpy.asfortranarray(each) for each in self.weights]
        made = attention_kernels.MultiHeadAttention(*weights, HEADS)
        numpy.testing.assert_array_equal(made(self.embeddings), self.output)

    def test_a_batch_entry_alone_gives_the_same_bits(self):
        for entry in range(BATCH):
            numpy.testing.assert_array_equal(self.layer(self.embeddings[entry]),
                                             self.output[entry])

    def test_threads_do_not_change_a_bit(self):
        for threads in (1, 2, 5):
            numpy.testing.assert_array_equal(self.layer(self.embeddings, threads=threads),
                                             self.output)

    def test_tokens_may_have_any_distance(self):
        wide = numpy.zeros((BATCH, TOKENS + 3, WIDTH + 5), dtype="float32")
        view = wide[:, :TOKENS, :WIDTH]
        view[...] = self.embeddings
        out = numpy.zeros_like(wide)
        self.layer(view, out=out[:, :TOKENS, :WIDTH])
        numpy.testing.assert_array_equal(out[:, :TOKENS, :WIDTH], self.output)
        self.assertEqual(numpy.abs(out[:, TOKENS:]).max() + numpy.abs(out[:, :, WIDTH:]).max(), 0)
        tokens_first = numpy.ascontiguousarray(self.embeddings.swapaxes(0, 1)).swapaxes(0, 1)
        numpy.testing.assert_array_equal(self.layer(tokens_first), self.output)

    def test_few_tokens(self):
        for batch, tokens in ((0, 5), (2, 0), (2, 1), (1, 1)):
            embeddings = numpy.ascontiguousarray(self.embeddings[:batch, :tokens])
            with self.subTest(batch=batch, tokens=tokens):
                self.assertEqual(self.layer(embeddings).shape, (batch, tokens, WIDTH))

    def test_reports_what_ran(self):
        _, report = self.layer(self.embeddings, return_report=True)
        self.assertEqual(report.precision, "f32")
        self.assertIn(report.implementation, attention_kernels.usable_implementations())
        self.assertEqual((self.layer.width, self.layer.num_heads), (WIDTH, HEADS))


class RefusalTest(unittest.TestCase):
    def assert_refused(self, words, weights, *, heads=HEADS, embeddings=None, **options):
        with self.assertRaises(ValueError) as caught:
            made = attention_kernels.MultiHeadAttention(*weights, heads)
            made(normals(10, BATCH, TOKENS, WIDTH) if embeddings is None else embeddings, **options)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_bad_weights(self):
        in_weight, in_bias, out_weight, out_bias = make_weights()
        for words, weights in (
                (["in_proj_weight", "[3 width, width]"], (out_weight, in_bias, out_weight, None)),
                (["in_proj_bias", "[95]", "[288]"], (in_weight, in_bias[:95], out_weight, None)),
                (["out_proj_weight"], (in_weight, None, out_weight[:9], None)),
                (["out_proj_bias.dtype", "got float64, want float32"],
                 (in_weight, None, out_weight, out_bias.astype("float64")))):
            with self.subTest(words=words):
                self.assert_refused(words, weights)
        for heads in (0, -1, 5):
            self.assert_refused(["num_heads", str(heads)],
                                (in_weight, in_bias, out_weight, out_bias), heads=heads)

    def test_a_precision_is_for_float32(self):
        made = attention_kernels.MultiHeadAttention
        made(*make_weights("float16"), HEADS, precision=None)
        with self.assertRaisesRegex(
                ValueError, "^precision: got f32, want none where in_proj_weight.dtype is float16"):
            made(*make_weights("float16"), HEADS, precision="f32")

    def test_bad_calls(self):
        embeddings = normals(10, BATCH, TOKENS, WIDTH)
        for words, options in (
                (["embeddings", "want"], {"embeddings": embeddings[:, :, :90]}),
                (["embeddings", "want"], {"embeddings": embeddings[0, 0]}),
                (["embeddings.dtype", "float64"], {"embeddings": embeddings.astype("float64")}),
                (["embeddings", "strides"], {"embeddings": embeddings[..., ::-1]}),
                (["embeddings", "strides"],
                 {"embeddings": numpy.broadcast_to(embeddings[:, :1], embeddings.shape)}),
                (["out"], {"out": embeddings[:2].copy()}),
                (["out", "embeddings"], {"embeddings": embeddings, "out": embeddings}),
                (["attn_mask"], {"attn_mask": numpy.ones((TOKENS, 2), dtype=bool)}),
                (["window_right: got -1"], {"window_right": -1}),
                (["key_lengths"], {"key_lengths": [1, 2]})):
            with self.subTest(words=words):
                self.assert_refused(words, make_weights(), **options)


@unittest.skipIf(torch is None, "PyTorch cannot be imported")
class TorchLayerTest(unittest.TestCase):
    def make_module(self, dtype, **options):
        module = torch.nn.MultiheadAttention(
            WIDTH, HEADS, batch_first=True, dtype=dtype, **options).eval()
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=WIDTH**-0.5)
        return module

    def test_agrees_with_the_module(self):
        for dtype, unit in ((torch.float32, 2.0**-24), (torch.bfloat16, 2.0**-8)):
            with self.subTest(dtype=dtype):
                module = self.make_module(dtype)
                embeddings = torch.randn(BATCH, TOKENS, WIDTH, dtype=dtype)
                with torch.inference_mode():
                    want, _ = module(embeddings, embeddings, embeddings, need_weights=False)
                got = attention_kernels.MultiHeadAttention.from_torch(module)(embeddings)
                self.assertEqual(got.dtype, dtype)
                error = (got - want).to(torch.float64).norm() / want.to(torch.float64).norm()
                self.assertLess(error, 2 * bound("float32", unit))

    def test_what_is_no_such_module_is_refused(self):
        for module in (torch.nn.Linear(4, 4), None, WIDTH):
            with self.subTest(module=module), self.assertRaisesRegex(
                    TypeError, f"^module: got .*{type(module).__name__}, "
                               "want a torch.nn.MultiheadAttention$"):
                attention_kernels.MultiHeadAttention.from_torch(module)

    def test_a_module_on_another_device_is_refused(self):
        with self.assertRaisesRegex(ValueError, "^in_proj_weight: got a tensor on meta"):
            attention_kernels.MultiHeadAttention.from_torch(
                self.make_module(torch.float32).to("meta"))

    def test_another_kind_of_module_is_refused(self):
        for options in ({"kdim": 8, "vdim": 8}, {"add_bias_kv": True}, {"add_zero_attn": True}):
            with self.subTest(options=options), self.assertRaisesRegex(ValueError, "module"):
                attention_kernels.MultiHeadAttention.from_torch(
                    self.make_module(torch.float32, **options))


if __name__ == "__main__":
    unittest.main()
