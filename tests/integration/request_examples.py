"""Examples, as in field_examples, of the fields of requests that are not options."""

from attention.v1 import attention_service_pb2 as service
from field_examples import (
    BATCH, HEADS, TOKENS, WIDTH, Example, booleans, integers, numbers, put, within)

_MODEL_WIDTH = HEADS * WIDTH
_OTHER_EMBEDDINGS = numbers(BATCH, TOKENS, _MODEL_WIDTH, seed=11)
_OTHER_HEADS = numbers(BATCH, HEADS, TOKENS, WIDTH, seed=11)


def _projection(seed, bias=True):
    projection = {"weight": numbers(_MODEL_WIDTH, _MODEL_WIDTH, seed=seed)}
    return projection | ({"bias": numbers(_MODEL_WIDTH, seed=seed + 1)} if bias else {})


def _embedding_method(name, **sources):
    """The fields that all embedding methods have, and those with their embeddings."""
    some_options = {"scale": 2.0, "causal": {}}
    examples = {
        "projections": Example(put(projections={"value": _projection(21)})),
        "head_count": Example(put(head_count=1)),
        "options": Example(put(options=some_options), lambda r: r.ClearField("options")),
        "layer": Example(put(layer="layer")),
    }
    if name == "MaskedAttentionRequest":  # which refuses a request without a mask
        examples["options"] = Example(lambda r: r.ClearField("options"), refused=True)
    examples |= {field: Example(put(**{field: content})) for field, content in sources.items()}
    return {f"{name}.{field}": example for field, example in examples.items()}


_PROJECTIONS = {
    f"Projections.{name}": Example(
        within("projections", **{name: _projection(21)}),
        put(projections={"value" if name == "query" else "query": _projection(31)}))
    for name in ("query", "key", "value", "output")}


def _appending(request):
    """A sixth key, which masks count."""
    put(projections={"appended_key": numbers(_MODEL_WIDTH, seed=31),
                     "appended_value": numbers(_MODEL_WIDTH, seed=32)})(request)
    if request.options.HasField("boolean_mask"):
        request.options.boolean_mask.CopyFrom(booleans(1, 1, 1, 1, 0, 1))


_APPENDED = {
    f"Projections.{name}": Example(
        within("projections", **{name: numbers(_MODEL_WIDTH, seed=21)}), _appending)
    for name in ("appended_key", "appended_value")}

_PROJECTION = {
    "Projection.weight": Example(
        within("projections.query", weight=numbers(_MODEL_WIDTH, _MODEL_WIDTH, seed=41)),
        put(projections={"query": _projection(31)})),
    "Projection.bias": Example(
        within("projections.query", bias=numbers(_MODEL_WIDTH, seed=41)),
        put(projections={"query": _projection(31, bias=False)})),
}


def _packed(request):
    """Heads side by side, as LAYOUT_PACKED wants them."""
    request.layout = service.LAYOUT_PACKED
    request.head_count = HEADS
    for name in ("query", "key", "value"):
        tensor = getattr(request, name)
        tensor.shape[:] = [BATCH, TOKENS, _MODEL_WIDTH]


def _ragged(request):
    """Two sequences in place of the batch axis."""
    request.layout = service.LAYOUT_SEQUENCE_FIRST
    for seed, name in enumerate(("query", "key", "value")):
        getattr(request, name).CopyFrom(numbers(TOKENS, HEADS, WIDTH, seed=seed))
    request.query_starts.CopyFrom(integers(0, 2, 5))
    request.key_starts.CopyFrom(integers(0, 3, 5))
    request.ClearField("options")
    request.options.return_entropy = True


def _past(request):
    request.past_key.CopyFrom(numbers(BATCH, HEADS, 2, WIDTH, seed=51))
    request.past_value.CopyFrom(numbers(BATCH, HEADS, 2, WIDTH, seed=52))


_READY = {
    "query": Example(put(query=_OTHER_HEADS)),
    "key": Example(put(key=_OTHER_HEADS)),
    "value": Example(put(value=_OTHER_HEADS)),
    "layout": Example(put(layout=service.LAYOUT_SEQUENCE_FIRST)),
    "head_count": Example(put(head_count=1), _packed),
    # Width says how many there are: another number needs other keys.
    "key_value_head_count": Example(put(key_value_head_count=1), _packed, refused=True),
    "options": Example(put(options={"scale": 2.0}), lambda r: r.ClearField("options")),
    "past_key": Example(put(past_key=numbers(BATCH, HEADS, 2, WIDTH, seed=53)), _past),
    "past_value": Example(put(past_value=numbers(BATCH, HEADS, 2, WIDTH, seed=53)), _past),
    "return_present": Example(put(return_present=True), _past),
    "query_starts": Example(put(query_starts=integers(0, 4, 5)), _ragged),
    "key_starts": Example(put(key_starts=integers(0, 1, 5)), _ragged),
}


def _by_position(request):
    """Cosines and sines of eight positions, from which the tokens choose."""
    request.cos.CopyFrom(numbers(8, WIDTH // 2, seed=61))
    request.sin.CopyFrom(numbers(8, WIDTH // 2, seed=62))
    request.position_ids.CopyFrom(integers([0, 1, 2, 3, 4], [7, 6, 5, 4, 3]))


def _rank_3(request):
    request.input.CopyFrom(numbers(BATCH, TOKENS, _MODEL_WIDTH, seed=63))
    request.head_count = HEADS


def _narrow(request):
    """Half of each row is turned, by one angle for each token."""
    request.cos.CopyFrom(numbers(BATCH, TOKENS, 1, seed=64))
    request.sin.CopyFrom(numbers(BATCH, TOKENS, 1, seed=65))
    request.rotary_width = 2


def _narrow_rank_3(request):
    _rank_3(request)
    _narrow(request)


_ROTARY = {
    "input": Example(put(input=_OTHER_HEADS)),
    "head_count": Example(put(head_count=4), _narrow_rank_3),
    "cos": Example(put(cos=numbers(BATCH, TOKENS, WIDTH // 2, seed=66))),
    "sin": Example(put(sin=numbers(BATCH, TOKENS, WIDTH // 2, seed=66))),
    "position_ids": Example(
        put(position_ids=integers([4, 3, 2, 1, 0], [7, 6, 5, 4, 3])), _by_position),
    "rotary_width": Example(put(rotary_width=0), _narrow, refused=True),
    "interleaved": Example(put(interleaved=True)),
}

_MERGING = {
    "MergeAttentionStatesRequest.states": Example(
        lambda r: r.states.add().CopyFrom(r.states[0])),
    "AttentionState.output": Example(lambda r: r.states[0].output.CopyFrom(_OTHER_HEADS)),
    "AttentionState.log_sum_exp": Example(
        lambda r: r.states[0].log_sum_exp.CopyFrom(numbers(BATCH, HEADS, TOKENS, seed=71))),
}


def _named(message, examples):
    return {f"{message}.{field}": example for field, example in examples.items()}


# By the field's name; each for every method that has the field.
OF_REQUESTS = (
    _embedding_method("SelfAttentionRequest", embeddings=_OTHER_EMBEDDINGS)
    | _embedding_method("MaskedAttentionRequest", embeddings=_OTHER_EMBEDDINGS)
    | _embedding_method(
        "MultiHeadAttentionRequest", query=_OTHER_EMBEDDINGS, key=_OTHER_EMBEDDINGS,
        value=_OTHER_EMBEDDINGS)
    | _named("MultiHeadAttentionRequest", {
        # Width says how many there are: another number needs other keys.
        "key_value_head_count": Example(put(key_value_head_count=1), refused=True)})
    | _embedding_method(
        "CrossAttentionRequest", query_embeddings=_OTHER_EMBEDDINGS,
        memory_embeddings=_OTHER_EMBEDDINGS)
    | _PROJECTIONS | _APPENDED | _PROJECTION
    | {"GetLayerRequest.name": Example(put(name="other"))}
    | _named("ScaledDotProductAttentionRequest", _READY)
    | _named("ApplyRotaryEmbeddingRequest", _ROTARY)
    | _MERGING)
