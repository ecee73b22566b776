"""Statistics of long sequences: the memory that they take, and that they are right.

A full matrix of weights of 32,768 queries and keys is 4 GiB; nothing of that order may be held.
"""

import unittest

import numpy

from attention.v1 import attention_service_pb2 as service
from server_process import ServerProcess
from tensors import to_array, to_tensor

_WIDTH = 16
_TOP = 4
_MIB = 1 << 20

# Working sets of threads, packed keys and values, buffers of gRPC: a few times the messages, and
# what does not depend on the sequence.
_FIXED_BYTES = 96 * _MIB
_TIMES_THE_MESSAGES = 6


class StatisticsMemoryTest(unittest.TestCase):
    def setUp(self):
        self.random = numpy.random.default_rng(20220527)

    def test_memory_does_not_grow_with_the_square_of_the_sequence(self):
        for length in (8192, 16384, 32768):
            with self.subTest(length=length), ServerProcess() as server:
                request = self.request(length)
                before = peak_bytes(server)
                response = server.stub.ScaledDotProductAttention(request, timeout=600)
                taken = peak_bytes(server) - before
                matrix = 4 * length**2
                print(f"{length} queries and keys: {taken / _MIB:.0f} MiB at most, where a matrix "
                      f"of weights has {matrix / _MIB:.0f} MiB")
                messages = request.ByteSize() + response.ByteSize()
                self.assertLess(taken, _FIXED_BYTES + _TIMES_THE_MESSAGES * messages)
                self.check(request, response)

    def request(self, length):
        query, key, value = (
            to_tensor(self.random.standard_normal((1, length, _WIDTH))) for _ in range(3))
        return service.ScaledDotProductAttentionRequest(
            query=query, key=key, value=value, options={
                "return_log_sum_exp": True, "return_top_weights": _TOP, "return_entropy": True,
                "return_key_mass": True, "return_maximum_weight": True})

    def check(self, request, response):
        """A few queries against float64; of the keys' mass, the sum over all keys."""
        query, key = to_array(request.query)[0], to_array(request.key)[0]
        rows = self.random.choice(len(query), 8, replace=False)
        scores = query[rows] @ key.T / _WIDTH**0.5
        weights = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        total = weights.sum(axis=1, keepdims=True)
        weights /= total
        logarithms = scores - scores.max(axis=1, keepdims=True) - numpy.log(total)
        expected = {
            "log_sum_exp": scores.max(axis=1) + numpy.log(total[:, 0]),
            "entropy": -(weights * logarithms).sum(axis=1),
            "maximum_weight": weights.max(axis=1),
            "top_weights": -numpy.sort(-weights, axis=1)[:, :_TOP],
        }
        # A weight is off by its score's error twice, about (width + 2) units of the largest score
        # of some 6, and by a sum's walk over the keys.
        units = 2 * (_WIDTH + 2) * 6 + 2 * len(key) ** 0.5
        for name, wanted in expected.items():
            got = to_array(getattr(response, name))[0][rows]
            numpy.testing.assert_allclose(got, wanted, rtol=units * 2.0**-24, err_msg=name)
        mass = to_array(response.key_mass)
        self.assertAlmostEqual(mass.sum() / len(query), 1, delta=units * 2.0**-24)


def peak_bytes(server):
    """The most memory that the server has held so far."""
    with open(f"/proc/{server.pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    raise RuntimeError("no VmHWM")


if __name__ == "__main__":
    unittest.main()
