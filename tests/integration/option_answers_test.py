"""Every option, in every method that takes it and every data type, is answered as the contract
says, statistics included."""

import unittest

import contract
import fields
from attention.v1 import options_pb2
from field_examples import OF_OPTIONS, request_of
from server_process import ServerProcess
from tensors import BF16, F16, F32, F64

METHODS = ("SelfAttention", "MaskedAttention", "MultiHeadAttention", "CrossAttention",
           "ScaledDotProductAttention")
STATISTICS = ("return_log_sum_exp", "return_entropy", "return_key_mass", "return_maximum_weight")
SCORES = (options_pb2.SCORES_KIND_RAW, options_pb2.SCORES_KIND_CAPPED,
          options_pb2.SCORES_KIND_MASKED)


def with_statistics(request):
    """Asks for all statistics, where they are of the softmax over keys."""
    if request.options.normalization in (0, options_pb2.NORMALIZATION_SOFTMAX_OVER_KEYS):
        for name in STATISTICS:
            setattr(request.options, name, True)
        request.options.return_top_weights = 3
    return request


class OptionAnswersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ServerProcess()

    @classmethod
    def tearDownClass(cls):
        cls.server.end_well()

    def check(self, method, request):
        response = getattr(self.server.stub, method)(request, timeout=60)
        self.assertEqual(contract.disagreements(request, response), [])

    def test_each_option_alone(self):
        for data_type in (F32, F16, BF16, F64):
            for method in METHODS:
                for name, example in OF_OPTIONS.items():
                    if example.refused or not self.fits(example, data_type):
                        continue
                    with self.subTest(f"{method}: {name} of type {data_type}"):
                        request = with_statistics(self.changed(method, example, data_type))
                        self.check(method, request)

    def fits(self, example, data_type):
        """Whether the example can be of the type: parameters of scores have the queries', and
        those of the examples are F32."""
        options = options_pb2.AttentionOptions()
        example.before(options)
        example.change(options)
        return data_type == F32 or options.WhichOneof("score") is None

    def changed(self, method, example, data_type):
        request = request_of(method, data_type)
        example.before(request.options)
        example.change(request.options)
        return request

    def test_every_kind_of_scores_with_all_that_changes_them(self):
        for kind in SCORES:
            with self.subTest(kind):
                request = request_of("ScaledDotProductAttention")
                for name in ("softcap", "alibi", "relative_position_bias", "additive_mask",
                             "boolean_mask", "causal", "temperature", "key_lengths", "sinks",
                             "rotary_embedding", "head_mask"):
                    OF_OPTIONS[f"AttentionOptions.{name}"].change(request.options)
                request.options.return_scores = kind
                self.check("ScaledDotProductAttention", with_statistics(request))

    def test_everything_that_hides_keys_together(self):
        for method in METHODS:
            with self.subTest(method):
                request = request_of(method)
                for name in ("boolean_mask", "additive_mask", "key_lengths", "causal", "window",
                             "prefix_lengths", "query_segments", "key_segments", "block_mask"):
                    OF_OPTIONS[f"AttentionOptions.{name}"].change(request.options)
                self.check(method, with_statistics(request))

    def test_the_options_are_those_of_the_protocol(self):
        options = fields.fields_within(options_pb2.AttentionOptions.DESCRIPTOR)
        self.assertEqual(set(OF_OPTIONS), set(options))


if __name__ == "__main__":
    unittest.main()
