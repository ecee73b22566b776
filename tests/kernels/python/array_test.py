"""Kinds of arrays: what comes in is read in place, what goes out is of the same kind."""

import subprocess
import sys
import unittest

import numpy

import attention_kernels
from reference import attention, operands, tolerance

attend = attention_kernels.scaled_dot_product_attention


class DLPackOnly:
    """An array of another library: it has DLPack and nothing else."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **arguments):
        return self._array.__dlpack__(**arguments)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class ArrayTest(unittest.TestCase):
    def test_every_floating_point_type_gives_its_own(self):
        for dtype in ("float64", "float32", "float16"):
            with self.subTest(dtype=dtype):
                query, key, value = operands(dtype=dtype)
                got = attend(query, key, value)
                want, _ = attention(query, key, value)
                self.assertIsInstance(got, numpy.ndarray)
                self.assertEqual(got.dtype, dtype)
                error = numpy.abs(got - want).max()
                self.assertLess(error, tolerance(query, key, value))

    def test_another_librarys_array_gives_the_same_bits(self):
        arrays = operands()
        numpy.testing.assert_array_equal(
            attend(*(DLPackOnly(array) for array in arrays)), attend(*arrays), strict=True)

    def test_a_read_only_array_is_read(self):
        arrays = operands()
        want = attend(*arrays)
        for array in arrays:
            array.flags.writeable = False
        numpy.testing.assert_array_equal(attend(*arrays), want)

    def test_bfloat16_of_ml_dtypes_gives_its_own(self):
        try:
            import ml_dtypes
        except ImportError:
            self.skipTest("the package ml_dtypes is not there")
        rounded = [array.astype(ml_dtypes.bfloat16) for array in operands()]
        got, report = attend(*rounded, return_report=True)
        self.assertEqual(got.dtype, ml_dtypes.bfloat16)
        exact = [array.astype("float32") for array in rounded]
        error = numpy.abs(got.astype("float64") - attention(*exact)[0]).max()
        self.assertLess(error, tolerance(*exact, unit=2.0**-8))
        self.assertIn(report.precision, ("bf16", "f32"))  # f32 without BF16 tiles
        read_only = rounded[0].copy()
        read_only.flags.writeable = False
        with self.assertRaisesRegex(TypeError, "out: .*read-only"):
            attend(*rounded, out=read_only)

    def test_any_object_may_say_that_elements_are_bfloat16(self):
        # What the first array brings is kept for the rest of the process.
        program = """
import numpy, attention_kernels
try:
    import ml_dtypes
except ImportError:
    raise SystemExit("skip")
dtype = numpy.dtype(ml_dtypes.bfloat16)
def attend(dtype):
    array = numpy.ones((1, 5, 4), dtype="float32").astype(dtype)
    return attention_kernels.scaled_dot_product_attention(array, array, array)
for _ in range(2):
    try:
        attend(dtype.newbyteorder(">"))
        raise SystemExit("swapped bytes were read")
    except TypeError as error:
        print(error)
    for same in (dtype.newbyteorder("="), dtype, dtype.newbyteorder("<")):
        assert (attend(same).astype("float32") == 1).all()
"""
        result = subprocess.run([sys.executable, "-B", "-c", program], capture_output=True,
                                text=True, check=False)
        if result.stderr == "skip\n":
            self.skipTest("the package ml_dtypes is not there")
        self.assertEqual(result.returncode, 0, result.stderr)
        for line in result.stdout.splitlines():
            self.assertIn("query: got elements of >", line)

    def test_writes_into_the_given_array(self):
        arrays = operands()
        out = numpy.full_like(arrays[0], numpy.nan)
        self.assertIs(attend(*arrays, out=out), out)
        numpy.testing.assert_array_equal(out, attend(*arrays))

    def test_returns_weights_and_report_on_request(self):
        arrays = operands(key_value_heads=2)
        output, weights, report = attend(*arrays, return_weights=True, return_report=True)
        want_output, want_weights = attention(*arrays)
        self.assertLess(numpy.abs(output - want_output).max(), tolerance(*arrays))
        self.assertEqual(weights.shape, want_weights.shape)
        self.assertLess(numpy.abs(weights - want_weights).max(), tolerance(*arrays))
        self.assertIn(report.implementation, attention_kernels.usable_implementations())
        self.assertEqual(report.precision, "f32")
        self.assertGreaterEqual(report.threads, 1)
        self.assertIn(report.implementation, repr(report))

    def test_says_what_it_would_use(self):
        usable = attention_kernels.usable_implementations()
        self.assertEqual(attention_kernels.implementation(), usable[0])
        self.assertEqual(usable[-1], "unfused-float64")
        self.assertIn(attention_kernels.instruction_set(),
                      ("avx512_amx", "avx512_bf16", "avx512", "avx2", "baseline"))


if __name__ == "__main__":
    unittest.main()
