"""Requests whose bytes, tensors or numbers are wrong whatever they are for.

All are made of valid requests, changed in one way; the random bytes are seeded.
"""

import random
import struct
import warnings

from google.protobuf.message import DecodeError

from attention.v1 import tensor_pb2
from request_changes import (
    INVALID, UNIMPLEMENTED, Case, case, changed, find, set_fields, set_shape, valid_requests, walk)


def cases():
    yield from _bad_tensors()
    yield from _unknown_fields()
    yield from _unknown_enumerators()
    yield from _bad_bytes()


def _bad_tensors():
    """Every way in which a tensor can contradict itself, at every place where a tensor can be."""
    def floats_instead(tensor):
        tensor.raw = b""
        tensor.floats.extend([1.0] * 7)

    faults = (
        ("a byte too few", ".raw", lambda t: set_fields(raw=t.raw[:-1])(t)),
        ("a byte too many", ".raw", lambda t: set_fields(raw=t.raw + b"\0")(t)),
        ("no contents", ".raw", set_fields(raw=b"")),
        ("both contents", "", lambda t: t.floats.append(1.0)),
        ("a wrong count of floats", ".floats", floats_instead),
        ("a negative extent", ".shape[0]", lambda t: set_shape(-1, *t.shape[1:])(t)),
        ("the most negative extent", ".shape[0]",
         lambda t: set_shape(-(2**63), *t.shape[1:])(t)),
        ("extents that overflow", ".shape", set_shape(2**32, 2**32)),
        ("extents that overflow by their bytes", ".shape", set_shape(2**61, 2)),
        ("a zero that hides an overflow", ".shape", set_shape(0, 2**62, 8)),
        ("too many elements", ".shape", set_shape(2**31)),
        ("no extents", ".shape", set_shape()),
        ("five extents", ".shape", set_shape(1, 1, 1, 1, 1)),
    )
    for method, request in valid_requests().items():
        places = [path for path, each in walk(request) if isinstance(each, tensor_pb2.Tensor)]
        for place in places:
            for name, suffix, change in faults:
                yield case(
                    f"{place}: {name}", method, changed(request, place, change), place + suffix)


def _field_bytes(number, wire_type, content):
    return _varint(number << 3 | wire_type) + content


def _varint(value):
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _with_planted(request, path, planted):
    """The request's bytes with `planted` at the end of the message at `path`."""
    message = request.SerializeToString()
    names = path.split(".") if path else []
    content = find(request, path).SerializeToString() + planted
    for depth in range(len(names), 0, -1):
        parent = find(request, ".".join(names[:depth - 1]))
        rest = type(parent)()
        rest.CopyFrom(parent)
        name = names[depth - 1].partition("[")[0]  # of one repeated message at most
        rest.ClearField(name)
        number = parent.DESCRIPTOR.fields_by_name[name].number
        content = rest.SerializeToString() + _field_bytes(
            number, 2, _varint(len(content)) + content)
    return content if names else message + planted


def _unknown_fields():
    """A field number that the message does not have, in every message at every depth."""
    for method, request in valid_requests().items():
        for path, _ in walk(request):
            for number, wire_type, content in ((99, 0, _varint(1)), (2**29 - 1, 2, b"\x03abc")):
                payload = _with_planted(request, path, _field_bytes(number, wire_type, content))
                yield Case(
                    f"{method}: {path or 'request'}: field {number}", method, payload,
                    (UNIMPLEMENTED,), f"{path or 'request'}: field number {number}")


def _unknown_enumerators():
    places = (
        ("MaskedAttention", "embeddings", "data_type"),
        ("MaskedAttention", "options.boolean_mask", "data_type"),
        ("MaskedAttention", "options", "normalization"),
        ("MaskedAttention", "options", "return_scores"),
        ("MaskedAttention", "options", "precision"),
        ("MaskedAttention", "options", "fully_masked"),
        ("MaskedAttention", "options", "softmax_type"),
        ("MaskedAttention", "options.causal", "alignment"),
        ("MaskedAttention", "options.query_positions", "alignment"),
        ("ScaledDotProductAttention", "", "layout"),
        ("ScaledDotProductAttention", "options", "normalization"),
    )
    for method, path, name in places:
        request = valid_requests()[method]
        number = find(request, path).DESCRIPTOR.fields_by_name[name].number
        for value in (99, -1, 2**31 - 1, 2**32, 2**32 + 1):
            planted = _field_bytes(number, 0, _varint(value))
            field = f"{path}.{name}" if path else name
            yield Case(
                f"{method}: {field} = {value}", method, _with_planted(request, path, planted),
                (INVALID,), field)


def _bad_bytes():
    generator = random.Random(1706_03762)
    for method, request in valid_requests().items():
        payload = request.SerializeToString()
        for cut in sorted(generator.sample(range(1, len(payload)), 12)):
            if not _parses(request, payload[:cut]):
                yield Case(f"{method}: the first {cut} bytes", method, payload[:cut], (INVALID,),
                           "request")
        for length in (1, 2, 3, 5, 8, 13, 64, 1000, 100_000):
            noise = generator.randbytes(length)
            if not _parses(request, noise):
                yield Case(f"{method}: {length} random bytes", method, noise,
                           (INVALID, UNIMPLEMENTED), "")
        for name, odd in (
                ("field number 0", b"\x00\x01"),
                ("an endless varint", _integer_tag(request) + b"\xff" * 11),
                ("a group", b"\x0b\x0c"),
                ("the end of a group", b"\x0c"),
                ("a length beyond the end", b"\x0a\x7f\x00"),
                ("a length of 2 GiB", b"\x0a\xff\xff\xff\xff\x07"),
                ("a negative length", b"\x0a" + _varint(-1)),
                ("a tensor as a number", b"\x08\x01"),
                ("wire type 6", b"\x0e\x01"),
                ("a head count beyond 32 bits", _integer_tag(request) + _varint(2**32 + 1)),
                ("300 extents", _field_bytes(1, 2, b"\xaf\x02\x12\xac\x02" + b"\x01" * 300))):
            yield Case(f"{method}: {name}", method, odd, (INVALID,), "")
        corrupt = bytearray(payload)
        corrupt[1] ^= 0x7F
        yield Case(f"{method}: a wrong inner length", method, bytes(corrupt),
                   (INVALID, UNIMPLEMENTED), "")
    nan = struct.pack("<d", float("nan"))
    yield Case("MaskedAttention: a scale cut short", "MaskedAttention",
               _field_bytes(4, 2, b"\x05\x09" + nan[:4]), (INVALID,), "request")


def _integer_tag(request):
    """Of the head count, or of a field 1 that is none in requests without."""
    field = request.DESCRIPTOR.fields_by_name.get("head_count")
    return _varint((field.number if field else 1) << 3)


def _parses(request, payload):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            type(request).FromString(payload)
        except DecodeError:
            return False
        return not caught  # the library only warns of a stray end of a group
