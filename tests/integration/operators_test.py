"""Turning rows and merging states through a real server, against float64 numpy."""

import unittest

import grpc
import numpy

from attention.v1 import attention_service_pb2 as service
from contract.merging import merged_states
from contract.rotary import apply_rotary_embedding
from server_process import ServerProcess
from tensors import BF16, F16, F32, F64, INT32, INT64, round_to, to_array, to_tensor

TYPES = (F32, F16, BF16, F64)


class OperatorsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ServerProcess()
        cls.generator = numpy.random.default_rng(1706_03762)

    @classmethod
    def tearDownClass(cls):
        cls.server.end_well()

    def normals(self, *shape):
        return self.generator.standard_normal(shape)

    def check(self, got, want):
        self.assertEqual(to_array(got).shape, want.value.shape)
        difference = numpy.abs(to_array(got) - want.value)
        self.assertLessEqual((difference - want.error).max(initial=-numpy.inf), 0)

    def check_execution(self, execution, precision):
        self.assertEqual(execution.implementation, "elementwise")
        self.assertEqual(execution.precision, precision)
        self.assertGreaterEqual(execution.thread_count, 1)
        self.assertGreater(execution.compute_ns, 0)
        self.assertGreaterEqual(execution.total_ns, execution.compute_ns)
        self.assertTrue(execution.request_id)

    def test_rows_turn_by_tables(self):
        for data_type in TYPES:
            for interleaved in (False, True):
                for rank, width, ids in ((4, 0, None), (4, 6, INT32), (3, 10, INT64), (3, 0, None)):
                    with self.subTest(f"type {data_type}, {interleaved}, rank {rank}, {ids}"):
                        batch, heads, sequence, head_width = 2, 3, 70, 10
                        shape = ((batch, heads, sequence, head_width) if rank == 4 else
                                 (batch, sequence, heads * head_width))
                        pairs = (width or head_width) // 2
                        table = (9, pairs) if ids else (batch, sequence, pairs)
                        angles = self.generator.uniform(-3, 3, table)
                        request = service.ApplyRotaryEmbeddingRequest(
                            input=to_tensor(self.normals(*shape), data_type),
                            cos=to_tensor(numpy.cos(angles), data_type),
                            sin=to_tensor(numpy.sin(angles), data_type),
                            rotary_width=width, interleaved=interleaved,
                            head_count=heads if rank == 3 else 0)
                        if ids:
                            places = self.generator.integers(0, 9, (batch, sequence))
                            request.position_ids.CopyFrom(to_tensor(places, ids))
                        response = self.server.stub.ApplyRotaryEmbedding(request, timeout=60)
                        self.assertEqual(response.output.data_type, data_type)
                        self.check(response.output, apply_rotary_embedding(request))
                        self.check_execution(
                            response.execution, "f64" if data_type == F64 else "f32")

    def test_the_rotary_embedding_of_attention_is_that_of_the_tables(self):
        """Attention that turns queries and keys itself, and attention over turned ones."""
        queries, keys, width = 40, 60, 16
        query, key = self.normals(1, 2, queries, width), self.normals(1, 2, keys, width)
        value = to_tensor(self.normals(1, 2, keys, width), F64)
        rates = 10000.0 ** (-2 * numpy.arange(width // 2) / width)

        def turned(rows, first):
            angles = (first + numpy.arange(rows.shape[2]))[None, :, None] * rates
            return self.server.stub.ApplyRotaryEmbedding(service.ApplyRotaryEmbeddingRequest(
                input=to_tensor(rows, F64), cos=to_tensor(numpy.cos(angles), F64),
                sin=to_tensor(numpy.sin(angles), F64)), timeout=60).output

        positions = {"alignment": "CAUSAL_ALIGNMENT_BOTTOM_RIGHT"}
        inside = self.server.stub.ScaledDotProductAttention(
            service.ScaledDotProductAttentionRequest(
                query=to_tensor(query, F64), key=to_tensor(key, F64), value=value,
                options={"rotary_embedding": {}, "query_positions": positions}), timeout=60)
        outside = self.server.stub.ScaledDotProductAttention(
            service.ScaledDotProductAttentionRequest(
                query=turned(query, keys - queries), key=turned(key, 0), value=value), timeout=60)
        # Angles up to 60 were rounded, by numpy, to 2^-47.
        numpy.testing.assert_allclose(
            to_array(inside.output), to_array(outside.output), rtol=0, atol=2.0**-38)

    def test_states_merge(self):
        for data_type in TYPES:
            for shape in ((2, 3, 50, 10), (3, 50, 10)):
                for count in (1, 2, 5):
                    with self.subTest(f"type {data_type}, {shape}, {count} states"):
                        request = service.MergeAttentionStatesRequest()
                        statistic = F64 if data_type == F64 else F32
                        for _ in range(count):
                            log_sums = 5 * self.normals(*shape[:-1])
                            log_sums[..., :7] = -numpy.inf  # saw nothing
                            request.states.add(
                                output=to_tensor(self.normals(*shape), data_type),
                                log_sum_exp=to_tensor(log_sums, statistic))
                        response = self.server.stub.MergeAttentionStates(request, timeout=60)
                        want = merged_states(request)
                        self.assertEqual(response.output.data_type, data_type)
                        self.assertEqual(response.log_sum_exp.data_type, statistic)
                        self.check(response.output, want["output"])
                        got = to_array(response.log_sum_exp)
                        self.assertTrue(numpy.isneginf(got[..., :7]).all())
                        self.assertTrue((to_array(response.output)[..., :7, :] == 0).all())
                        error = want["log_sum_exp"].error[..., 7:]
                        difference = numpy.abs(got - want["log_sum_exp"].value)[..., 7:]
                        self.assertLessEqual((difference - error).max(), 0)
                        self.check_execution(response.execution, "f64")

    def test_merged_shards_of_the_keys_are_attention_over_all(self):
        for data_type in TYPES:
            query = to_tensor(self.normals(2, 4, 9, 16), data_type)
            key = round_to(self.normals(2, 2, 100, 16), data_type)
            value = round_to(self.normals(2, 2, 100, 16), data_type)
            sinks = {"sinks": to_tensor(self.normals(4))}

            def attend(keys, options):
                return self.server.stub.ScaledDotProductAttention(
                    service.ScaledDotProductAttentionRequest(
                        query=query, key=to_tensor(key[:, :, keys], data_type),
                        value=to_tensor(value[:, :, keys], data_type),
                        options=options | {"return_log_sum_exp": True}), timeout=60)

            whole = attend(slice(0, 100), sinks)
            for count in range(2, 9):
                with self.subTest(f"type {data_type}, {count} shards"):
                    request = service.MergeAttentionStatesRequest()
                    edges = numpy.linspace(0, 100, count + 1).astype(int)
                    for begin, end in zip(edges, edges[1:]):
                        shard = attend(slice(begin, end), sinks if begin == 0 else {})
                        request.states.add(output=shard.output, log_sum_exp=shard.log_sum_exp)
                    merged = self.server.stub.MergeAttentionStates(request, timeout=60)
                    # Each output is within 8 roundings of the values' size, which is below 5.
                    unit = {F32: 2.0**-24, F16: 2.0**-11, BF16: 2.0**-8, F64: 2.0**-53}[data_type]
                    numpy.testing.assert_allclose(
                        to_array(merged.output), to_array(whole.output), rtol=0, atol=5 * 8 * unit)
                    numpy.testing.assert_allclose(
                        to_array(merged.log_sum_exp), to_array(whole.log_sum_exp), rtol=0,
                        atol=5 * 8 * (unit if data_type in (F32, F64) else 2.0**-8))

    def test_floats_are_answered_in_floats(self):
        turned = self.server.stub.ApplyRotaryEmbedding(service.ApplyRotaryEmbeddingRequest(
            input={"shape": [1, 1, 1, 2], "floats": [1, 2]},
            cos={"shape": [1, 1, 1], "floats": [0]},
            sin={"shape": [1, 1, 1], "floats": [1]}), timeout=60)
        self.assertEqual(list(turned.output.floats), [-2, 1])
        merged = self.server.stub.MergeAttentionStates(service.MergeAttentionStatesRequest(states=[
            {"output": {"shape": [1, 1, 1], "floats": [number]},
             "log_sum_exp": {"shape": [1, 1], "floats": [0]}} for number in (1, 3)]), timeout=60)
        self.assertEqual(list(merged.output.floats), [2])
        self.assertAlmostEqual(merged.log_sum_exp.floats[0], numpy.log(2), places=6)

    def test_a_deadline_that_has_passed_stops_them(self):
        for method, request in (
                ("ApplyRotaryEmbedding", service.ApplyRotaryEmbeddingRequest()),
                ("MergeAttentionStates", service.MergeAttentionStatesRequest())):
            with self.assertRaises(grpc.RpcError) as raised:
                getattr(self.server.stub, method)(request, timeout=-1)
            self.assertEqual(raised.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)


if __name__ == "__main__":
    unittest.main()
