"""Projections.appended_key and appended_value: one more key and value, seen like any other."""

import unittest

import numpy

import contract
from attention.v1 import attention_service_pb2 as service
from layer_files import Numbers
from server_process import ServerProcess
from tensors import BF16, F32, F64, INT32, to_tensor


def embeddings(seed, *shape, data_type=F32):
    return to_tensor(numpy.random.default_rng(seed).normal(size=shape), data_type)


class AppendedTest(unittest.TestCase):
    def test_one_more_key_is_seen_like_any_other(self):
        numbers = Numbers(1)
        with ServerProcess() as server:
            for data_type in (F32, BF16, F64):
                request = service.CrossAttentionRequest(
                    query_embeddings=embeddings(1, 2, 3, 8, data_type=data_type),
                    memory_embeddings=embeddings(2, 2, 5, 8, data_type=data_type), head_count=2)
                request.projections.appended_key.CopyFrom(to_tensor(numbers(8), data_type))
                request.projections.appended_value.CopyFrom(to_tensor(numbers(8), data_type))
                request.options.return_weights = True
                for projected in (False, True):
                    if projected:
                        request.projections.key.weight.CopyFrom(
                            to_tensor(numbers(8, 8), data_type))
                    with self.subTest(data_type=data_type, projected=projected):
                        response = server.stub.CrossAttention(request, timeout=60)
                        self.assertEqual(contract.disagreements(request, response), [])
                        self.assertEqual(list(response.weights.shape), [2, 2, 3, 6])

    def test_it_can_be_hidden(self):
        with ServerProcess() as server:
            request = service.SelfAttentionRequest(embeddings=embeddings(1, 4, 6), head_count=2)
            plain = server.stub.SelfAttention(request, timeout=60).output.raw
            request.projections.appended_key.CopyFrom(embeddings(2, 6))
            request.projections.appended_value.CopyFrom(embeddings(3, 6))
            self.assertNotEqual(server.stub.SelfAttention(request, timeout=60).output.raw, plain)
            request.options.key_lengths.CopyFrom(to_tensor([4], INT32))
            response = server.stub.SelfAttention(request, timeout=60)
            self.assertEqual(contract.disagreements(request, response), [])


if __name__ == "__main__":
    unittest.main()
