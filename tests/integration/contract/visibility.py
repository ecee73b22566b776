"""Where queries stand among the keys, and which keys they see."""

import numpy

from attention.v1 import options_pb2
from tensors import to_array


def positions_of(options, shape):
    """The position of each query among the keys, [batch, queries], as whole numbers."""
    batch, _, query_count, _ = shape
    stated = options.query_positions if options.HasField("query_positions") else options.causal
    return _offsets(stated, options, shape).reshape(batch, 1) + numpy.arange(query_count)


def _offsets(stated, options, shape):
    batch, _, query_count, key_count = shape
    if stated.alignment == options_pb2.CAUSAL_ALIGNMENT_KEY_LENGTHS:
        return to_array(options.key_lengths).astype("i8") - query_count
    offset = {
        options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT: key_count - query_count,
        options_pb2.CAUSAL_ALIGNMENT_OFFSET: stated.offset,
    }.get(stated.alignment, 0)
    return numpy.full(batch, offset, "i8")


def visible_pairs(options, shape):
    """Where a key is visible to a query, by all but the additive mask: [batch, heads, queries,
    keys]."""
    batch, _, query_count, key_count = shape
    visible = numpy.ones(shape, bool)
    keys = numpy.arange(key_count)
    positions = positions_of(options, shape)[:, None, :, None]
    if options.HasField("causal"):
        causal = positions
        if options.causal.alignment:
            offsets = _offsets(options.causal, options, shape).reshape(batch, 1, 1, 1)
            causal = offsets + numpy.arange(query_count)[:, None]
        seen = keys <= causal
        if options.HasField("prefix_lengths"):
            seen |= keys < to_array(options.prefix_lengths).reshape(-1, 1, 1, 1)
        visible &= seen
    if options.window.HasField("left"):
        visible &= keys >= positions - options.window.left
    if options.window.HasField("right"):
        visible &= keys <= positions + options.window.right
    if options.HasField("key_lengths"):
        visible &= keys < to_array(options.key_lengths).reshape(-1, 1, 1, 1)
    if options.HasField("query_segments"):
        visible &= _same_segment(options, shape)
    if options.HasField("boolean_mask"):
        visible &= whole_mask(options.boolean_mask, options, shape, hidden=0) != 0
    if options.HasField("multiplicative_mask") and options.short_masks:
        visible &= numpy.arange(key_count) < options.multiplicative_mask.shape[-1]
    if options.HasField("block_mask"):
        visible &= _visible_blocks(options.block_mask, shape)
    return visible


def whole_mask(tensor, options, shape, hidden):
    """A mask broadcast to all pairs; keys that a short one does not reach are `hidden`."""
    mask = to_array(tensor)
    key_count = shape[-1]
    missing = key_count - mask.shape[-1]
    if options.short_masks and missing > 0:
        padding = [(0, 0)] * (mask.ndim - 1) + [(0, missing)]
        mask = numpy.pad(mask, padding, constant_values=hidden)
    return numpy.broadcast_to(mask, shape)


def _same_segment(options, shape):
    batch, _, query_count, key_count = shape
    queries = to_array(options.query_segments).reshape(batch, 1, query_count, 1)
    named = options.key_segments if options.HasField("key_segments") else options.query_segments
    return queries == to_array(named).reshape(batch, 1, 1, key_count)


def _visible_blocks(block_mask, shape):
    query_blocks = numpy.arange(shape[2]) // block_mask.query_block_size
    key_blocks = numpy.arange(shape[3]) // block_mask.key_block_size
    mask = to_array(block_mask.mask) != 0
    blocks = numpy.broadcast_to(
        mask, (*shape[:2], query_blocks.max(initial=-1) + 1, key_blocks.max(initial=-1) + 1))
    return blocks[:, :, query_blocks[:, None], key_blocks]
