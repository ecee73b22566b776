"""Hostile callers: the kind of exception, and the words that tell what to change."""

import subprocess
import sys
import unittest

import numpy

import attention_kernels
from reference import operands

attend = attention_kernels.scaled_dot_product_attention


def unaligned(array):
    """The same numbers, one byte off."""
    memory = numpy.zeros(array.nbytes + 1, dtype="uint8")
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


class ErrorTest(unittest.TestCase):
    def setUp(self):
        self.query, self.key, self.value = operands()

    def assert_refused(self, error, words, *arrays, **options):
        with self.assertRaises(error) as caught:
            attend(*arrays, **options)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def assert_options_refused(self, error, words, **options):
        self.assert_refused(error, words, self.query, self.key, self.value, **options)

    def test_what_is_no_array(self):
        for thing in (None, 3, "words", [[1.0, 2.0]], b"bytes"):
            with self.subTest(thing=thing):
                self.assert_refused(TypeError, ["key"], self.query, thing, self.value)

    def test_other_elements(self):
        for dtype in ("int32", "uint16", "complex64", "longdouble", ">f4", "datetime64[s]", object):
            with self.subTest(dtype=dtype):
                got = str(numpy.dtype(dtype))
                self.assert_refused(TypeError, [f"value: got elements of {got}, want float32"],
                                    self.query, self.key, self.value.astype(dtype))
        self.assert_refused(ValueError, ["query.dtype", "bool"],
                            *(array > 0 for array in (self.query, self.key, self.value)))

    def test_operands_of_different_types(self):
        self.assert_refused(ValueError, ["key.dtype", "float64", "float32 as query"], self.query,
                            self.key.astype("float64"), self.value)

    def test_wrong_shapes(self):
        query, key, value = self.query, self.key, self.value
        for words, arrays in (
                (["query", "5 axes"], (query[None], key, value)),
                (["query", "1 axes"], (query[0, 0, 0], key, value)),
                (["key", "3 axes", "4 as query"], (query, key[0], value)),
                (["key.shape[0]: got 1, want 2 as query.shape[0]"], (query, key[:1], value)),
                (["key.shape[3]: got 8, want 24"], (query, key[..., :8], value)),
                (["value.shape[2]: got 9"], (query, key, value[:, :, :9])),
                (["query.shape[1]", "a multiple of key.shape[1] = 3"],
                 (query, key[:, :3], value[:, :3])),
                (["query.strides[3]: got 2, want 1 (in elements)"],
                 (query[..., ::2], key[..., ::2], value))):
            with self.subTest(words=words):
                self.assert_refused(ValueError, words, *arrays)

    def test_axes_are_counted_as_the_caller_does(self):
        query, key, value = (array[0] for array in (self.query, self.key, self.value))
        self.assert_refused(ValueError, ["key.shape[2]: got 8, want 24 as query.shape[2]"],
                            query, key[..., :8], value)
        self.assert_refused(ValueError, ["query.shape[0]: got 4, want a multiple of key.shape[0]"],
                            query, key[:3], value[:3])
        self.assert_refused(ValueError, ["value.shape[0]: got 9, want 53 as key.shape[0]"],
                            query[0], key[0], value[0, :9])
        self.assert_refused(ValueError, ["query.strides[1]: got 2"],
                            query[0, :, ::2], key[0, :, ::2], value[0])

    def test_unaligned_memory(self):
        self.assert_refused(ValueError, ["query", "multiple of 4"], unaligned(self.query), self.key,
                            self.value)

    def test_strides_that_are_no_whole_elements(self):
        records = numpy.zeros(self.query.shape, dtype=[("number", "f4"), ("flag", "u1")])
        words = "got strides of [17760, 4440, 120, 5] bytes, want multiples of an element's 4"
        self.assert_refused(ValueError, ["query: " + words], records["number"], self.key,
                            self.value)
        self.assert_options_refused(ValueError, ["out: " + words], out=records["number"])

    def test_masks_that_do_not_broadcast(self):
        for shape in ((36, 53), (2, 37, 53), (3, 1, 1, 53), (1, 1, 1, 1, 53)):
            with self.subTest(shape=shape):
                self.assert_options_refused(ValueError, ["attn_mask", "[2, 4, 37, 53]"],
                                            attn_mask=numpy.ones(shape, dtype=bool))
        self.assert_options_refused(TypeError, ["attn_mask", "int64"],
                                    attn_mask=numpy.ones((37, 53), dtype="int64"))

    def test_bad_options(self):
        for words, options in (
                (["precision", "fp8", "bf16_x6"], {"precision": "fp8"}),
                (["dropout_p: got 0.1, want 0: dropout is for training"], {"dropout_p": 0.1}),
                (["dropout_p: got nan"], {"dropout_p": float("nan")}),
                (["threads", "0"], {"threads": 0}),
                (["threads", "5000"], {"threads": 5000}),
                (["threads: got 1099511627776, want 1 to 1024"], {"threads": 2**40}),
                (["threads: got an integer of more than 64 bits"], {"threads": 2**64}),
                (["causal_offset: got an integer of more than 64"], {"causal_offset": 2**63}),
                (["window_left: got an integer of more than 64 bits"], {"window_left": 2**70}),
                (["window_right: got an integer of more than 64 bits"], {"window_right": -2**70}),
                (["scale", "NaN"], {"scale": float("nan")}),
                (["causal_offset"], {"causal_offset": 0, "is_causal": True}),
                (["key_lengths", "0 lengths"], {"key_lengths": []}),
                (["key_lengths", "1 lengths", "2, one for each batch"], {"key_lengths": [4]}),
                (["key_lengths[1]", "54"], {"key_lengths": [4, 54]}),
                (["key_lengths[0]", "-1"], {"key_lengths": [-1, 5]})):
            with self.subTest(options=options):
                self.assert_options_refused(ValueError, words, **options)
        for options in ({"threads": "two"}, {"threads": 2.0}, {"scale": "large"},
                        {"unknown": True}, {"is_causal": "yes"}):
            with self.subTest(options=options):
                self.assert_options_refused(TypeError, [], **options)

    def test_lengths_that_are_no_integers(self):
        for error, words, lengths in (
                (TypeError, "key_lengths: got int, want a sequence of integers", 3),
                (TypeError, "key_lengths[0]: got float, want an integer", [1.5, 2]),
                (TypeError, "key_lengths[1]: got str, want an integer", [1, "2"]),
                (TypeError, "key_lengths[0]: got float64", numpy.array([1.0, 2.0])),
                (ValueError, "key_lengths[1]: got an integer of more than 64 bits", [1, 2**70])):
            with self.subTest(lengths=lengths):
                self.assert_options_refused(error, [words], key_lengths=lengths)

    def test_outputs_that_cannot_be_written(self):
        read_only = numpy.zeros_like(self.query)
        read_only.flags.writeable = False
        self.assert_options_refused(TypeError, ["out", "read-only"], out=read_only)
        self.assert_options_refused(TypeError, ["out", "list"], out=[])
        self.assert_options_refused(ValueError, ["out", "[2, 4, 37, 24]"],
                                    out=numpy.zeros((2, 4, 36, 24), dtype="float32"))
        self.assert_options_refused(ValueError, ["out.dtype: got float64, want float32"],
                                    out=numpy.zeros(self.query.shape))
        self.assert_options_refused(ValueError, ["out.strides[3]: got 2, want 1"],
                                    out=numpy.zeros((2, 4, 37, 48), dtype="float32")[..., ::2])
        self.assert_options_refused(ValueError, ["out", "operand"], out=self.query)
        broadcast = numpy.lib.stride_tricks.as_strided(
            numpy.zeros((1, 4, 37, 24), dtype="float32"), self.query.shape,
            (0, *self.query.strides[1:]), writeable=True)
        self.assert_options_refused(ValueError, ["out: got a stride of 0 in axis 0"], out=broadcast)
        for axis, overlapping in ((2, (3552, 888, 23, 1)), (1, (3552, 864, 24, 1)),
                                  (0, (-800, 888, 24, 1))):
            memory = numpy.zeros(10000, dtype="float32")
            out = numpy.lib.stride_tricks.as_strided(
                memory[5000:], self.query.shape, [4 * stride for stride in overlapping])
            self.assert_options_refused(
                ValueError, [f"out: got a stride of {overlapping[axis]} in axis {axis}"], out=out)
        both = numpy.zeros((2, 4, 38, 24), dtype="float32")
        self.assert_refused(ValueError, ["out", "operand"], both[:, :, :37], self.key, self.value,
                            out=both[:, :, 1:])

    def test_what_is_too_large_for_memory(self):
        huge = numpy.broadcast_to(numpy.zeros(8, dtype="float32"), (1, 1, 2**40, 8))
        self.assert_refused(MemoryError, [], huge, huge, huge)


class ForcedImplementationTest(unittest.TestCase):
    def run_python(self, *lines):
        program = "\n".join(("import numpy, attention_kernels", *lines))
        return subprocess.run([sys.executable, "-B", "-c", program], capture_output=True, text=True,
                              check=False)

    def test_the_forced_one_runs(self):
        result = self.run_python(
            "attention_kernels.use_implementation('unfused-float64')",
            "x = numpy.ones((1, 2, 2), dtype='float32')",
            "print(attention_kernels.scaled_dot_product_attention(x, x, x, return_report=True)[1])")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("unfused-float64", result.stdout)

    def test_an_unknown_name_is_refused(self):
        result = self.run_python("attention_kernels.use_implementation('fused-gpu')")
        self.assertIn("ValueError", result.stderr)
        self.assertIn("fused-avx2", result.stderr)

    def test_a_late_one_is_refused(self):
        result = self.run_python(
            "x = numpy.ones((1, 2, 2), dtype='float32')",
            "attention_kernels.scaled_dot_product_attention(x, x, x)",
            "attention_kernels.use_implementation('fused-avx2')")
        self.assertIn("RuntimeError", result.stderr)

    def test_a_refused_one_changes_no_bit(self):
        result = self.run_python(
            "attend = attention_kernels.scaled_dot_product_attention",
            "x = numpy.random.default_rng(1).standard_normal((4, 100, 64)).astype('float32')",
            "before = [attend(x[:, :rows], x, x) for rows in (1, 100)]",
            "try:",
            "    attention_kernels.use_implementation('fused-avx2')",
            "except RuntimeError:",
            "    after = [attend(x[:, :rows], x, x) for rows in (1, 100)]",
            "    print([numpy.array_equal(*pair) for pair in zip(before, after)])",
            "else:",
            "    print('not refused')")
        self.assertEqual(result.stdout, "[True, True]\n", result.stderr)


if __name__ == "__main__":
    unittest.main()
