"""ONNX Runtime on the CPU: the standard's Attention, and its own MultiHeadAttention."""

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper

from .contestant import Contestant, Prepared, Unsupported
from .operands import Buffer

_TYPES = {"f32": TensorProto.FLOAT, "bf16": TensorProto.BFLOAT16}
_OPERATORS = [helper.make_opsetid("", 24), helper.make_opsetid("com.microsoft", 1)]


def make_session(nodes, inputs, output, data_type, *, threads, constants=()):
    """A session of a graph; inputs and output are (name, shape) pairs."""
    element = _TYPES[data_type]
    graph = helper.make_graph(
        nodes, "attention",
        [helper.make_tensor_value_info(name, element, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(output[0], element, output[1])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants])
    model = helper.make_model(graph, opset_imports=_OPERATORS, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # Its exceptions have no common class of their own.
        raise Unsupported(str(error).split("\n")[0][:120]) from error


def bind(session, inputs, output):
    """A function that runs the session from and to the given buffers, without copies."""

    def value(buffer):
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(
            buffer.array, _TYPES[buffer.data_type])

    binding = session.io_binding()
    kept = {name: value(buffer) for name, buffer in inputs.items()}
    for name, each in kept.items():
        binding.bind_ortvalue_input(name, each)
    kept_output = value(output)
    binding.bind_ortvalue_output(session.get_outputs()[0].name, kept_output)

    def run(_keep=(kept, kept_output)):
        session.run_with_iobinding(binding)

    try:
        run()
    except Exception as error:
        raise Unsupported(str(error).split("\n")[0][:120]) from error
    return run


class OnnxAttention(Contestant):
    """Attention of the standard, operator set 24."""

    name = "ort_attention"

    def prepare(self, case, operands, threads):
        node = helper.make_node(
            "Attention", ["query", "key", "value"], ["output"], is_causal=int(case.causal))
        session = make_session(
            [node],
            [("query", case.query_shape), ("key", case.key_shape), ("value", case.key_shape)],
            ("output", case.query_shape), operands.data_type, threads=threads)
        output = Buffer.empty(case.query_shape, operands.data_type)
        run = bind(session, {"query": operands.query, "key": operands.key, "value": operands.value},
                   output)
        return Prepared(self.name, run, lambda _: output.values())


class OnnxMultiHeadAttention(Contestant):
    """com.microsoft.MultiHeadAttention, in the layout that it wants: [batch, sequence, width]."""

    name = "ort_mha"

    def prepare(self, case, operands, threads):
        if case.grouped:
            raise Unsupported("has no grouped heads")
        width = case.query_heads * case.width
        shapes = {name: (case.batch, count, width) for name, count in
                  (("query", case.queries), ("key", case.key_shape[2]),
                   ("value", case.key_shape[2]))}
        node = helper.make_node(
            "MultiHeadAttention", ["query", "key", "value"], ["output"], domain="com.microsoft",
            num_heads=case.query_heads, unidirectional=int(case.causal))
        session = make_session([node], list(shapes.items()), ("output", shapes["query"]),
                               operands.data_type, threads=threads)
        buffers = {}
        for name, shape in shapes.items():
            buffers[name] = getattr(operands, name).rearranged(0, 2, 1, 3)
            buffers[name].array = buffers[name].array.reshape(shape)
        output = Buffer.empty(shapes["query"], operands.data_type)
        run = bind(session, buffers, output)

        def heads_first(_):
            split = (case.batch, case.queries, case.query_heads, case.width)
            return numpy.swapaxes(output.values().reshape(split), 1, 2)

        return Prepared(self.name, run, heads_first)


class OnnxLayer(Contestant):
    """com.microsoft.Attention, which projects queries, keys and values, and a product behind it."""

    name = "ort_layer"
    kinds = ("layer",)

    def prepare(self, case, operands, threads):
        if operands.data_type != "f32":
            raise Unsupported("is in f32")
        shape = (case.batch, case.tokens, case.width)
        nodes = [
            helper.make_node("Attention", ["embeddings", "in_weight", "in_bias"], ["attended"],
                             domain="com.microsoft", num_heads=case.heads),
            helper.make_node("MatMul", ["attended", "out_weight"], ["product"]),
            helper.make_node("Add", ["product", "out_bias"], ["output"]),
        ]
        constants = [
            ("in_weight", numpy.ascontiguousarray(operands.in_weight.array.T)),
            ("in_bias", operands.in_bias.array),
            ("out_weight", numpy.ascontiguousarray(operands.out_weight.array.T)),
            ("out_bias", operands.out_bias.array),
        ]
        session = make_session(nodes, [("embeddings", shape)], ("output", shape), "f32",
                               threads=threads, constants=constants)
        output = Buffer.empty(shape, "f32")
        run = bind(session, {"embeddings": operands.embeddings}, output)
        return Prepared(self.name, run, lambda _: output.values())


CONTESTANTS = (OnnxAttention(), OnnxMultiHeadAttention(), OnnxLayer())
