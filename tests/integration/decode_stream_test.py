"""What streams of DecodeAttention answer and what they refuse."""

import unittest

import grpc
import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from decode_streams import (
    KEY_WIDTH, LAST, LAYOUTS, METHOD, VALUE_WIDTH, Steps, Stream, StreamTestCase, changed, step)
from server_process import ServerProcess
from tensors import BF16, BOOL, F16, F32, F64, INT32, to_tensor


def without_execution(response):
    copy = service.AttentionResponse()
    copy.CopyFrom(response)
    copy.ClearField("execution")
    return copy


class AnswersTest(StreamTestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ServerProcess("--compute-threads=1")

    @classmethod
    def tearDownClass(cls):
        cls.server.end_well()

    def check(self, stream, request, whole):
        wanted = self.server.stub.ScaledDotProductAttention(whole, timeout=60)
        answer = stream.ask(request)
        self.assertEqual(without_execution(answer), without_execution(wanted))
        self.assertEqual(answer.execution.precision, wanted.execution.precision)

    def check_steps(self, steps, counts, **options):
        stream = Stream(self.server.stub)
        for queries, keys in counts:
            self.check(stream, *steps.next(queries, keys, **options))
        self.assertEqual(stream.end(), ([], grpc.StatusCode.OK))
        self.check_idle(self.server)

    def test_every_type_and_layout_gets_the_bits_of_one_request_with_a_past(self):
        counts = ((5, 5), (1, 1), (3, 3), (1, 60), (2, 1), (1, 100), (4, 0), (0, 2), (40, 40))
        for data_type in (F32, F16, BF16, F64):
            for layout in LAYOUTS:
                for batch in ((), (3,)):
                    for heads, key_value_heads in ((4, 2), (3, 3)):
                        with self.subTest(f"{data_type} {layout} {batch} {heads}"):
                            steps = Steps(data_type, layout, batch, heads, key_value_heads)
                            self.check_steps(steps, counts, causal=LAST)

    def test_every_precision_at_the_sizes_of_models(self):
        counts = ((150, 150), (1, 1), (20, 20), (1, 1))
        for data_type, precisions in ((F32, options_pb2.Precision.values()), (BF16, (0,))):
            for precision in precisions:
                with self.subTest(f"{data_type} {precision}"):
                    steps = Steps(data_type, service.LAYOUT_SEQUENCE_FIRST, (), 8, 2, (128, 64))
                    self.check_steps(steps, counts, causal=LAST, precision=precision)

    def changing_options(self, steps):
        """(new queries, new keys, options), each fit for the keys that there will be."""
        rows = lambda *shape: to_tensor(self.numbers.normal(size=shape))
        booleans = lambda *shape: to_tensor(self.numbers.random(shape) < 0.7, BOOL)
        held = lambda: steps.keys.shape[-2]
        yield 4, 4, {"causal": {}}
        yield 2, 3, {"causal": LAST, "window": {"left": 3}}
        yield 1, 1, {"softcap": 0.5, "scale": 0.3}
        yield 2, 2, {"causal": LAST, "alibi": {"slopes": rows(steps.heads)}}
        yield 1, 1, {"sinks": rows(steps.heads), "temperature": to_tensor([0.5] * steps.heads)}
        yield 2, 2, {"boolean_mask": booleans(2, held() + 2)}
        yield 3, 1, {"additive_mask": rows(steps.heads, 3, held() + 1)}
        yield 1, 50, {"key_lengths": to_tensor([held() + 7] * 2, INT32)}
        yield 2, 2, {"causal": LAST, "rotary_embedding": {"base": 100.0}}
        yield 1, 1, {"return_weights": True, "return_scores": options_pb2.SCORES_KIND_MASKED}
        yield 2, 2, {"boolean_mask": booleans(2, 3), "short_masks": True}
        yield 1, 1, {"general_score": {"weight": to_tensor(
            self.numbers.normal(size=(KEY_WIDTH, KEY_WIDTH)), steps.data_type)}}
        yield 3, 2, {
            "causal": LAST, "return_log_sum_exp": True, "return_top_weights": 2,
            "return_entropy": True, "return_key_mass": True, "return_maximum_weight": True}
        yield 2, 1, {"normalization": options_pb2.NORMALIZATION_SOFTMAX_OVER_QUERIES}
        yield 2, 1, {"query_segments": to_tensor([[0, 1]] * 2, INT32), "key_segments": to_tensor(
            self.numbers.integers(0, 2, (2, held() + 1)), INT32)}
        yield 1, 1, {"softmax_type": F64}

    def test_options_may_change_from_request_to_request(self):
        self.numbers = numpy.random.default_rng(2)
        for data_type in (F32, F16, BF16, F64):
            steps = Steps(data_type, batch=(2,))
            stream = Stream(self.server.stub)
            for queries, keys, options in self.changing_options(steps):
                with self.subTest(f"{data_type}: {', '.join(options)}"):
                    self.check(stream, *steps.next(queries, keys, **options))
            stream.end()

    def test_the_first_request_may_bring_a_past(self):
        for layout in LAYOUTS:
            for past_count, key_count in ((70, 2), (3, 0), (0, 2)):
                with self.subTest(f"{layout} {past_count} {key_count}"):
                    steps = Steps(BF16, layout, (2,))
                    steps.next(1, past_count)
                    _, first = steps.next(2, key_count, causal=LAST)
                    stream = Stream(self.server.stub)
                    self.check(stream, first, first)
                    self.check(stream, *steps.next())
                    stream.end()

    def test_a_stream_may_begin_without_keys_and_with_an_empty_batch(self):
        self.check_steps(Steps(), ((2, 0), (1, 0), (1, 3)))
        self.check_steps(Steps(batch=(0,)), ((1, 40), (1, 40), (1, 1)), return_key_mass=True)

    def test_layout_batch_axis_and_query_heads_may_change(self):
        steps = Steps(heads=2, key_value_heads=2)
        stream = Stream(self.server.stub)
        for layout, heads in zip(LAYOUTS + LAYOUTS, (2, 4, 2, 6, 2, 2)):
            steps.layout, steps.heads = layout, heads
            self.check(stream, *steps.next(2, 3))
        steps.batch, steps.keys, steps.values = (1,), steps.keys[None], steps.values[None]
        self.check(stream, *steps.next())
        stream.end()

    def test_requests_may_be_sent_without_waiting(self):
        steps = Steps(heads=4, key_value_heads=2)
        requests, wholes = zip(*(steps.next(1 + i % 3, 1 + i % 5) for i in range(100)))
        stream = Stream(self.server.stub)
        stream.send(*requests)
        answers, code = stream.end()
        self.assertEqual(code, grpc.StatusCode.OK)
        self.assertEqual(len(answers), len(requests))
        for answer, whole in zip(answers, wholes):
            wanted = self.server.stub.ScaledDotProductAttention(whole, timeout=60)
            self.assertEqual(answer.output, wanted.output)
        self.check_idle(self.server)

    def test_all_answers_have_the_request_id_of_the_stream(self):
        stream = Stream(self.server.stub)
        ids = {stream.ask(step()).execution.request_id for _ in range(2)}
        self.assertEqual(ids, {dict(stream.call.initial_metadata())["x-request-id"]})
        self.assertEqual(stream.end(), ([], grpc.StatusCode.OK))

    def test_a_stream_without_requests_ends_well(self):
        self.assertEqual(Stream(self.server.stub).end(), ([], grpc.StatusCode.OK))


def with_past(key_count=2, **how):
    steps = Steps(**how)
    steps.next(1, key_count)
    return steps.next()[1]


STARTS = to_tensor([0, 1], INT32)
TENSOR = to_tensor([[[1.0] * KEY_WIDTH]])
FIRST = "the stream's first request"
# (what the stream's later request is, or its bytes; what is said of it)
REFUSED_LATER = (
    (with_past(), "past_key: got a tensor, want nothing after " + FIRST),
    (changed(past_value=TENSOR), "past_key: got nothing"),
    (changed(return_present=True), "return_present: got true, want false"),
    (changed(query_starts=STARTS), "query_starts: got a tensor, want nothing in DecodeAttention"),
    (changed(key_starts=STARTS), "key_starts: got a tensor, want nothing in DecodeAttention"),
    (step(data_type=BF16), "key.data_type: got DATA_TYPE_BF16, want the type of " + FIRST),
    (step(batch=(2,)), "key.shape[0]: got 2, want 1 as in " + FIRST),
    (step(key_value_heads=2), "key.shape[0]: got 2, want 1 as in " + FIRST),
    (changed(query=to_tensor([[[1.0] * 5]] * 2), key=to_tensor([[[1.0] * 5]])),
     "key.shape[2]: got 5, want 8 as in " + FIRST),
    (changed(value=to_tensor([[[1.0] * 5]])), "value.shape[2]: got 5, want 6 as in " + FIRST),
    (changed(value=to_tensor([[[1.0] * VALUE_WIDTH] * 2])), "value"),
    (service.ScaledDotProductAttentionRequest(), "query: got nothing, want a tensor"),
    (b"\xff", "request: not a valid ScaledDotProductAttentionRequest message"),
)
REFUSED_FIRST = (
    (changed(past_key=TENSOR), "past_value: got nothing"),
    (changed(with_past(), past_key=to_tensor([[[1.0] * KEY_WIDTH] * 3])), "past_value.shape[1]"),
    (changed(return_present=True), "return_present: got true, want false"),
    (changed(query_starts=STARTS, key_starts=STARTS), "query_starts: got a tensor"),
    (changed(step(2, 1), options=options_pb2.AttentionOptions(causal={})), "causal"),
)


class RefusalsTest(StreamTestCase):
    def check_refused(self, server, requests, words, code=grpc.StatusCode.INVALID_ARGUMENT):
        call = server.channel.stream_stream(METHOD)(iter(
            [each if isinstance(each, bytes) else each.SerializeToString() for each in requests]),
            timeout=60)
        with self.subTest(words), self.assertRaises(grpc.RpcError) as caught:
            for _ in requests[1:]:
                next(call)
            next(call)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        self.assertIn(words, caught.exception.details())
        self.check_idle(server)

    def test_what_is_refused_ends_the_stream_and_frees_what_it_keeps(self):
        with self.serve() as server:
            for request, words in REFUSED_FIRST:
                self.check_refused(server, [request], words)
            for request, words in REFUSED_LATER:
                self.check_refused(server, [step(1, 3), step(1, 0), request], words)
                self.check_refused(server, [step(1, 0), request], words)
            count = len(REFUSED_FIRST) + 2 * len(REFUSED_LATER)
            refused = server.sample("attention_requests_total", code="invalid_argument")
            self.assertEqual(refused, count)
            self.assertEqual(server.sample("attention_rejected_total"), count)
            self.check_refused(server, [step(), b"\xa2\x06\x00"], "field number 100",
                               grpc.StatusCode.UNIMPLEMENTED)
            self.check_alive(server)

    def test_what_follows_a_refused_request_is_not_read(self):
        with self.serve() as server:
            stream = Stream(server.stub)
            stream.send(step(), changed(return_present=True), *[step()] * 20)
            answers, code = stream.rest()
            self.assertEqual((len(answers), code), (1, grpc.StatusCode.INVALID_ARGUMENT))
            self.check_idle(server)
            self.assertEqual(server.sample("attention_requests_total"), 2)


if __name__ == "__main__":
    unittest.main()
