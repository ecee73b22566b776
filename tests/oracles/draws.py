"""What hypothesis draws from: extents, element types and numbers of generated questions."""

import numpy
from hypothesis import strategies as st

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from tensors import BF16, F16, F32, F64, round_to, to_tensor

SEEDS = st.integers(0, 2**32 - 1)
DATA_TYPES = st.sampled_from([F32, F32, F16, BF16, F64])

# Around the sizes of registers, tiles and blocks as well as at random.
SEQUENCES = st.one_of(
    st.integers(1, 12), st.sampled_from([15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 129, 200]))
# One query is a step of decoding, which has a kernel of its own; many keys are several blocks.
QUERIES = st.one_of(st.just(1), SEQUENCES, SEQUENCES)
KEYS = st.one_of(SEQUENCES, SEQUENCES, st.sampled_from([257, 520]))
WIDTHS = st.one_of(st.integers(1, 9), st.sampled_from([15, 16, 17, 32, 40, 64, 65, 80]))
BATCHES = st.integers(1, 3)
HEADS = st.integers(1, 3)

SCALES = st.one_of(st.none(), st.floats(0.03125, 2.0, width=32))
LAYOUTS = st.sampled_from([
    service.LAYOUT_UNSPECIFIED, service.LAYOUT_HEADS_FIRST, service.LAYOUT_SEQUENCE_FIRST,
    service.LAYOUT_PACKED])
PRECISIONS = st.sampled_from(options_pb2.Precision.values())


class Numbers:
    """Random arrays in float64 that a data type holds exactly, and tensors of them."""

    def __init__(self, seed, data_type=F32):
        self.random = numpy.random.default_rng(seed)
        self.data_type = data_type

    def normal(self, *shape, scale=1.0):
        return round_to(scale * self.random.standard_normal(shape), self.data_type)

    def tensor(self, array, data_type=None):
        return to_tensor(array, data_type or self.data_type)

    def chance(self, probability, *shape):
        return self.random.random(shape) < probability

    def float_mask(self, *shape):
        terms = self.normal(*shape)
        terms[self.chance(0.2, *shape)] = -numpy.inf
        return terms

    def integers(self, low, high, *shape):
        """In [low, high], both included."""
        return self.random.integers(low, high, shape, endpoint=True)


def broadcast_extents(extents, broadcast, rank):
    """`extents` with 1 where `broadcast` is true, of which the last `rank` are kept."""
    chosen = [1 if one else extent for extent, one in zip(extents, broadcast)]
    return tuple(chosen[len(chosen) - rank:])


def ready_request(numbers, arrays, layout=service.LAYOUT_UNSPECIFIED, has_batch=True):
    """A ScaledDotProductAttentionRequest of heads-first arrays [batch, heads, rows, width]."""
    request = service.ScaledDotProductAttentionRequest(layout=layout)
    for name, array in arrays.items():
        array = array if has_batch else array[0]
        if layout in (service.LAYOUT_SEQUENCE_FIRST, service.LAYOUT_PACKED):
            array = array.swapaxes(-3, -2)
        if layout == service.LAYOUT_PACKED:
            array = array.reshape(*array.shape[:-2], -1)
        getattr(request, name).CopyFrom(numbers.tensor(array))
    if layout == service.LAYOUT_PACKED:
        request.head_count = arrays["query"].shape[1]
        request.key_value_head_count = arrays["key"].shape[1]
    return request


def from_heads_first(array, layout, has_batch=True):
    """A heads-first output in the form that the layout's answer has."""
    if layout in (service.LAYOUT_SEQUENCE_FIRST, service.LAYOUT_PACKED):
        array = array.swapaxes(1, 2)
    if layout == service.LAYOUT_PACKED:
        array = array.reshape(*array.shape[:2], -1)
    return array if has_batch else array[0]
