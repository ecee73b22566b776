"""Requests that are well-formed and contradict what the contract says about their fields."""

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2, tensor_pb2
from request_changes import INVALID, Case, case, changed, find, projection, set_fields, tensor
from request_changes import valid_requests
from tensors import BF16, BOOL, F16, F32, F64, INT32, INT64, to_tensor


def cases():
    yield from _bad_embeddings()
    yield from _bad_layers()
    yield from _bad_ready_operands()
    yield from _bad_options()
    yield from _bad_operators()
    yield from _over_limits()


def _bad_embeddings():
    def masked(name, path, change, field):
        request = changed(valid_requests()["MaskedAttention"], path, change)
        return case(name, "MaskedAttention", request, field)

    def replace(*shape, data_type=F32):
        return lambda t: t.CopyFrom(tensor(*shape, data_type=data_type))

    for method, field in (
            ("SelfAttention", "embeddings"), ("MaskedAttention", "embeddings"),
            ("MultiHeadAttention", "query"), ("CrossAttention", "query_embeddings"),
            ("ScaledDotProductAttention", "query")):
        missing = "options" if method == "MaskedAttention" else field  # a mask is needed too
        yield Case(f"{method}: empty", method, b"", (INVALID,), missing)
        request = valid_requests()[method]
        for shape in ((3,), (1, 1, 3, 4) if method != "ScaledDotProductAttention" else (3, 4)):
            yield case(
                f"rank {len(shape)}", method, changed(request, field, replace(*shape)),
                f"{field}.shape")
        for data_type in (BOOL, INT32, INT64):
            change = replace(*find(request, field).shape, data_type=data_type)
            yield case(f"type {data_type}", method, changed(request, field, change), field)
    for name in ("query.weight", "value.bias", "output.weight"):
        place = f"projections.{name}"
        yield masked(
            f"{place}: another type", place,
            lambda t: t.CopyFrom(tensor(*t.shape, data_type=BF16)), f"{place}.data_type")
    for name, place, shape in (
            ("too narrow", "projections.query.weight", (3, 6)),
            ("too wide", "projections.key.weight", (5, 6)),
            ("rank 1", "projections.value.weight", (8,)),
            ("rank 3", "projections.value.weight", (1, 4, 2)),
            ("too long", "projections.query.bias", (7,)),
            ("rank 2", "projections.query.bias", (1, 6)),
            ("too narrow", "projections.output.weight", (3, 5)),
            ("too short", "projections.output.bias", (4,)),
            ("without outputs", "projections.value.weight", (4, 0))):
        yield masked(f"{place}: {name}", place, replace(*shape), "projections.")
    yield masked("a projection without weight", "projections.query",
                 lambda p: p.ClearField("weight"), "projections.query.weight")
    yield masked("queries and keys of unequal width", "projections.key",
                 lambda p: p.CopyFrom(projection(4, 4)), "key")
    for value in (-1, -(2**31), 4, 5, 1025, 2**31 - 1):
        yield masked(f"head_count = {value}", "", set_fields(head_count=value), "head_count")
    yield masked("no mask at all", "", lambda r: r.ClearField("options"), "options")
    yield masked("embeddings of no width", "embeddings", replace(1, 3, 0), "embeddings.shape[2]")
    for value in (-1, 3, 4, 1025):
        request = changed(
            valid_requests()["MultiHeadAttention"], "", set_fields(key_value_head_count=value))
        yield case(f"key_value_head_count = {value}", "MultiHeadAttention", request,
                    "key_value_head_count")
    for path, shape in (("key", (2, 3, 4)), ("value", (1, 4, 4)), ("value", (3, 4)),
                        ("key", (1, 3, 5))):
        request = changed(valid_requests()["MultiHeadAttention"], path, replace(*shape))
        yield case(f"{path} {shape}", "MultiHeadAttention", request, "")
    request = valid_requests()["CrossAttention"]
    yield case("no memory", "CrossAttention",
                changed(request, "", lambda r: r.ClearField("memory_embeddings")),
                "memory_embeddings")
    yield case("memory of another batch", "CrossAttention",
                changed(request, "memory_embeddings", replace(2, 3, 4)), "memory_embeddings")


def _bad_layers():
    """Of a server that has none, and what stands in a layer's place."""
    for method in ("SelfAttention", "MaskedAttention", "MultiHeadAttention", "CrossAttention"):
        request = valid_requests()[method]
        request.ClearField("projections")
        for name in ("..", "a/../b", "/etc/passwd", "%2e", "a\n", "a\0b", "-a", " ", "x" * 129,
                     "\N{CYRILLIC SMALL LETTER A}"):
            request.layer = name
            yield case(f"layer {name[:20]!r}", method, request, "layer")
        bad_text = request.SerializeToString().replace(request.layer.encode(), b"\xff\xff")
        yield Case("layer of other bytes", method, bad_text, (INVALID,), "request")
        request = valid_requests()[method]
        request.projections.appended_key.CopyFrom(tensor(6))
        yield case("a key appended alone", method, request, "projections.appended_value")
        request.projections.appended_value.CopyFrom(tensor(3))
        yield case("an appended value of another width", method, request,
                   "projections.appended_value.shape[0]")
        request.projections.appended_key.CopyFrom(tensor(1, 6))
        yield case("an appended key of rank 2", method, request, "projections.appended_key")


def _bad_ready_operands():
    method = "ScaledDotProductAttention"
    for name, field, query, key, value, more in (
            ("widths differ", "key", (2, 3, 4), (2, 3, 5), (2, 3, 4), {}),
            ("key and value counts differ", "value", (2, 3, 4), (2, 3, 4), (2, 4, 4), {}),
            ("key and value heads differ", "value", (2, 3, 4), (2, 3, 4), (1, 3, 4), {}),
            ("heads do not divide", "key", (4, 3, 4), (3, 3, 4), (3, 3, 4), {}),
            ("more key heads than query heads", "key", (2, 3, 4), (4, 3, 4), (4, 3, 4), {}),
            ("no heads", "query", (0, 3, 4), (0, 3, 4), (0, 3, 4), {}),
            ("no key heads", "key", (2, 3, 4), (0, 3, 4), (0, 3, 4), {}),
            ("no width", "query", (2, 3, 0), (2, 3, 0), (2, 3, 4), {}),
            ("ranks differ", "key", (1, 2, 3, 4), (2, 3, 4), (2, 3, 4), {}),
            ("batches differ", "key", (2, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 4), {}),
            ("head_count contradicts", "head_count", (2, 3, 4), (2, 3, 4), (2, 3, 4),
             {"head_count": 3}),
            ("key_value_head_count contradicts", "key_value_head_count", (4, 3, 4), (2, 3, 4),
             (2, 3, 4), {"key_value_head_count": 4}),
            ("packed without head_count", "head_count", (3, 8), (3, 8), (3, 8), {"layout": 3}),
            ("packed, heads do not divide", "head_count", (3, 8), (3, 8), (3, 8),
             {"layout": 3, "head_count": 3}),
            ("packed of rank 4", "query.shape", (1, 1, 3, 8), (1, 1, 3, 8), (1, 1, 3, 8),
             {"layout": 3, "head_count": 2}),
            ("packed, value does not divide", "value", (3, 8), (3, 8), (3, 7),
             {"layout": 3, "head_count": 2}),
            ("sequence first, heads do not divide", "key", (3, 4, 8), (3, 3, 8), (3, 3, 8),
             {"layout": 2})):
        yield case(name, method, service.ScaledDotProductAttentionRequest(
            query=tensor(*query), key=tensor(*key), value=tensor(*value), **more), field)
    for missing in ("key", "value"):
        request = changed(valid_requests()[method], "", lambda r, m=missing: r.ClearField(m))
        yield case(f"no {missing}", method, request, missing)
    for path, data_type in (("key", F64), ("value", BF16), ("key", BOOL)):
        change = lambda t, d=data_type: t.CopyFrom(tensor(*t.shape, data_type=d))
        yield case(f"{path} of another type", method,
                    changed(valid_requests()[method], path, change), path)


def _bad_options():
    def of(name, field, query_count=3, key_count=3, **options):
        return case(name, "CrossAttention", service.CrossAttentionRequest(
            query_embeddings=tensor(1, query_count, 4), memory_embeddings=tensor(1, key_count, 4),
            head_count=2, options=options_pb2.AttentionOptions(**options)), field)

    for value in (float("nan"), float("inf"), float("-inf")):
        yield of(f"scale = {value}", "options.scale", scale=value)
    for data_type in (F16, BF16, F64):
        for precision in options_pb2.Precision.values()[1:]:
            yield case(f"precision {precision} of type {data_type}", "SelfAttention",
                       service.SelfAttentionRequest(
                           embeddings=tensor(3, 4, data_type=data_type),
                           options={"precision": precision}), "options.precision")
    for shape in ((4,), (2, 3), (3, 2), (3, 1, 3), (2, 1, 3, 3)):
        for name, data_type in (("boolean_mask", BOOL), ("additive_mask", F32)):
            yield of(f"{name} {shape}", f"options.{name}",
                     **{name: tensor(*shape, data_type=data_type)})
    for name, data_type in (
            ("boolean_mask", F32), ("boolean_mask", INT32), ("additive_mask", BOOL),
            ("additive_mask", INT64), ("additive_mask", BF16)):
        yield of(f"{name} of type {data_type}", f"options.{name}",
                 **{name: tensor(3, data_type=data_type)})
    twos = tensor_pb2.Tensor(data_type=BOOL, shape=[3], raw=b"\1\2\0")
    yield of("BOOL byte 2", "options.boolean_mask.raw", boolean_mask=twos)
    halves = tensor_pb2.Tensor(data_type=BOOL, shape=[3], floats=[0, 0.5, 1])
    yield of("BOOL float 0.5", "options.boolean_mask.floats", boolean_mask=halves)
    for normalization in (0, 1, 2):
        yield of(f"multiplicative mask under normalization {normalization}", "multiplicative_mask",
                 multiplicative_mask=tensor(3), normalization=normalization)
    yield of("multiplicative mask of lengths' type", "options.multiplicative_mask",
             multiplicative_mask=tensor(3, data_type=INT32), normalization=3)
    yield of("causal without alignment where counts differ", "options.causal.alignment",
             key_count=4, causal={})
    yield of("offset without its alignment", "options.causal.offset",
             causal={"alignment": 1, "offset": 0})
    yield of("offset with no alignment", "options.causal.offset", causal={"offset": 1})
    yield of("alignment without its offset", "options.causal.offset", causal={"alignment": 3})
    for offset in (2**31 + 1, -(2**31) - 1, 2**63 - 1, -(2**63)):
        yield of(f"offset = {offset}", "options.causal.offset",
                 causal={"alignment": 3, "offset": offset})
    for lengths in ([4], [-1], [2**31 - 1], [-(2**31)]):
        yield of(f"key_lengths {lengths}", "options.key_lengths",
                 key_lengths=to_tensor(lengths, INT32))
    for lengths in ([2**62], [-(2**63)]):
        yield of(f"key_lengths {lengths}", "options.key_lengths",
                 key_lengths=to_tensor(lengths, INT64))
    yield of("two lengths for one entry", "options.key_lengths.shape",
             key_lengths=to_tensor([1, 1], INT32))
    yield of("no length", "options.key_lengths.shape", key_lengths=to_tensor([], INT32))
    yield of("lengths of rank 2", "options.key_lengths.shape", key_lengths=to_tensor([[1]], INT32))
    yield of("lengths in F32", "options.key_lengths.data_type", key_lengths=to_tensor([1], F32))
    half = tensor_pb2.Tensor(data_type=INT32, shape=[1], floats=[1.5])
    yield of("half a length", "options.key_lengths.floats", key_lengths=half)
    for shape in ((2, 3), (4,), (2, 2, 2), (0, 2)):
        yield of(f"general weight {shape}", "options.general_score.weight",
                 general_score={"weight": tensor(*shape)})
    yield of("general score without weight", "options.general_score.weight", general_score={})
    good = {"query_weight": tensor(2, 3), "key_weight": tensor(2, 3), "vector": tensor(3)}
    for name, shape in (("query_weight", (3, 3)), ("key_weight", (2, 4)), ("vector", (4,)),
                        ("vector", (1, 3)), ("vector", (0,))):
        parameters = good | {name: tensor(*shape)}
        yield of(f"additive {name} {shape}", "options.additive_score", additive_score=parameters)
    for name in good:
        parameters = {each: good[each] for each in good if each != name}
        yield of(f"additive score without {name}", f"options.additive_score.{name}",
                 additive_score=parameters)


def _bad_operators():
    """Of turning rows and of merging states."""
    def replace(*shape, data_type=F32):
        return lambda t: t.CopyFrom(tensor(*shape, data_type=data_type))

    for name, place, change, field in (
            ("no cosines", "", lambda r: r.ClearField("cos"), "cos"),
            ("no sines", "", lambda r: r.ClearField("sin"), "sin"),
            ("tables for each row, too", "cos", replace(1, 3, 2), "cos.shape"),
            ("no positions for the tables", "", lambda r: r.ClearField("position_ids"), "cos"),
            ("too narrow a table", "cos", replace(2, 1), "cos.shape[1]"),
            ("fewer sines than cosines", "sin", replace(1, 2), "sin.shape[0]"),
            ("another type", "sin", replace(2, 2, data_type=F64), "sin.data_type"),
            ("a position beyond the tables", "position_ids",
             lambda t: t.CopyFrom(to_tensor([[0, 1, 2]], INT64)), "position_ids"),
            ("a position below 0", "position_ids",
             lambda t: t.CopyFrom(to_tensor([[0, -1, 1]], INT32)), "position_ids"),
            ("positions of another length", "position_ids", replace(1, 4, data_type=INT32),
             "position_ids.shape[1]"),
            ("positions that are no integers", "position_ids", replace(1, 3), "position_ids"),
            ("an odd width", "", set_fields(rotary_width=3), "rotary_width"),
            ("too great a width", "", set_fields(rotary_width=6), "rotary_width"),
            ("a negative width", "", set_fields(rotary_width=-2), "rotary_width"),
            ("another head count", "", set_fields(head_count=3), "head_count"),
            ("an input of rank 2", "input", replace(3, 4), "input.shape"),
            ("packed heads that are not counted", "",
             lambda r: (r.input.CopyFrom(tensor(1, 3, 8)), r.ClearField("head_count")),
             "head_count")):
        request = changed(valid_requests()["ApplyRotaryEmbedding"], place, change)
        yield case(name, "ApplyRotaryEmbedding", request, field)

    def with_another(output, log_sum_exp):
        return lambda r: r.states.add(output=output, log_sum_exp=log_sum_exp)

    for name, change, field in (
            ("no states", lambda r: r.ClearField("states"), "states"),
            ("too many states", lambda r: r.states.extend([r.states[0]] * 1024), "states"),
            ("no output", lambda r: r.states[0].ClearField("output"), "states[0].output"),
            ("no log-sum-exp", lambda r: r.states[0].ClearField("log_sum_exp"),
             "states[0].log_sum_exp"),
            ("an empty state", lambda r: r.states.add(), "states[1].output"),
            ("another type", with_another(tensor(2, 3, 4, data_type=F16), tensor(2, 3)),
             "states[1].output.data_type"),
            ("another shape", with_another(tensor(2, 3, 5), tensor(2, 3)),
             "states[1].output.shape[2]"),
            ("another rank", with_another(tensor(1, 2, 3, 4), tensor(1, 2, 3)),
             "states[1].output.shape"),
            ("a log-sum-exp in F16", with_another(tensor(2, 3, 4), tensor(2, 3, data_type=F16)),
             "states[1].log_sum_exp.data_type"),
            ("a log-sum-exp of another shape", with_another(tensor(2, 3, 4), tensor(2, 4)),
             "states[1].log_sum_exp.shape[1]")):
        request = changed(valid_requests()["MergeAttentionStates"], "", change)
        yield case(name, "MergeAttentionStates", request, field)


def _over_limits():
    def of(name, field, embeddings, **options):
        return case(name, "SelfAttention", service.SelfAttentionRequest(
            embeddings=embeddings, options=options_pb2.AttentionOptions(**options)), field)

    yield of("batch 65537", "embeddings.shape[0]", tensor(65537, 1, 1))
    yield of("batch 65537 of nothing", "embeddings.shape[0]", tensor(65537, 0, 1))
    yield of("sequence 1048577", "embeddings.shape[0]", tensor(1048577, 1))
    yield of("width 65537", "embeddings.shape[1]", tensor(1, 65537))
    yield of("one head of width 1025", "1025", tensor(1, 1025))
    yield of("weights of 400 MB", "max-response-bytes", tensor(10000, 1), return_weights=True)
    yield of("scores of 400 MB", "max-response-bytes", tensor(10000, 1), return_scores=1)
    yield of("2 * 10^13 operations", "max-request-flops", tensor(1048576, 4))
    yield of("2 * 10^11 operations in float64", "max-request-float64-flops",
             tensor(200000, 1, data_type=F64))
    yield of("as many in float64, all of hidden keys", "max-request-float64-flops",
             tensor(60000, 1, data_type=F64), key_lengths=to_tensor([0], INT32))
