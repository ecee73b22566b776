"""Layers as PyTorch, Keras and plain programs save them, written by numpy alone, and the same
layers as the projections of a request."""

import json
import pathlib
import struct

import numpy

from attention.v1 import attention_service_pb2 as service
from tensors import BF16, F16, F32, F64, to_tensor

_NAMES = {F32: "F32", F16: "F16", BF16: "BF16", F64: "F64"}


def write_safetensors(path, arrays, data_type=F32):
    """Writes {name: array} as safetensors."""
    entries, elements = {"__metadata__": {"format": "np"}}, b""
    for name, array in arrays.items():
        raw = to_tensor(array, data_type).raw
        entries[name] = {
            "dtype": _NAMES[data_type], "shape": list(array.shape),
            "data_offsets": [len(elements), len(elements) + len(raw)]}
        elements += raw
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(header)) + header + elements)


def write_layer(directory, name, description, arrays, data_type=F32):
    folder = pathlib.Path(directory) / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "layer.json").write_text(json.dumps(description))
    write_safetensors(folder / "weights.safetensors", arrays, data_type)


class Numbers:
    """Random numbers from a seed, of the size that weights have."""

    def __init__(self, seed):
        self._generator = numpy.random.default_rng(seed)

    def __call__(self, *shape):
        return self._generator.normal(size=shape) / numpy.sqrt(shape[-1])


def pytorch_arrays(numbers, width, appends=False):
    """The state of torch.nn.MultiheadAttention(width, heads)."""
    arrays = {
        "in_proj_weight": numbers(3 * width, width), "in_proj_bias": numbers(3 * width),
        "out_proj.weight": numbers(width, width), "out_proj.bias": numbers(width)}
    if appends:
        arrays |= {"bias_k": numbers(1, 1, width), "bias_v": numbers(1, 1, width)}
    return arrays


def pytorch_projections(arrays, data_type=F32):
    width = arrays["in_proj_weight"].shape[1]
    projections = service.Projections()
    for index, field in enumerate((projections.query, projections.key, projections.value)):
        rows = slice(index * width, (index + 1) * width)
        _fill(field, arrays["in_proj_weight"][rows].T, arrays["in_proj_bias"][rows], data_type)
    _fill(projections.output, arrays["out_proj.weight"].T, arrays["out_proj.bias"], data_type)
    if "bias_k" in arrays:
        projections.appended_key.CopyFrom(to_tensor(arrays["bias_k"].ravel(), data_type))
        projections.appended_value.CopyFrom(to_tensor(arrays["bias_v"].ravel(), data_type))
    return projections


def keras_arrays(numbers, width, head_count, key_value_head_count, head_width):
    """The weights of keras.layers.GroupQueryAttention, or of MultiHeadAttention."""
    arrays = {}
    for name, heads in (("query", head_count), ("key", key_value_head_count),
                        ("value", key_value_head_count)):
        arrays[f"{name}/kernel"] = numbers(width, heads, head_width)
        arrays[f"{name}/bias"] = numbers(heads, head_width)
    arrays["attention_output/kernel"] = numbers(head_count, head_width, width)
    arrays["attention_output/bias"] = numbers(width)
    return arrays


def keras_projections(arrays, data_type=F32):
    projections = service.Projections()
    for name, field in (("query", projections.query), ("key", projections.key),
                        ("value", projections.value)):
        kernel = arrays[f"{name}/kernel"]
        _fill(field, kernel.reshape(kernel.shape[0], -1), arrays[f"{name}/bias"].ravel(), data_type)
    kernel = arrays["attention_output/kernel"]
    _fill(projections.output, kernel.reshape(-1, kernel.shape[2]), arrays["attention_output/bias"],
          data_type)
    return projections


def plain_projections(arrays, data_type=F32):
    projections = service.Projections()
    for name in ("query", "key", "value", "output"):
        if f"{name}.weight" in arrays:
            _fill(getattr(projections, name), arrays[f"{name}.weight"],
                  arrays.get(f"{name}.bias"), data_type)
    return projections


def _fill(projection, weight, bias, data_type):
    projection.weight.CopyFrom(to_tensor(weight, data_type))
    if bias is not None:
        projection.bias.CopyFrom(to_tensor(bias, data_type))
