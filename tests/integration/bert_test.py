"""The attention layer of BERT-base, as a model team sends it: against float64, and against PyTorch.

Batch 8, 128 tokens, width 768, 12 heads, four projections with biases. PyTorch is asked where
`torch` can be imported, as in `deploy/test oracles`.
"""

import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy

import contract
from attention.v1 import attention_service_pb2 as service
from server_process import ServerProcess
from tensors import BF16, F32, round_to, to_array, to_tensor

BATCH, TOKENS, WIDTH, HEADS = 8, 128, 768, 12
TORCH_PROGRAM = pathlib.Path(__file__).with_name("torch_attention.py")

# Relative to the norm of the answer: six stored results on the way (queries, keys, values, weights,
# heads, output), each off by at most a unit, and the random walk of two sums over the width.
_SUMS = 2 * WIDTH**0.5 * 2.0**-24
TOLERANCE = {F32: 6 * 2.0**-24 + _SUMS, BF16: 6 * 2.0**-8 + _SUMS}
NAMES = {F32: "F32", BF16: "BF16"}


def make_arrays(data_type):
    """Embeddings, weights and biases, rounded to the type; of the size that a trained layer has."""
    random = numpy.random.default_rng(1810_04805)
    arrays = {"embeddings": random.standard_normal((BATCH, TOKENS, WIDTH))}
    for name in ("query", "key", "value", "output"):
        arrays[f"{name}_weight"] = random.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5
        arrays[f"{name}_bias"] = random.standard_normal(WIDTH) / 4
    return {name: round_to(array, data_type) for name, array in arrays.items()}


def make_request(arrays, data_type):
    projections = service.Projections(**{
        name: service.Projection(
            weight=to_tensor(arrays[f"{name}_weight"], data_type),
            bias=to_tensor(arrays[f"{name}_bias"], data_type))
        for name in ("query", "key", "value", "output")})
    return service.SelfAttentionRequest(
        embeddings=to_tensor(arrays["embeddings"], data_type), projections=projections,
        head_count=HEADS)


def relative_error(got, want):
    return numpy.linalg.norm(got - want) / numpy.linalg.norm(want)


def ask_torch(arrays, data_type):
    """nn.MultiheadAttention's answer on the same numbers, as float64."""
    with tempfile.TemporaryDirectory() as folder:
        numpy.savez(f"{folder}/arrays.npz", **arrays)
        subprocess.run(
            [sys.executable, "-B", TORCH_PROGRAM, NAMES[data_type], str(HEADS), folder], check=True)
        return numpy.load(f"{folder}/output.npy")


class BertTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.arrays = {data_type: make_arrays(data_type) for data_type in NAMES}
        cls.got, cls.want = {}, {}
        with ServerProcess() as server:
            for data_type, arrays in cls.arrays.items():
                request = make_request(arrays, data_type)
                response = server.stub.SelfAttention(request, timeout=120)
                assert response.output.data_type == data_type
                cls.got[data_type] = to_array(response.output)
                cls.want[data_type] = contract.answer(request).output.value

    def test_agrees_with_float64(self):
        for data_type, name in NAMES.items():
            with self.subTest(name):
                got, want = self.got[data_type], self.want[data_type]
                self.assertEqual(got.shape, (BATCH, TOKENS, WIDTH))
                relative = relative_error(got, want)
                print(f"{name}: off float64 by at most {numpy.abs(got - want).max():.3g}, "
                      f"relative (Frobenius) {relative:.3g}")
                self.assertLess(relative, TOLERANCE[data_type])
                # No token's own error hides among the others'.
                norms = [numpy.linalg.norm(each, axis=-1) for each in (got - want, want)]
                self.assertLess((norms[0] / norms[1]).max(), 2 * TOLERANCE[data_type])

    @unittest.skipIf(importlib.util.find_spec("torch") is None, "torch cannot be imported")
    def test_agrees_with_torch(self):
        for data_type, name in NAMES.items():
            with self.subTest(name):
                theirs = ask_torch(self.arrays[data_type], data_type)
                ours, exact = self.got[data_type], self.want[data_type]
                relative = relative_error(ours, theirs)
                own_error, their_error = (relative_error(each, exact) for each in (ours, theirs))
                print(f"{name}: off torch by at most {numpy.abs(ours - theirs).max():.3g}, "
                      f"relative {relative:.3g}; off float64: {own_error:.3g}, "
                      f"torch: {their_error:.3g}")
                self.assertLess(relative, 2 * TOLERANCE[data_type])
                self.assertLess(own_error, 2 * their_error)


if __name__ == "__main__":
    unittest.main()
