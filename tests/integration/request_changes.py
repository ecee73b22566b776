"""Small valid requests, and the means to make malformed ones of them."""

import dataclasses

import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from tensors import BOOL, F32, INT32, to_tensor

INVALID = "INVALID_ARGUMENT"
UNIMPLEMENTED = "UNIMPLEMENTED"


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    method: str
    payload: bytes
    codes: tuple
    field: str  # what the message must contain


def tensor(*shape, data_type=F32):
    return to_tensor(numpy.ones(shape), data_type)


def projection(inputs, outputs):
    return service.Projection(weight=tensor(inputs, outputs), bias=tensor(outputs))


def _options(query_count):
    """Every option of two heads of width 3 and three keys that goes with the others."""
    bottom_right = {"alignment": options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT}
    return options_pb2.AttentionOptions(
        causal=bottom_right, query_positions=bottom_right, window={"left": 2, "right": 2},
        boolean_mask=tensor(1, 3, data_type=BOOL), additive_mask=tensor(3),
        key_lengths=to_tensor([3], INT32), prefix_lengths=to_tensor([1], INT32),
        query_segments=tensor(1, query_count, data_type=INT32),
        key_segments=tensor(1, 3, data_type=INT32),
        block_mask={"mask": tensor(1, 2, data_type=BOOL), "query_block_size": 3,
                    "key_block_size": 2},
        alibi={"slopes": tensor(2)}, relative_position_bias={"table": tensor(8, 2)},
        rotary_embedding={"width": 2}, sinks=tensor(2), head_mask=tensor(2),
        temperature=tensor(2), return_top_weights=1)


def valid_requests():
    """One valid request of each method, with every kind of message inside."""
    projections = service.Projections(
        query=projection(4, 6), key=projection(4, 6), value=projection(4, 2),
        output=projection(2, 5))
    return {
        "SelfAttention": service.SelfAttentionRequest(
            embeddings=tensor(1, 3, 4), projections=projections, head_count=2,
            options={"general_score": {"weight": tensor(3, 3)}}),
        "MaskedAttention": service.MaskedAttentionRequest(
            embeddings=tensor(1, 3, 4), projections=projections, head_count=2,
            options=_options(query_count=3)),
        "MultiHeadAttention": service.MultiHeadAttentionRequest(
            query=tensor(1, 2, 4), key=tensor(1, 3, 4), value=tensor(1, 3, 4),
            projections=projections, head_count=2, options=_options(query_count=2)),
        "CrossAttention": service.CrossAttentionRequest(
            query_embeddings=tensor(1, 2, 4), memory_embeddings=tensor(1, 3, 4),
            projections=projections, head_count=2,
            options={"additive_score": {
                "query_weight": tensor(3, 4), "key_weight": tensor(3, 4), "vector": tensor(4)}}),
        "ScaledDotProductAttention": service.ScaledDotProductAttentionRequest(
            query=tensor(1, 4, 2, 4), key=tensor(1, 2, 3, 4), value=tensor(1, 2, 3, 4),
            options={"normalization": options_pb2.NORMALIZATION_NONE,
                     "multiplicative_mask": tensor(2, 3)}),
        "ApplyRotaryEmbedding": service.ApplyRotaryEmbeddingRequest(
            input=tensor(1, 2, 3, 4), cos=tensor(2, 2), sin=tensor(2, 2),
            position_ids=tensor(1, 3, data_type=INT32), head_count=2),
        "MergeAttentionStates": service.MergeAttentionStatesRequest(
            states=[{"output": tensor(2, 3, 4), "log_sum_exp": tensor(2, 3)}]),
    }


def walk(message, path=""):
    """Yields (path, message) for every message that is set, the request itself first."""
    yield path, message
    for field, content in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        place = f"{path}.{field.name}" if path else field.name
        if field.label == field.LABEL_REPEATED:
            for index, each in enumerate(content):
                yield from walk(each, f"{place}[{index}]")
        else:
            yield from walk(content, place)


def find(request, path):
    for name in path.split(".") if path else ():
        name, _, index = name.partition("[")
        request = getattr(request, name)
        if index:
            request = request[int(index.rstrip("]"))]
    return request


def case(name, method, request, field, code=INVALID):
    return Case(f"{method}: {name}", method, request.SerializeToString(), (code,), field)


def changed(request, path, change):
    copy = type(request)()
    copy.CopyFrom(request)
    change(find(copy, path))
    return copy


def set_shape(*shape):
    def change(tensor):
        tensor.shape[:] = shape
    return change


def set_fields(**values):
    def change(message):
        for name, value in values.items():
            setattr(message, name, value)
    return change
