"""Past and present keys and values, and ragged batches: against the contract in float64 numpy,
against padded batches, and against each sequence sent alone."""

import unittest

import grpc
import numpy

import contract
from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from server_process import ServerProcess
from tensors import BF16, F16, F32, F64, INT32, INT64, to_array, to_tensor

TYPES = {"F32": F32, "F16": F16, "BF16": BF16, "F64": F64}
BOTTOM_RIGHT = options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT
KEY_LENGTHS = options_pb2.CAUSAL_ALIGNMENT_KEY_LENGTHS

HEADS, KEY_VALUE_HEADS, KEY_WIDTH, VALUE_WIDTH = 4, 2, 16, 24


def setUpModule():
    global servers
    servers = {count: ServerProcess(f"--compute-threads={count}") for count in (1, 2, 4)}


def tearDownModule():
    for server in servers.values():
        server.end_well()


def send(request, thread_count=2):
    return servers[thread_count].stub.ScaledDotProductAttention(request, timeout=120)


class BatchesTestCase(unittest.TestCase):
    def setUp(self):
        self.random = numpy.random.default_rng(20240917)

    def tensor(self, *shape, data_type=F32):
        return to_tensor(self.random.standard_normal(shape), data_type)

    def check(self, request):
        response = send(request)
        self.assertEqual(contract.disagreements(request, response), [])
        return response

    def check_refused(self, request, code, *texts):
        with self.assertRaises(grpc.RpcError) as caught:
            send(request)
        self.assertEqual(caught.exception.code(), code)
        for text in texts:
            self.assertIn(text, caught.exception.details())


class PastTest(BatchesTestCase):
    def request(self, batch=(2,), queries=5, past=7, layout=service.LAYOUT_HEADS_FIRST,
                data_type=F32, **fields):
        def ready(heads, rows, width):
            shape = {
                service.LAYOUT_HEADS_FIRST: (heads, rows, width),
                service.LAYOUT_SEQUENCE_FIRST: (rows, heads, width),
                service.LAYOUT_PACKED: (rows, heads * width),
            }[layout]
            return self.tensor(*batch, *shape, data_type=data_type)

        packed = layout == service.LAYOUT_PACKED
        request = service.ScaledDotProductAttentionRequest(
            query=ready(HEADS, queries, KEY_WIDTH),
            key=ready(KEY_VALUE_HEADS, queries, KEY_WIDTH),
            value=ready(KEY_VALUE_HEADS, queries, VALUE_WIDTH),
            layout=layout, head_count=HEADS if packed else 0,
            key_value_head_count=KEY_VALUE_HEADS if packed else 0, **fields)
        if past is not None:
            for name, width in (("past_key", KEY_WIDTH), ("past_value", VALUE_WIDTH)):
                getattr(request, name).CopyFrom(
                    self.tensor(*batch, KEY_VALUE_HEADS, past, width, data_type=data_type))
        return request

    def test_every_type_layout_and_length_of_past(self):
        for name, data_type in TYPES.items():
            for layout in (1, 2, 3):
                for batch in ((), (3,)):
                    for past in (None, 0, 1, 300):
                        with self.subTest(type=name, layout=layout, batch=batch, past=past):
                            self.check(self.request(
                                batch, past=past, layout=layout, data_type=data_type,
                                return_present=past != 1,
                                options={"causal": {"alignment": BOTTOM_RIGHT}}))

    def test_the_present_is_past_and_new_rows_to_the_bit(self):
        request = self.request(return_present=True)
        response = self.check(request)
        for name in ("key", "value"):
            whole = numpy.concatenate(
                [to_array(getattr(request, f"past_{name}")), to_array(getattr(request, name))],
                axis=2)
            self.assertEqual(getattr(response, f"present_{name}"), to_tensor(whole))

    def test_masks_lengths_scores_and_weights_count_past_keys(self):
        for options in (
                {"boolean_mask": to_tensor(self.random.random((5, 12)) < 0.6, 5)},
                {"additive_mask": self.tensor(2, 1, 5, 12)},
                {"key_lengths": to_tensor([12, 4], INT32)},
                {"causal": {"alignment": options_pb2.CAUSAL_ALIGNMENT_OFFSET, "offset": 3}}):
            with self.subTest(options=list(options)):
                self.check(self.request(options={
                    "return_weights": True, "return_scores": options_pb2.SCORES_KIND_MASKED,
                    **options}))

    def test_steps_of_a_decoder_give_what_the_whole_sequence_gives(self):
        whole = self.request(batch=(1,), queries=9, past=None, options={"causal": {}})
        want = to_array(send(whole).output)
        past_key = past_value = None
        for step in range(9):
            request = service.ScaledDotProductAttentionRequest(
                options={"causal": {"alignment": BOTTOM_RIGHT}}, return_present=True)
            for name in ("query", "key", "value"):
                rows = to_array(getattr(whole, name))[:, :, step:step + 1]
                getattr(request, name).CopyFrom(to_tensor(rows))
            if past_key is not None:
                request.past_key.CopyFrom(past_key)
                request.past_value.CopyFrom(past_value)
            response = self.check(request)
            past_key, past_value = response.present_key, response.present_value
            numpy.testing.assert_allclose(
                to_array(response.output)[:, :, 0], want[:, :, step], rtol=1e-5, atol=1e-6)
        self.assertEqual(past_key, whole.key)

    def test_the_present_counts_as_a_part_of_the_response(self):
        with ServerProcess("--max-response-bytes=4000") as server:
            request = self.request(batch=(1,), return_present=False)
            self.assertEqual(len(server.stub.ScaledDotProductAttention(request).output.raw), 1920)
            request.return_present = True
            with self.assertRaises(grpc.RpcError) as caught:
                server.stub.ScaledDotProductAttention(request)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertIn(f"response: got {1920 + 2 * 12 * 40 * 4} bytes", caught.exception.details())


class RaggedTest(BatchesTestCase):
    LENGTHS = ((5, 5), (1, 70), (0, 3), (40, 40), (2, 0), (33, 90), (1, 1), (16, 17))

    def request(self, lengths=LENGTHS, layout=service.LAYOUT_SEQUENCE_FIRST, data_type=F32,
                starts_type=INT32, **options):
        queries, keys = (sum(length[i] for length in lengths) for i in (0, 1))
        packed = layout == service.LAYOUT_PACKED

        def ready(rows, heads, width):
            shape = (rows, heads * width) if packed else (rows, heads, width)
            return self.tensor(*shape, data_type=data_type)

        starts = numpy.concatenate([[[0, 0]], numpy.cumsum(lengths, axis=0)])
        return service.ScaledDotProductAttentionRequest(
            query=ready(queries, HEADS, KEY_WIDTH),
            key=ready(keys, KEY_VALUE_HEADS, KEY_WIDTH),
            value=ready(keys, KEY_VALUE_HEADS, VALUE_WIDTH),
            layout=layout, head_count=HEADS if packed else 0,
            key_value_head_count=KEY_VALUE_HEADS if packed else 0,
            query_starts=to_tensor(starts[:, 0], starts_type),
            key_starts=to_tensor(starts[:, 1], starts_type), options=options)

    def test_every_type_and_layout(self):
        for name, data_type in TYPES.items():
            for layout in (service.LAYOUT_SEQUENCE_FIRST, service.LAYOUT_PACKED):
                for starts_type in (INT32, INT64):
                    with self.subTest(type=name, layout=layout, starts=starts_type):
                        self.check(self.request(
                            layout=layout, data_type=data_type, starts_type=starts_type,
                            causal={"alignment": BOTTOM_RIGHT}))

    def test_causal_alignments_count_in_each_sequence(self):
        equal = tuple((count, count) for count in (3, 1, 50, 8))
        self.check(self.request(equal, causal={}))
        for causal in ({"alignment": options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT},
                       {"alignment": BOTTOM_RIGHT},
                       {"alignment": options_pb2.CAUSAL_ALIGNMENT_OFFSET, "offset": 4}):
            with self.subTest(causal=causal):
                self.check(self.request(causal=causal))

    def test_key_lengths_count_in_each_sequence(self):
        lengths = to_tensor([keys - keys // 3 for _, keys in self.LENGTHS], INT64)
        self.check(self.request(key_lengths=lengths))
        self.check(self.request(key_lengths=lengths, causal={"alignment": KEY_LENGTHS}))

    def test_a_padded_batch_gives_the_same_within_rounding(self):
        lengths = tuple((count, count) for count in (3, 60, 1, 33))
        ragged = self.request(lengths, causal={})
        padded = service.ScaledDotProductAttentionRequest(
            layout=service.LAYOUT_SEQUENCE_FIRST,
            options={"causal": {}, "key_lengths": to_tensor([3, 60, 1, 33], INT32)})
        starts = numpy.cumsum([0, 3, 60, 1])
        for name in ("query", "key", "value"):
            rows = to_array(getattr(ragged, name))
            batch = numpy.full((4, 60, *rows.shape[1:]), numpy.nan)
            for entry, (start, (count, _)) in enumerate(zip(starts, lengths)):
                batch[entry, :count] = rows[start:start + count]
            getattr(padded, name).CopyFrom(to_tensor(batch))
        got, want = to_array(send(ragged).output), to_array(send(padded).output)
        for entry, (start, (count, _)) in enumerate(zip(starts, lengths)):
            numpy.testing.assert_allclose(
                got[start:start + count], want[entry, :count], rtol=1e-5, atol=1e-6)

    def alone(self, request, sequence):
        """The request for one sequence."""
        rows = {
            name: to_array(getattr(request, f"{name}_starts")).astype(int)[sequence:sequence + 2]
            for name in ("query", "key")}
        one = service.ScaledDotProductAttentionRequest()
        one.CopyFrom(request)
        one.ClearField("query_starts")
        one.ClearField("key_starts")
        for name, (begin, end) in (("query", rows["query"]), ("key", rows["key"]),
                                   ("value", rows["key"])):
            tensor = getattr(request, name)
            part = to_tensor(to_array(tensor)[begin:end], tensor.data_type)
            getattr(one, name).CopyFrom(part)
        return one, rows

    def check_alone(self, request, axes):
        """That every sequence of every answer has the bits of that sequence sent alone. `axes`
        names the tensors, whose rows they hold and on which axis."""
        answers = {count: send(request, count) for count in servers}
        for sequence in range(len(to_array(request.query_starts)) - 1):
            one, rows = self.alone(request, sequence)
            want = send(one, 1)
            for count, got in answers.items():
                for name, (role, axis) in axes.items():
                    whole = to_array(getattr(got, name))
                    part = numpy.moveaxis(whole, axis, 0)[slice(*rows[role])]
                    part = numpy.moveaxis(part, 0, axis)
                    numpy.testing.assert_array_equal(
                        part, to_array(getattr(want, name)),
                        err_msg=f"{name} of sequence {sequence} on {count} threads")

    def test_each_sequence_has_the_bits_that_it_has_alone(self):
        lengths = self.LENGTHS + ((300, 500),) + ((3, 4),) * 20
        for name, data_type in TYPES.items():
            with self.subTest(type=name):
                self.check_alone(
                    self.request(lengths, data_type=data_type, causal={"alignment": BOTTOM_RIGHT}),
                    {"output": ("query", 0)})

    STATISTICS = {
        "return_log_sum_exp": True, "return_entropy": True, "return_maximum_weight": True,
        "return_key_mass": True, "return_top_weights": 3}
    STATISTIC_AXES = {
        "output": ("query", 0), "log_sum_exp": ("query", 1), "entropy": ("query", 1),
        "maximum_weight": ("query", 1), "key_mass": ("key", 1), "top_weights": ("query", 1),
        "top_keys": ("query", 1)}

    def test_statistics_are_those_of_each_sequence_arranged_by_head(self):
        for name, data_type in TYPES.items():
            with self.subTest(type=name):
                self.check_alone(
                    self.request(
                        data_type=data_type, causal={"alignment": BOTTOM_RIGHT},
                        **self.STATISTICS),
                    self.STATISTIC_AXES)

    def test_every_option_that_has_no_batch_axis(self):
        per_head = self.tensor(HEADS)
        positive = to_tensor(1 + self.random.random(HEADS))
        bottom_right = {"alignment": BOTTOM_RIGHT}
        for name, options in {
                "window": {"window": {"left": 3, "right": 2}, "query_positions": bottom_right},
                "sinks": {"sinks": per_head},
                "alibi": {"alibi": {"slopes": per_head}, "query_positions": bottom_right},
                "buckets": {"relative_position_bias": {"table": self.tensor(8, HEADS)},
                            "query_positions": bottom_right},
                "rotary": {"rotary_embedding": {"base": 500}, "query_positions": bottom_right},
                "softcap": {"softcap": 2.0},
                "head_mask": {"head_mask": per_head},
                "temperature": {"temperature": positive},
                "uniform": {"fully_masked": options_pb2.FULLY_MASKED_POLICY_UNIFORM},
                "general": {"general_score": {"weight": self.tensor(KEY_WIDTH, KEY_WIDTH)}},
                "over queries": {
                    "normalization": options_pb2.NORMALIZATION_SOFTMAX_OVER_QUERIES},
                "prefixes": {
                    "causal": bottom_right,
                    "prefix_lengths": to_tensor([keys // 2 for _, keys in self.LENGTHS], INT64)},
                "float64": {"softmax_type": F64},
                "bf16": {"precision": options_pb2.PRECISION_BF16}}.items():
            with self.subTest(name):
                self.check(self.request(scale=0.5, **options))
                if name not in ("general", "over queries", "prefixes"):
                    self.check_alone(
                        self.request(**options, **self.STATISTICS), self.STATISTIC_AXES)

    def test_a_thousand_short_sequences(self):
        counts = self.random.integers(1, 12, 1000)
        self.check(self.request(tuple((count, count) for count in counts), causal={}))

    def test_what_a_ragged_batch_does_not_have_is_refused_naming_both(self):
        for field, change in (
                ("past_key", lambda r: r.past_key.CopyFrom(self.tensor(2, 3, 16))),
                ("return_present", lambda r: setattr(r, "return_present", True)),
                ("options.boolean_mask",
                 lambda r: r.options.boolean_mask.CopyFrom(to_tensor([1], 5))),
                ("options.return_weights",
                 lambda r: setattr(r.options, "return_weights", True))):
            with self.subTest(field):
                request = self.request()
                change(request)
                self.check_refused(
                    request, grpc.StatusCode.UNIMPLEMENTED, field, "query_starts")

    def test_starts_that_contradict_the_rows_are_refused(self):
        for field, starts in (("query_starts", [0, 6, 5]), ("key_starts", [1, 5]),
                              ("query_starts", [0, 4]), ("key_starts", [0]),
                              ("key_starts", [0, 2, 4, 5])):
            with self.subTest(field=field, starts=starts):
                request = self.request(((2, 3), (3, 2)))
                getattr(request, field).CopyFrom(to_tensor(starts, INT32))
                self.check_refused(request, grpc.StatusCode.INVALID_ARGUMENT, "_starts")

    def test_metrics_count_the_lengths_of_each_sequence(self):
        def counts():
            return [servers[1].sample(f"attention_sequence_length_{what}", role="query")
                    for what in ("count", "sum")]

        before = counts()
        send(self.request(), 1)
        count, total = (after - start for after, start in zip(counts(), before))
        self.assertEqual(count, len(self.LENGTHS))
        self.assertEqual(total, sum(queries for queries, _ in self.LENGTHS))


if __name__ == "__main__":
    unittest.main()
