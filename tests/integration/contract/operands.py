"""From requests to queries, keys and values per head, and from attended heads to an answer."""

import dataclasses
from collections.abc import Callable

import numpy

from attention.v1 import attention_service_pb2 as service
from contract.bounded import Bounded, concatenate, exact
from tensors import to_array


@dataclasses.dataclass
class Operands:
    query: Bounded  # [batch, heads, queries, width]
    key: Bounded  # [batch, key-value heads, keys, width]
    value: Bounded
    shape_output: Callable  # of [batch, heads, queries, value width]
    has_batch: bool


def first_tensor(request):
    names = {
        service.SelfAttentionRequest: "embeddings",
        service.MaskedAttentionRequest: "embeddings",
        service.CrossAttentionRequest: "query_embeddings",
    }
    return getattr(request, names.get(type(request), "query"))


def operands_of(request, roundoff):
    if isinstance(request, service.ScaledDotProductAttentionRequest):
        return _ready_operands(request, roundoff)
    return _projected_operands(request, roundoff)


def _projected_operands(request, roundoff):
    sources = {
        service.SelfAttentionRequest: lambda r: [r.embeddings] * 3,
        service.MaskedAttentionRequest: lambda r: [r.embeddings] * 3,
        service.CrossAttentionRequest:
            lambda r: [r.query_embeddings, r.memory_embeddings, r.memory_embeddings],
        service.MultiHeadAttentionRequest: _multi_head_sources,
    }[type(request)](request)
    has_batch = len(first_tensor(request).shape) == 3
    head_count = request.head_count or 1
    key_value_head_count = getattr(request, "key_value_head_count", 0) or head_count
    projections = request.projections
    operands = []
    for source, name, heads in zip(
            sources, ("query", "key", "value"),
            (head_count, key_value_head_count, key_value_head_count)):
        array = to_array(source)
        projected = exact(array if array.ndim == 3 else array[None])
        if projections.HasField(name):
            projected = _project(projected, getattr(projections, name), roundoff)
        if name != "query" and projections.HasField(f"appended_{name}"):
            projected = _append(projected, getattr(projections, f"appended_{name}"))
        operands.append(projected.map(lambda a, n=heads: _split_heads(a, n)))

    def shape_output(attended):
        joined = roundoff.store(attended).map(_join_heads)
        if projections.HasField("output"):
            joined = _project(joined, projections.output, roundoff)
        return joined if has_batch else joined.map(lambda a: a[0])

    return Operands(*operands, shape_output, has_batch)


def _append(rows, tensor):
    """One more row after those of every batch entry."""
    batch, _, width = rows.value.shape
    row = numpy.broadcast_to(to_array(tensor), (batch, 1, width))
    return concatenate([rows, exact(row)], axis=1)


def _multi_head_sources(request):
    key = request.key if request.HasField("key") else request.query
    return [request.query, key, request.value if request.HasField("value") else key]


def _ready_operands(request, roundoff):
    packed = request.layout == service.LAYOUT_PACKED
    has_batch = len(request.query.shape) == (3 if packed else 4)
    heads = request.head_count
    key_value_heads = request.key_value_head_count or heads

    def to_heads_first(tensor, head_count):
        array = to_array(tensor)
        array = array if has_batch else array[None]
        if packed:
            return _split_heads(array, head_count)
        return array.swapaxes(1, 2) if request.layout == service.LAYOUT_SEQUENCE_FIRST else array

    def with_past(name):
        new = exact(to_heads_first(getattr(request, name), key_value_heads))
        if not request.HasField(f"past_{name}"):
            return new
        past = to_array(getattr(request, f"past_{name}"))
        return concatenate([exact(past if has_batch else past[None]), new], axis=2)

    def shape_output(attended):
        stored = roundoff.store(attended)
        if packed:
            stored = stored.map(_join_heads)
        elif request.layout == service.LAYOUT_SEQUENCE_FIRST:
            stored = stored.map(lambda a: a.swapaxes(1, 2))
        return stored if has_batch else stored.map(lambda a: a[0])

    query = exact(to_heads_first(request.query, heads))
    return Operands(query, with_past("key"), with_past("value"), shape_output, has_batch)


def _split_heads(array, head_count):
    batch, rows, width = array.shape
    return array.reshape(batch, rows, head_count, width // head_count).swapaxes(1, 2)


def _join_heads(array):
    batch, heads, rows, width = array.shape
    return array.swapaxes(1, 2).reshape(batch, rows, heads * width)


def _project(rows, projection, roundoff):
    product = roundoff.matmul(rows, exact(to_array(projection.weight)))
    if projection.HasField("bias"):
        product = roundoff.add(product, exact(to_array(projection.bias)))
    return roundoff.store(product)
