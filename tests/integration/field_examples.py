"""For every field of every request: an example that sets it, alone, to another valid value.

An example changes the options, or the request, that `before` has prepared. It must change the
answer, or be refused where it says so: because the value fits nothing else in the request, or
because the field has no effect of its own.
"""

import dataclasses
from typing import Callable

import numpy

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2 as options
from tensors import BOOL, F32, F64, INT32, to_tensor

# Of all requests: two batch entries of five tokens, two heads of width four.
BATCH, HEADS, TOKENS, WIDTH = 2, 2, 5, 4


def _nothing(_):
    pass


@dataclasses.dataclass(frozen=True)
class Example:
    change: Callable
    before: Callable = _nothing
    refused: bool = False
    data_type: int = F32


def numbers(*shape, seed=0, data_type=F32):
    return to_tensor(numpy.random.default_rng(seed).standard_normal(shape), data_type)


def integers(*values):
    return to_tensor(numpy.array(values), INT32)


def booleans(*values):
    return to_tensor(numpy.array(values), BOOL)


def put(**fields):
    """Sets fields of the message, whatever they are."""
    def change(message):
        for name, content in fields.items():
            _assign(message, name, content)
    return change


def within(path, **fields):
    """Sets fields of the message at `path` below the message."""
    def change(message):
        for name in path.split("."):
            message = getattr(message, name)
        put(**fields)(message)
    return change


def _assign(message, name, content):
    if isinstance(content, dict):
        getattr(message, name).SetInParent()
        for inner, each in content.items():
            _assign(getattr(message, name), inner, each)
    elif hasattr(content, "DESCRIPTOR"):
        getattr(message, name).CopyFrom(content)
    else:
        setattr(message, name, content)


def request_of(method, data_type=F32):
    """A valid request that asks for what any change would show in."""
    def embeddings(seed):
        return numbers(BATCH, TOKENS, HEADS * WIDTH, seed=seed, data_type=data_type)

    def heads(seed):
        return numbers(BATCH, HEADS, TOKENS, WIDTH, seed=seed, data_type=data_type)

    shown = {"return_weights": True, "return_scores": options.SCORES_KIND_MASKED}
    requests = {
        "SelfAttention": lambda: service.SelfAttentionRequest(
            embeddings=embeddings(1), head_count=HEADS, options=shown),
        "MaskedAttention": lambda: service.MaskedAttentionRequest(
            embeddings=embeddings(1), head_count=HEADS,
            options=shown | {"boolean_mask": booleans(1, 1, 1, 1, 0)}),
        "MultiHeadAttention": lambda: service.MultiHeadAttentionRequest(
            query=embeddings(1), key=embeddings(2), value=embeddings(3), head_count=HEADS,
            options=shown),
        "CrossAttention": lambda: service.CrossAttentionRequest(
            query_embeddings=embeddings(1), memory_embeddings=embeddings(2), head_count=HEADS,
            options=shown),
        "ScaledDotProductAttention": lambda: service.ScaledDotProductAttentionRequest(
            query=heads(1), key=heads(2), value=heads(3), options=shown),
        "ApplyRotaryEmbedding": lambda: service.ApplyRotaryEmbeddingRequest(
            input=heads(1), cos=numbers(BATCH, TOKENS, WIDTH // 2, seed=2),
            sin=numbers(BATCH, TOKENS, WIDTH // 2, seed=3)),
        "MergeAttentionStates": lambda: service.MergeAttentionStatesRequest(states=[
            {"output": heads(seed), "log_sum_exp": numbers(BATCH, HEADS, TOKENS, seed=seed)}
            for seed in (1, 2)]),
        "ListLayers": service.ListLayersRequest,
        "GetLayer": lambda: service.GetLayerRequest(name="layer"),
        "GetServerInfo": service.GetServerInfoRequest,
    }
    requests["DecodeAttention"] = requests["ScaledDotProductAttention"]
    return requests[method]()


_LENGTHS = integers(4, 2)
_SEGMENTS = integers([0, 0, 1, 1, 1], [0, 1, 1, 1, 2])
_OTHER_SEGMENTS = integers([0, 1, 1, 1, 1], [1, 1, 2, 2, 2])
_BLOCKS = {"mask": booleans([1, 0], [1, 1]), "query_block_size": 3, "key_block_size": 3}
_GENERAL = put(general_score={"weight": numbers(WIDTH, WIDTH, seed=7)})
_ADDITIVE = put(additive_score={
    "query_weight": numbers(WIDTH, 3, seed=7), "key_weight": numbers(WIDTH, 3, seed=8),
    "vector": numbers(3, seed=9)})
_TABLE = {"table": numbers(4, HEADS, seed=7)}
_CAUSAL = put(causal={"alignment": options.CAUSAL_ALIGNMENT_TOP_LEFT})
_POSITIONS = put(window={"left": 1}, key_lengths=_LENGTHS,
                 query_positions={"alignment": options.CAUSAL_ALIGNMENT_TOP_LEFT})


def _offset(field):
    return {"alignment": options.CAUSAL_ALIGNMENT_OFFSET, "offset": field}


def _unlike(*others):
    """Prepares what `others` say one after the other."""
    def before(message):
        for other in others:
            other(message)
    return before


_SCORES = {
    "AttentionOptions.scale": Example(put(scale=0.0)),
    "AttentionOptions.softcap": Example(put(softcap=0.5)),
    "AttentionOptions.general_score": Example(_GENERAL),
    "GeneralScore.weight": Example(
        within("general_score", weight=numbers(WIDTH, WIDTH, seed=8)), _GENERAL),
    "AttentionOptions.additive_score": Example(_ADDITIVE),
    "AdditiveScore.query_weight": Example(
        within("additive_score", query_weight=numbers(WIDTH, 3, seed=1)), _ADDITIVE),
    "AdditiveScore.key_weight": Example(
        within("additive_score", key_weight=numbers(WIDTH, 3, seed=1)), _ADDITIVE),
    "AdditiveScore.vector": Example(within("additive_score", vector=numbers(3, seed=1)), _ADDITIVE),
    "AttentionOptions.temperature": Example(
        put(temperature=to_tensor(numpy.array([0.5, 2.0]), F32))),
}

_BIASES = {
    "AttentionOptions.alibi": Example(put(alibi={"slopes": numbers(HEADS)})),
    "Alibi.slopes": Example(
        within("alibi", slopes=numbers(HEADS, seed=1)), put(alibi={"slopes": numbers(HEADS)})),
    "Alibi.symmetric": Example(
        within("alibi", symmetric=True), put(alibi={"slopes": numbers(HEADS)})),
    "AttentionOptions.relative_position_bias": Example(put(relative_position_bias=_TABLE)),
    "RelativePositionBias.table": Example(
        within("relative_position_bias", table=numbers(4, HEADS, seed=8)),
        put(relative_position_bias=_TABLE)),
    "RelativePositionBias.maximum_distance": Example(
        within("relative_position_bias", maximum_distance=3), put(relative_position_bias=_TABLE)),
    "RelativePositionBias.bidirectional": Example(
        within("relative_position_bias", bidirectional=True), put(relative_position_bias=_TABLE)),
    "AttentionOptions.rotary_embedding": Example(put(rotary_embedding={})),
    "RotaryEmbedding.base": Example(
        within("rotary_embedding", base=5.0), put(rotary_embedding={})),
    "RotaryEmbedding.position_scale": Example(
        within("rotary_embedding", position_scale=0.5), put(rotary_embedding={})),
    "RotaryEmbedding.width": Example(within("rotary_embedding", width=2), put(rotary_embedding={})),
    "RotaryEmbedding.interleaved": Example(
        within("rotary_embedding", interleaved=True), put(rotary_embedding={})),
}

_HIDING = {
    "AttentionOptions.boolean_mask": Example(put(boolean_mask=booleans(1, 1, 0, 1, 0))),
    "AttentionOptions.additive_mask": Example(put(additive_mask=numbers(TOKENS))),
    "AttentionOptions.multiplicative_mask": Example(
        put(multiplicative_mask=numbers(TOKENS)),
        put(normalization=options.NORMALIZATION_NONE)),
    "AttentionOptions.short_masks": Example(
        put(short_masks=True), put(additive_mask=numbers(TOKENS, 1))),
    "AttentionOptions.key_lengths": Example(put(key_lengths=_LENGTHS)),
    "AttentionOptions.causal": Example(put(causal={})),
    "Causal.alignment": Example(
        within("causal", alignment=options.CAUSAL_ALIGNMENT_KEY_LENGTHS),
        _unlike(_CAUSAL, put(key_lengths=_LENGTHS))),
    "Causal.offset": Example(within("causal", offset=-1), put(causal=_offset(1))),
    "AttentionOptions.query_positions": Example(
        put(query_positions=_offset(2)), put(window={"left": 1})),
    "QueryPositions.alignment": Example(
        within("query_positions", alignment=options.CAUSAL_ALIGNMENT_KEY_LENGTHS), _POSITIONS),
    "QueryPositions.offset": Example(
        within("query_positions", offset=-1),
        put(window={"left": 1}, query_positions=_offset(1))),
    "AttentionOptions.window": Example(put(window={"left": 1})),
    "Window.left": Example(within("window", left=0), put(window={"right": 1})),
    "Window.right": Example(within("window", right=0), put(window={"left": 1})),
    "AttentionOptions.prefix_lengths": Example(put(prefix_lengths=_LENGTHS), _CAUSAL),
    "AttentionOptions.query_segments": Example(put(query_segments=_SEGMENTS)),
    "AttentionOptions.key_segments": Example(
        put(key_segments=_OTHER_SEGMENTS), put(query_segments=_SEGMENTS)),
    "AttentionOptions.block_mask": Example(put(block_mask=_BLOCKS)),
    "BlockMask.mask": Example(
        within("block_mask", mask=booleans([0, 1], [1, 0])), put(block_mask=_BLOCKS)),
    "BlockMask.query_block_size": Example(
        within("block_mask", query_block_size=4), put(block_mask=_BLOCKS)),
    "BlockMask.key_block_size": Example(
        within("block_mask", key_block_size=4), put(block_mask=_BLOCKS)),
}

_NORMALIZING = {
    "AttentionOptions.normalization": Example(put(normalization=options.NORMALIZATION_NONE)),
    "AttentionOptions.sinks": Example(put(sinks=numbers(HEADS))),
    "AttentionOptions.head_mask": Example(put(head_mask=numbers(HEADS))),
    "AttentionOptions.fully_masked": Example(
        put(fully_masked=options.FULLY_MASKED_POLICY_UNIFORM), put(key_lengths=integers(0, 5))),
    "AttentionOptions.softmax_type": Example(put(softmax_type=F64)),
    # Whether a precision is granted depends on the processor; that it is refused does not.
    "AttentionOptions.precision": Example(
        put(precision=options.PRECISION_F32), refused=True, data_type=F64),
}

_RETURNS = {
    "AttentionOptions.return_weights": Example(
        put(return_weights=True), put(return_weights=False)),
    "AttentionOptions.return_scores": Example(
        put(return_scores=options.SCORES_KIND_RAW), _CAUSAL),
    "AttentionOptions.return_log_sum_exp": Example(put(return_log_sum_exp=True)),
    "AttentionOptions.return_top_weights": Example(put(return_top_weights=2)),
    "AttentionOptions.return_entropy": Example(put(return_entropy=True)),
    "AttentionOptions.return_key_mass": Example(put(return_key_mass=True)),
    "AttentionOptions.return_maximum_weight": Example(put(return_maximum_weight=True)),
}

# By the field's name; of options, for every method that takes them.
OF_OPTIONS = _SCORES | _BIASES | _HIDING | _NORMALIZING | _RETURNS
