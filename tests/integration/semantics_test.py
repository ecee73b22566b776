"""The column "Fused" of docs/semantics.md, by what the server says that it ran."""

import pathlib
import re
import unittest

import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from server_process import ServerProcess
from tensors import BOOL, F32, F64, INT32, to_tensor

_DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "semantics.md"
_KEYS, _HEADS, _WIDTH = 70, 2, 16
_UNFUSED = "unfused-float64"

_OFFSET = {"alignment": options_pb2.CAUSAL_ALIGNMENT_OFFSET, "offset": 30}


def ones(*shape, data_type=F32):
    return to_tensor(numpy.ones(shape), data_type)


def lower_half(*shape):
    return to_tensor(numpy.arange(numpy.prod(shape)).reshape(shape) % 2, BOOL)


def segments(count):
    return to_tensor(numpy.arange(count)[None] // 40, INT32)


def examples(queries):
    """Options that ask for what a row of the document is about, by the row's first field."""
    return {
        "scale": {"scale": 0.5},
        "general_score": {"general_score": {"weight": ones(_WIDTH, _WIDTH)}},
        "additive_score": {"additive_score": {
            "query_weight": ones(_WIDTH, 3), "key_weight": ones(_WIDTH, 3), "vector": ones(3)}},
        "softcap": {"softcap": 5.0},
        "additive_mask": {"additive_mask": ones(_KEYS)},
        "multiplicative_mask": {
            "multiplicative_mask": ones(_KEYS), "normalization": options_pb2.NORMALIZATION_NONE},
        "alibi": {"alibi": {"slopes": ones(_HEADS)}, "query_positions": _OFFSET},
        "relative_position_bias": {
            "relative_position_bias": {"table": ones(32, _HEADS)}, "query_positions": _OFFSET},
        "rotary_embedding": {"rotary_embedding": {}, "query_positions": _OFFSET},
        "temperature": {"temperature": ones(_HEADS)},
        "precision": {"precision": options_pb2.PRECISION_BF16_X3},
        "softmax_type": {"softmax_type": F64},
        "boolean_mask": {"boolean_mask": lower_half(_HEADS, queries, _KEYS)},
        "short_masks": {"boolean_mask": lower_half(_KEYS - 9), "short_masks": True},
        "block_mask": {"block_mask": {
            "mask": lower_half(1, 9), "query_block_size": 64, "key_block_size": 8}},
        "causal": {"causal": _OFFSET},
        "Causal.alignment": {
            "causal": {"alignment": options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT}},
        "query_positions": {"window": {"left": 9}, "query_positions": _OFFSET},
        "window": {"window": {"left": 9, "right": 3}, "query_positions": _OFFSET},
        "prefix_lengths": {"prefix_lengths": to_tensor([40], INT32), "causal": _OFFSET},
        "key_lengths": {"key_lengths": to_tensor([50], INT32)},
        "query_segments": {
            "query_segments": segments(queries), "key_segments": segments(_KEYS)},
        "normalization": {"normalization": options_pb2.NORMALIZATION_SOFTMAX_OVER_QUERIES},
        "sinks": {"sinks": ones(_HEADS)},
        "head_mask": {"head_mask": ones(_HEADS)},
        "fully_masked": {"fully_masked": options_pb2.FULLY_MASKED_POLICY_UNIFORM},
        "return_weights": {"return_weights": True},
        "return_scores": {"return_scores": options_pb2.SCORES_KIND_CAPPED},
        "return_log_sum_exp": {"return_log_sum_exp": True},
        "return_top_weights": {"return_top_weights": 3},
        "return_entropy": {"return_entropy": True},
        "return_key_mass": {"return_key_mass": True},
        "return_maximum_weight": {"return_maximum_weight": True},
    }


def documented():
    """{first field: whether it runs fused} of the rows about options; "only ..." says no."""
    text = _DOCUMENT.read_text(encoding="utf-8")
    found = {}
    for line in text[text.index("## Scores"):].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        field = re.match(r"`([\w.]+)`", cells[1]) if len(cells) == 8 else None
        if field and cells[6]:
            found[field.group(1)] = cells[6] == "yes"
    return found


class SemanticsTest(unittest.TestCase):
    def test_what_the_document_calls_fused_runs_fused_and_nothing_else_does(self):
        with ServerProcess() as server:
            info = server.stub.GetServerInfo(service.GetServerInfoRequest(), timeout=10)
            if info.implementations[0] == _UNFUSED:
                self.skipTest("nothing is fused on this processor")
            for queries in (1, 40):
                for field, options in examples(queries).items():
                    with self.subTest(field, queries=queries):
                        ran = self.run_with(server, queries, options)
                        self.assertEqual(ran != _UNFUSED, documented()[field], ran)

    def test_every_option_that_the_document_describes_is_tried(self):
        self.assertEqual(set(examples(1)), set(documented()))

    def run_with(self, server, queries, options):
        request = service.ScaledDotProductAttentionRequest(
            query=ones(1, _HEADS, queries, _WIDTH), key=ones(1, _HEADS, _KEYS, _WIDTH),
            value=ones(1, _HEADS, _KEYS, _WIDTH), options=options)
        response = server.stub.ScaledDotProductAttention(request, timeout=60)
        return response.execution.implementation


if __name__ == "__main__":
    unittest.main()
