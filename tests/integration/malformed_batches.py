"""Past keys and values, and starts of sequences, that contradict what the contract says."""

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2
from request_changes import INVALID, UNIMPLEMENTED, Case, tensor
from tensors import BF16, BOOL, F32, F64, INT32, INT64, to_tensor

METHOD = "ScaledDotProductAttention"


def cases():
    yield from _bad_past()
    yield from _bad_starts()
    yield from _not_for_sequences()


def _case(name, request, field, code=INVALID):
    return Case(name, METHOD, request.SerializeToString(), (code,), field)


def _bad_past():
    def of(name, field, past_key=(1, 2, 3, 4), past_value=(1, 2, 3, 5), data_type=F32):
        request = service.ScaledDotProductAttentionRequest(
            query=tensor(1, 4, 2, 4), key=tensor(1, 2, 2, 4), value=tensor(1, 2, 2, 5),
            return_present=True)
        for path, shape in (("past_key", past_key), ("past_value", past_value)):
            if shape is not None:
                getattr(request, path).CopyFrom(tensor(*shape, data_type=data_type))
        return _case(f"past keys: {name}", request, field)

    yield of("no past_value", "past_value", past_value=None)
    yield of("no past_key", "past_key", past_key=None)
    for data_type in (F64, BF16, BOOL, INT32):
        yield of(f"type {data_type}", "past_key.data_type", data_type=data_type)
    for name, shape in (
            ("rank 2", (3, 4)), ("without a batch axis", (2, 3, 4)), ("two batches", (2, 2, 3, 4)),
            ("no batch", (0, 2, 3, 4)), ("heads of the queries", (1, 4, 3, 4)),
            ("wider", (1, 2, 3, 5)), ("sequence first", (1, 3, 2, 4))):
        yield of(name, "past_key.shape", past_key=shape)
    yield of("of other counts", "past_value.shape[2]: got 4, want 3", past_value=(1, 2, 4, 5))
    yield of("of the key's width", "past_value.shape[3]", past_value=(1, 2, 3, 4))


def _ragged(**changes):
    """Sequences of 2 and 1 queries, of 3 and 2 keys."""
    request = service.ScaledDotProductAttentionRequest(
        query=tensor(3, 2, 4), key=tensor(5, 2, 4), value=tensor(5, 2, 4),
        layout=service.LAYOUT_SEQUENCE_FIRST,
        query_starts=to_tensor([0, 2, 3], INT64), key_starts=to_tensor([0, 3, 5], INT32))
    for name, value in changes.items():
        if isinstance(value, int):
            setattr(request, name, value)
        else:
            getattr(request, name).CopyFrom(value)
    return request


def _bad_starts():
    for name in ("query_starts", "key_starts"):
        request = _ragged()
        request.ClearField(name)
        yield _case(f"no {name}", request, name)
        for data_type in (F32, BOOL):
            change = {name: tensor(3, data_type=data_type)}
            yield _case(f"{name}: type {data_type}", _ragged(**change), f"{name}.data_type")
    for starts in ([], [0], [1, 2, 3], [0, 3, 2], [0, -1, 3], [0, 2, 4], [0, 2, 2], [-2**63, 0, 3],
                   [0, 2**63 - 1, 3]):
        yield _case(f"query_starts {starts}", _ragged(query_starts=to_tensor(starts, INT64)),
                    "query_starts")
    yield _case("starts of two axes", _ragged(key_starts=tensor(1, 3, data_type=INT32)),
                "key_starts.shape: got rank 2")
    yield _case("more sequences of keys", _ragged(key_starts=to_tensor([0, 3, 4, 5], INT32)),
                "key_starts.shape[0]: got 4, want 3")
    too_many = to_tensor([0] * 65537 + [3], INT32)
    yield _case("too many sequences", _ragged(query_starts=too_many), "got 65538, want <= 65537")
    for layout in (0, 1):
        yield _case(f"starts with layout {layout}", _ragged(layout=layout), "")
    lengths = _ragged()
    lengths.options.key_lengths.CopyFrom(to_tensor([3, 3], INT32))
    yield _case("a length of another sequence", lengths, "options.key_lengths")
    causal = _ragged()
    causal.options.causal.SetInParent()
    yield _case("causal without an alignment", causal, "since sequence 0 has 2 queries and 3 keys")


def _not_for_sequences():
    for field, change in (
            ("past_key", {"past_key": tensor(2, 3, 4), "past_value": tensor(2, 3, 4)}),
            ("return_present", {"return_present": 1})):
        yield _case(f"{field} of sequences", _ragged(**change), field, UNIMPLEMENTED)
    for field, options in (
            ("boolean_mask", {"boolean_mask": tensor(3, 5, data_type=BOOL)}),
            ("additive_mask", {"additive_mask": tensor(5)}),
            ("block_mask", {"block_mask": {"mask": tensor(1, 1, data_type=BOOL)}}),
            ("query_segments", {"query_segments": tensor(3, data_type=INT32)}),
            ("return_weights", {"return_weights": True}),
            ("return_scores", {"return_scores": 1})):
        request = _ragged()
        request.options.CopyFrom(options_pb2.AttentionOptions(**options))
        yield _case(f"{field} of sequences", request, f"options.{field}", UNIMPLEMENTED)
