"""ONNX's operators Attention (opset 23 to 25) and RotaryEmbedding (opset 23) as requests.

Every input and attribute becomes a field of a request. One that is not known here is an error:
a case that passes while a part of it is ignored would prove nothing.
"""

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from onnx_case import DATA_TYPES, Unsupported
from tensors import BOOL

_INPUTS = ("query", "key", "value", "mask", "past_key", "past_value", "key_lengths")
_OUTPUTS = ("output", "present_key", "present_value", "scores")
_ROTARY_INPUTS = ("input", "cos", "sin", "position_ids")

# qk_matmul_output_mode; 3 asks for the weights.
_SCORES = {
    0: options_pb2.SCORES_KIND_RAW,
    1: options_pb2.SCORES_KIND_CAPPED,
    2: options_pb2.SCORES_KIND_MASKED,
}
_WEIGHTS_MODE = 3


def to_request(case):
    """Returns the request, and the name of the answer's field for each output slot that is asked
    for."""
    if case.op_type == "Attention":
        return _attention(case)
    if case.op_type == "RotaryEmbedding":
        return _rotary_embedding(case)
    raise Unsupported(f"operator {case.op_type}")


def _attention(case):
    inputs = _named(case.inputs, _INPUTS)
    attributes = dict(case.attributes)
    request = service.ScaledDotProductAttentionRequest()
    for name in ("query", "key", "value", "past_key", "past_value"):
        if name in inputs:
            getattr(request, name).CopyFrom(inputs[name])
    heads = attributes.pop("q_num_heads", 0), attributes.pop("kv_num_heads", 0)
    if len(request.query.shape) == 3:
        request.layout = service.LAYOUT_PACKED
        request.head_count, request.key_value_head_count = heads
    options = request.options
    if "scale" in attributes:
        options.scale = attributes.pop("scale")
    if softcap := attributes.pop("softcap", 0.0):
        options.softcap = softcap
    if softmax_precision := attributes.pop("softmax_precision", 0):
        options.softmax_type = DATA_TYPES[softmax_precision]
    if "key_lengths" in inputs:
        options.key_lengths.CopyFrom(inputs["key_lengths"])
    if "mask" in inputs:
        _set_mask(inputs["mask"], case, options)
    _set_positions(request, attributes)
    fields = _set_outputs(request, case, attributes.pop("qk_matmul_output_mode", 0))
    _refuse_unknown(attributes)
    return request, fields


def _named(tensors, names):
    if len(tensors) > len(names):
        raise Unsupported(f"{len(tensors)} inputs or outputs, want at most {len(names)}")
    return {name: tensor for name, tensor in zip(names, tensors) if tensor is not None}


def _set_mask(mask, case, options):
    kind = options.boolean_mask if mask.data_type == BOOL else options.additive_mask
    kind.CopyFrom(mask)
    options.short_masks = case.opset >= 24


def _set_positions(request, attributes):
    """Causality and windows count from the same offset: that of the past, or of the lengths."""
    if request.HasField("past_key"):
        stated = {
            "alignment": options_pb2.CAUSAL_ALIGNMENT_OFFSET, "offset": request.past_key.shape[2]}
    elif request.options.HasField("key_lengths"):
        stated = {"alignment": options_pb2.CAUSAL_ALIGNMENT_KEY_LENGTHS}
    else:
        stated = {"alignment": options_pb2.CAUSAL_ALIGNMENT_TOP_LEFT}
    if attributes.pop("is_causal", 0):
        request.options.causal.CopyFrom(options_pb2.Causal(**stated))
    for name in ("left", "right"):
        width = attributes.pop(f"{name}_window_size", -1)
        if width >= 0:
            setattr(request.options.window, name, width)
            request.options.query_positions.CopyFrom(options_pb2.QueryPositions(**stated))


def _set_outputs(request, case, mode):
    outputs = _named(case.outputs, _OUTPUTS)
    fields = {"output": "output"}
    if "present_key" in outputs or "present_value" in outputs:
        request.return_present = True
        fields |= {"present_key": "present_key", "present_value": "present_value"}
    if "scores" in outputs:
        if mode == _WEIGHTS_MODE:
            request.options.return_weights = True
            fields["scores"] = "weights"
        elif mode in _SCORES:
            request.options.return_scores = _SCORES[mode]
            fields["scores"] = "scores"
        else:
            raise Unsupported(f"qk_matmul_output_mode {mode}")
    return {slot: fields[name] for slot, name in enumerate(_OUTPUTS) if name in outputs}


def _rotary_embedding(case):
    attributes = dict(case.attributes)
    request = service.ApplyRotaryEmbeddingRequest(
        **_named(case.inputs, _ROTARY_INPUTS),
        interleaved=bool(attributes.pop("interleaved", 0)),
        rotary_width=attributes.pop("rotary_embedding_dim", 0))
    heads = attributes.pop("num_heads", 0)
    if len(request.input.shape) == 3:
        request.head_count = heads
    _refuse_unknown(attributes)
    return request, {0: "output"}


def _refuse_unknown(attributes):
    if attributes:
        raise Unsupported(f"attributes {sorted(attributes)}")
