"""Stock Python gRPC with stubs generated from proto/, against the contract in float64 numpy."""

import unittest

import grpc
import numpy

import contract
import health_pb2
import health_pb2_grpc
import reflection_pb2
import reflection_pb2_grpc
from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from google.protobuf import descriptor_pb2
from server_process import ServerProcess
from tensors import BF16, BOOL, F16, F32, F64, INT32, INT64, to_array, to_tensor

SERVICE = "attention.v1.AttentionService"
TYPES = {"F32": F32, "F16": F16, "BF16": BF16, "F64": F64}


def setUpModule():
    global server
    server = ServerProcess()


def tearDownModule():
    server.end_well()


def send(request):
    """Calls the method that takes this request."""
    method = type(request).__name__.removesuffix("Request")
    return getattr(server.stub, method)(request, timeout=120)


class NumericTestCase(unittest.TestCase):
    def setUp(self):
        self.random = numpy.random.default_rng(20170612)

    def tensor(self, *shape, data_type=F32, form="raw"):
        return to_tensor(self.random.standard_normal(shape), data_type, form)

    def projection(self, inputs, outputs, bias=True, **kind):
        weight = self.random.standard_normal((inputs, outputs)) / inputs**0.5
        projection = service.Projection(weight=to_tensor(weight, **kind))
        if bias:
            projection.bias.CopyFrom(self.tensor(outputs, **kind))
        return projection

    def check(self, request):
        """Sends the request, compares everything in the answer, and returns it."""
        response = send(request)
        self.assertEqual(contract.disagreements(request, response), [])
        self.assertTrue(response.execution.implementation)
        self.assertGreaterEqual(response.execution.thread_count, 1)
        self.assertGreaterEqual(response.execution.total_ns, response.execution.compute_ns)
        self.assertTrue(response.execution.request_id)
        return response


class AttentionTest(NumericTestCase):
    def test_every_type_and_form_through_every_method(self):
        for name, data_type in TYPES.items():
            for form in ("raw", "floats"):
                for request in self.one_of_each(data_type=data_type, form=form):
                    with self.subTest(type=name, form=form, request=type(request).__name__):
                        response = self.check(request)
                        self.assertEqual(response.output.data_type, data_type)
                        self.assertEqual(bool(response.output.floats), form == "floats")

    def one_of_each(self, **kind):
        words, memory = self.tensor(2, 5, 8, **kind), self.tensor(2, 7, 6, **kind)
        square = service.Projections(
            query=self.projection(8, 12, **kind), key=self.projection(8, 12, **kind),
            value=self.projection(8, 6, **kind), output=self.projection(6, 4, **kind))
        crossing = service.Projections(
            key=self.projection(6, 8, **kind), value=self.projection(6, 4, bias=False, **kind))
        yield service.SelfAttentionRequest(embeddings=words, projections=square, head_count=3)
        yield service.MaskedAttentionRequest(
            embeddings=words, projections=square, head_count=2,
            options={"causal": {}, "return_weights": True})
        yield service.CrossAttentionRequest(
            query_embeddings=words, memory_embeddings=memory, projections=crossing, head_count=2)
        yield service.MultiHeadAttentionRequest(
            query=words, key=memory, value=memory, projections=crossing, head_count=4)
        yield service.ScaledDotProductAttentionRequest(
            query=self.tensor(2, 4, 5, 8, **kind), key=self.tensor(2, 2, 7, 8, **kind),
            value=self.tensor(2, 2, 7, 3, **kind))

    def test_without_a_batch_axis_the_answer_has_none_either(self):
        self.check(service.SelfAttentionRequest(
            embeddings=self.tensor(5, 8), head_count=2, options={"return_weights": True}))

    def test_key_and_value_default_to_query_and_key(self):
        query, key = self.tensor(2, 4, 6), self.tensor(2, 4, 6)
        self.check(service.MultiHeadAttentionRequest(query=query, head_count=2))
        self.check(service.MultiHeadAttentionRequest(query=query, key=key, head_count=2))

    def test_grouped_heads_share_keys_and_values(self):
        projections = service.Projections(
            query=self.projection(16, 24), key=self.projection(16, 8), value=self.projection(16, 4))
        self.check(service.MultiHeadAttentionRequest(
            query=self.tensor(2, 9, 16), projections=projections, head_count=6,
            key_value_head_count=2, options={"return_weights": True}))

    def test_layouts_of_ready_operands(self):
        batches = {"with batch": (2,), "without": ()}
        for name, batch in batches.items():
            for layout, query, key, value in (
                    (service.LAYOUT_UNSPECIFIED, (4, 5, 8), (2, 7, 8), (2, 7, 3)),
                    (service.LAYOUT_HEADS_FIRST, (4, 5, 8), (2, 7, 8), (2, 7, 3)),
                    (service.LAYOUT_SEQUENCE_FIRST, (5, 4, 8), (7, 2, 8), (7, 2, 3)),
                    (service.LAYOUT_PACKED, (5, 32), (7, 16), (7, 6))):
                packed = layout == service.LAYOUT_PACKED
                with self.subTest(batch=name, layout=service.Layout.Name(layout)):
                    self.check(service.ScaledDotProductAttentionRequest(
                        query=self.tensor(*batch, *query), key=self.tensor(*batch, *key),
                        value=self.tensor(*batch, *value), layout=layout,
                        head_count=4 if packed else 0, key_value_head_count=2 if packed else 0,
                        options={"return_weights": True}))

    def test_an_answer_without_queries_is_empty(self):
        response = self.check(service.CrossAttentionRequest(
            query_embeddings=self.tensor(2, 0, 4), memory_embeddings=self.tensor(2, 3, 4)))
        self.assertEqual(list(response.output.shape), [2, 0, 4])

    def test_queries_without_keys_get_zeros(self):
        response = self.check(service.CrossAttentionRequest(
            query_embeddings=self.tensor(2, 3, 4), memory_embeddings=self.tensor(2, 0, 4)))
        numpy.testing.assert_array_equal(to_array(response.output), numpy.zeros((2, 3, 4)))

    def test_what_is_exactly_at_a_limit_is_allowed(self):
        for name, queries, memory, heads in (
                ("batch", (65536, 1, 1), (65536, 1, 1), 1),
                ("queries", (1048576, 1), (1, 1), 1),
                ("keys", (1, 1), (1048576, 1), 1),
                ("width", (1, 65536), (1, 65536), 64),
                ("head width", (2, 1024), (3, 1024), 1),
                ("heads", (2, 1024), (3, 1024), 1024)):
            with self.subTest(name):
                self.check(service.CrossAttentionRequest(
                    query_embeddings=self.tensor(*queries), memory_embeddings=self.tensor(*memory),
                    head_count=heads))

    def test_a_long_sequence_in_every_type(self):
        for name, data_type in TYPES.items():
            with self.subTest(type=name):
                self.check(service.ScaledDotProductAttentionRequest(
                    query=self.tensor(2, 131, 64, data_type=data_type),
                    key=self.tensor(1, 257, 64, data_type=data_type),
                    value=self.tensor(1, 257, 40, data_type=data_type),
                    options={"causal": {"alignment": options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT}}))


class OptionsTest(NumericTestCase):
    def check_options(self, data_type=F32, query_count=6, key_count=6, **options):
        request = service.CrossAttentionRequest(
            query_embeddings=self.tensor(2, query_count, 8, data_type=data_type),
            memory_embeddings=self.tensor(2, key_count, 8, data_type=data_type),
            head_count=2, options=options_pb2.AttentionOptions(return_weights=True, **options))
        response = self.check(request)
        for kind in (options_pb2.SCORES_KIND_RAW, options_pb2.SCORES_KIND_MASKED):
            request.options.return_scores = kind
            self.check(request)
        return response

    def test_scale(self):
        self.check_options(scale=0.25)
        self.check_options(scale=-3.0)
        weights = to_array(self.check_options(scale=0.0).weights)
        numpy.testing.assert_allclose(weights, 1 / 6, rtol=1e-6)

    def test_normalizations(self):
        for normalization in options_pb2.Normalization.values():
            for data_type in (F32, F64):
                with self.subTest(normalization=normalization, data_type=data_type):
                    self.check_options(normalization=normalization, data_type=data_type)

    def test_general_score(self):
        for data_type in (F32, F64, BF16):
            self.check_options(
                data_type=data_type,
                general_score={"weight": self.tensor(4, 4, data_type=data_type)})

    def test_additive_score(self):
        for data_type in (F32, F64):
            parameters = {
                "query_weight": self.tensor(4, 5, data_type=data_type),
                "key_weight": self.tensor(4, 5, data_type=data_type),
                "vector": self.tensor(5, data_type=data_type),
            }
            self.check_options(data_type=data_type, key_count=9, additive_score=parameters)

    def test_every_precision_keeps_its_bound(self):
        for name, precision in options_pb2.Precision.items():
            with self.subTest(name):
                self.check_options(precision=precision)
                self.check_options(query_count=70, key_count=129, precision=precision)
                self.check_options(
                    precision=precision, normalization=options_pb2.NORMALIZATION_NONE)
                self.check(service.MultiHeadAttentionRequest(
                    query=self.tensor(2, 40, 64), head_count=2,
                    projections=service.Projections(
                        query=self.projection(64, 64), key=self.projection(64, 64),
                        value=self.projection(64, 64), output=self.projection(64, 48)),
                    options={"precision": precision, "causal": {}}))

    def test_numbers_that_a_split_cannot_hold_are_computed_in_f32(self):
        for name, precision in options_pb2.Precision.items():
            for magnitude in (2.0**-70, 2.0**70):
                with self.subTest(name, magnitude=magnitude):
                    query = magnitude * self.random.standard_normal((1, 32, 16))
                    request = service.CrossAttentionRequest(
                        query_embeddings=to_tensor(query),
                        memory_embeddings=to_tensor(self.random.standard_normal((1, 48, 16))),
                        options={"precision": precision, "scale": 1 / magnitude})
                    response = send(request)
                    self.assertIn(response.execution.precision, ("f32", "f64"))
                    request.options.precision = options_pb2.PRECISION_F32
                    self.assertEqual(
                        contract.differences(
                            "output", response.output, contract.answer(request).output), [])

    def test_boolean_masks_of_every_shape_that_broadcasts(self):
        for shape in ((1,), (9,), (6, 9), (6, 1), (1, 9), (2, 6, 9), (1, 1, 9), (2, 1, 1, 9),
                      (1, 2, 6, 9), (2, 2, 6, 9)):
            with self.subTest(shape=shape):
                mask = to_tensor(self.random.random(shape) < 0.6, BOOL)
                self.check_options(key_count=9, boolean_mask=mask)

    def test_additive_masks_of_the_allowed_types(self):
        for data_type, mask_type in ((F32, F32), (F32, F64), (BF16, BF16), (BF16, F32), (F16, F16),
                                     (F64, F64), (F64, F32)):
            with self.subTest(data_type=data_type, mask_type=mask_type):
                terms = self.random.standard_normal((6, 9))
                terms[self.random.random((6, 9)) < 0.3] = -numpy.inf
                self.check_options(
                    data_type=data_type, key_count=9, additive_mask=to_tensor(terms, mask_type))

    def test_multiplicative_mask(self):
        self.check_options(
            normalization=options_pb2.NORMALIZATION_NONE, multiplicative_mask=self.tensor(6, 6))

    def test_causal_in_every_alignment(self):
        self.check_options(causal={})
        for alignment, offset in (
                (options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT, None),
                (options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT, None),
                (options_pb2.CAUSAL_ALIGNMENT_OFFSET, 0),
                (options_pb2.CAUSAL_ALIGNMENT_OFFSET, 5),
                (options_pb2.CAUSAL_ALIGNMENT_OFFSET, -2),
                (options_pb2.CAUSAL_ALIGNMENT_OFFSET, 2**31),
                (options_pb2.CAUSAL_ALIGNMENT_OFFSET, -(2**31))):
            for key_count in (3, 6, 9):
                with self.subTest(alignment=alignment, offset=offset, key_count=key_count):
                    causal = options_pb2.Causal(alignment=alignment, offset=offset)
                    self.check_options(key_count=key_count, causal=causal)

    def test_key_lengths(self):
        for data_type in (INT32, INT64):
            for lengths in ([9, 9], [4, 0], [1, 8]):
                with self.subTest(lengths=lengths):
                    self.check_options(key_count=9, key_lengths=to_tensor(lengths, data_type))

    def test_masks_combine(self):
        self.check_options(
            key_count=9,
            boolean_mask=to_tensor(self.random.random((2, 1, 6, 9)) < 0.7, BOOL),
            additive_mask=self.tensor(9),
            causal={"alignment": options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT},
            key_lengths=to_tensor([7, 5], INT32))

    def test_what_is_hidden_reaches_nothing_be_it_nan(self):
        memory = self.random.standard_normal((2, 9, 8))
        memory[:, 6:] = numpy.nan
        memory[:, 7] = numpy.inf
        for data_type in TYPES.values():
            response = self.check(service.CrossAttentionRequest(
                query_embeddings=self.tensor(2, 4, 8, data_type=data_type),
                memory_embeddings=to_tensor(memory, data_type), head_count=2,
                options={"key_lengths": to_tensor([6, 5], INT64), "return_weights": True}))
            self.assertTrue(numpy.isfinite(to_array(response.output)).all())


class StandardServicesTest(unittest.TestCase):
    def test_server_info_tells_the_documented_limits(self):
        info = server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
        self.assertRegex(info.version, r"^\d+\.\d+\.\d+")
        self.assertIn("unfused-float64", info.implementations)
        self.assertGreaterEqual(info.compute_thread_count, 1)
        self.assertEqual(info.max_request_bytes, 256 << 20)
        self.assertEqual(info.max_response_bytes, 256 << 20)
        self.assertEqual(info.max_request_flops, 1e13)
        self.assertEqual(info.max_request_float64_flops, 1e11)
        self.assertGreater(info.queue_capacity, 0)
        self.assertEqual(info.default_precision, options_pb2.PRECISION_F32)

    def test_health_is_serving_for_the_server_and_its_service(self):
        stub = health_pb2_grpc.HealthStub(server.channel)
        for name in ("", SERVICE):
            request = health_pb2.HealthCheckRequest(service=name)
            serving = health_pb2.HealthCheckResponse.SERVING
            self.assertEqual(stub.Check(request, timeout=10).status, serving)
            watch = stub.Watch(request, timeout=30)
            self.assertEqual(next(watch).status, serving)
            watch.cancel()

    def test_health_of_an_unknown_service(self):
        stub = health_pb2_grpc.HealthStub(server.channel)
        request = health_pb2.HealthCheckRequest(service="no.such.Service")
        with self.assertRaises(grpc.RpcError) as caught:
            stub.Check(request, timeout=10)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        watch = stub.Watch(request, timeout=30)
        self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
        watch.cancel()

    def test_an_unknown_method_is_unimplemented(self):
        for method in ("/attention.v1.AttentionService/Nothing", "/attention.v2.Other/Do"):
            with self.assertRaises(grpc.RpcError) as caught:
                server.channel.unary_unary(method)(b"", timeout=10)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def ask_reflection(self, **question):
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        request = reflection_pb2.ServerReflectionRequest(**question)
        return next(stub.ServerReflectionInfo(iter([request]), timeout=10))

    def test_reflection_lists_the_services(self):
        listing = self.ask_reflection(list_services="").list_services_response
        names = {each.name for each in listing.service}
        self.assertLessEqual({SERVICE, "grpc.health.v1.Health"}, names)

    def test_reflection_describes_the_health_protocol(self):
        answer = self.ask_reflection(file_containing_symbol="grpc.health.v1.Health")
        self.assertTrue(answer.file_descriptor_response.file_descriptor_proto, answer)

    def test_reflection_describes_every_method(self):
        answer = self.ask_reflection(file_containing_symbol=SERVICE)
        methods = set()
        for serialized in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
            methods |= {method.name for each in file.service for method in each.method}
        declared = service.DESCRIPTOR.services_by_name["AttentionService"].methods_by_name
        self.assertEqual(methods, set(declared))

    def test_compressed_requests_are_refused(self):
        request = service.SelfAttentionRequest(embeddings=to_tensor(numpy.eye(64)))
        with self.assertRaises(grpc.RpcError) as caught:
            server.stub.SelfAttention(request, compression=grpc.Compression.Gzip, timeout=10)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)


if __name__ == "__main__":
    unittest.main()
