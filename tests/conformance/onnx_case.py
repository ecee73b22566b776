"""Node tests of ONNX on disk: CASE/model.onnx with one node, and CASE/test_data_set_0/
{input_N,output_N}.pb, each one TensorProto."""

import dataclasses
import pathlib

import numpy

import onnx_subset_pb2 as onnx
from attention.v1 import tensor_pb2
from tensors import BF16, BOOL, F16, F32, F64, INT32, INT64

# TensorProto.DataType, by ONNX's numbers.
DATA_TYPES = {1: F32, 6: INT32, 7: INT64, 9: BOOL, 10: F16, 11: F64, 16: BF16}

_FLOAT, _INT = 1, 2  # AttributeProto.AttributeType


class Unsupported(Exception):
    """The case says something that this test does not understand, so it proves nothing."""


@dataclasses.dataclass
class Case:
    op_type: str
    opset: int
    inputs: list  # by slot of the operator: a Tensor of attention.v1, or None where absent
    outputs: list  # the expected ones, by slot likewise
    attributes: dict


def case_folders(folder):
    return sorted(model.parent for model in pathlib.Path(folder).glob("*/model.onnx"))


def read_case(folder):
    model = onnx.ModelProto.FromString((folder / "model.onnx").read_bytes())
    if len(model.graph.node) != 1:
        raise Unsupported(f"{len(model.graph.node)} nodes, want 1")
    node = model.graph.node[0]
    opsets = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if len(opsets) != 1:
        raise Unsupported(f"{len(opsets)} versions of ONNX's operators, want 1")
    data = folder / "test_data_set_0"
    return Case(
        node.op_type, opsets[0],
        _by_slot(node.input, model.graph.input, data, "input"),
        _by_slot(node.output, model.graph.output, data, "output"),
        {each.name: _attribute(each) for each in node.attribute})


def _by_slot(slots, declared, data, kind):
    """File N holds the N-th tensor that the graph declares; the node says by name in which of its
    slots that goes. An empty name leaves a slot out."""
    numbers = {each.name: number for number, each in enumerate(declared)}
    unused = set(numbers) - set(slots)
    if unused:
        raise Unsupported(f"{kind}s that the node does not use: {sorted(unused)}")
    return [_read_tensor(data / f"{kind}_{numbers[name]}.pb") if name else None for name in slots]


def _read_tensor(path):
    stored = onnx.TensorProto.FromString(path.read_bytes())
    if stored.data_type not in DATA_TYPES:
        raise Unsupported(f"{path.name}: data type {stored.data_type}")
    tensor = tensor_pb2.Tensor(
        data_type=DATA_TYPES[stored.data_type], shape=stored.dims, raw=stored.raw_data)
    if numpy.prod(stored.dims) > 0 and not stored.raw_data:
        raise Unsupported(f"{path.name}: its numbers are not in raw_data")
    return tensor


def _attribute(attribute):
    if attribute.type == _FLOAT:
        return attribute.f
    if attribute.type == _INT:
        return attribute.i
    raise Unsupported(f"attribute {attribute.name}: type {attribute.type}")
