"""Tensors of attention.v1 from and to numpy."""

import numpy

from attention.v1 import tensor_pb2

F32 = tensor_pb2.DATA_TYPE_F32
F16 = tensor_pb2.DATA_TYPE_F16
BF16 = tensor_pb2.DATA_TYPE_BF16
F64 = tensor_pb2.DATA_TYPE_F64
BOOL = tensor_pb2.DATA_TYPE_BOOL
INT32 = tensor_pb2.DATA_TYPE_INT32
INT64 = tensor_pb2.DATA_TYPE_INT64

_NUMPY_TYPES = {F32: "<f4", F16: "<f2", F64: "<f8", BOOL: "u1", INT32: "<i4", INT64: "<i8"}


def to_tensor(array, data_type=F32, form="raw"):
    """Returns a Tensor of `array`, rounded to `data_type`. `form` is "raw" or "floats"."""
    array = numpy.asarray(array)
    tensor = tensor_pb2.Tensor(data_type=data_type, shape=array.shape)
    if form == "floats":
        tensor.floats.extend(array.ravel().tolist())
    elif data_type == BF16:
        tensor.raw = _bf16_bits(array).tobytes()
    else:
        tensor.raw = array.astype(_NUMPY_TYPES[data_type]).tobytes()
    return tensor


def to_array(tensor):
    """Returns the tensor's elements as float64."""
    data_type = tensor.data_type or F32
    if tensor.floats:
        return round_to(numpy.array(tensor.floats, "f4"), data_type).reshape(tensor.shape)
    if data_type == BF16:
        bits = numpy.frombuffer(tensor.raw, "<u2").astype("<u4") << 16
        array = bits.view("<f4")
    else:
        array = numpy.frombuffer(tensor.raw, _NUMPY_TYPES[data_type])
    return array.astype("f8").reshape(tensor.shape)


def round_to(array, data_type):
    """Returns `array` as float64, each element rounded to `data_type`."""
    return to_array(to_tensor(array, data_type))


def _bf16_bits(array):
    """The upper halves of the nearest float32s, ties to even."""
    bits = numpy.ascontiguousarray(array, "<f4").view("<u4").astype("u8")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
