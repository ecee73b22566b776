"""OpenVINO on the CPU: its ScaledDotProductAttention."""

import numpy
import openvino
from openvino import opset13

from .contestant import Contestant, Prepared, Unsupported
from .operands import Buffer

_TYPES = {"f32": openvino.Type.f32, "bf16": openvino.Type.bf16}


def _tensor(buffer):
    """The buffer's own memory."""
    if buffer.data_type == "f32":
        return openvino.Tensor(buffer.array, shared_memory=True)
    return openvino.Tensor(buffer.array, openvino.Shape(buffer.array.shape), openvino.Type.bf16)


def _repeat_heads(node, case):
    """The node with each key-value head once for every query head of its group."""
    if not case.grouped:
        return node
    batch, heads, keys, width = case.key_shape
    axis = opset13.constant(numpy.array([2], dtype=numpy.int64))
    group = numpy.array([batch, heads, case.query_heads // heads, keys, width], dtype=numpy.int64)
    wide = opset13.broadcast(opset13.unsqueeze(node, axis), opset13.constant(group))
    shape = numpy.array([batch, case.query_heads, keys, width], dtype=numpy.int64)
    return opset13.reshape(wide, opset13.constant(shape), special_zero=False)


class OpenVinoAttention(Contestant):
    """scaled_dot_product_attention of operator set 13, alone in a model."""

    name = "openvino_sdpa"

    def prepare(self, case, operands, threads):
        element = _TYPES[operands.data_type]
        query, key, value = (
            opset13.parameter(list(shape), element)
            for shape in (case.query_shape, case.key_shape, case.key_shape))
        attention = opset13.scaled_dot_product_attention(
            query, _repeat_heads(key, case), _repeat_heads(value, case), causal=case.causal)
        model = openvino.Model([attention], [query, key, value])
        properties = {
            "INFERENCE_PRECISION_HINT": operands.data_type,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        output = Buffer.empty(case.query_shape, operands.data_type)
        try:
            compiled = openvino.Core().compile_model(model, "CPU", properties)
            request = compiled.create_infer_request()
            for index, each in enumerate((operands.query, operands.key, operands.value)):
                request.set_input_tensor(index, _tensor(each))
            request.set_output_tensor(0, _tensor(output))
            request.infer()
        except RuntimeError as error:
            raise Unsupported(str(error).strip().split("\n")[-1][:120]) from error
        return Prepared(self.name, request.infer, lambda _: output.values())


CONTESTANTS = (OpenVinoAttention(),)
