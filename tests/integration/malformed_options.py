"""Options that are well-formed and contradict the contract, or ask for what is not offered."""

import math

from attention.v1 import attention_service_pb2 as service
from attention.v1 import options_pb2, tensor_pb2
from request_changes import INVALID, UNIMPLEMENTED, case, tensor
from tensors import BF16, BOOL, F16, F32, F64, INT32, INT64, to_tensor

NAN, INFINITY = math.nan, math.inf

# Numbers that a double field takes and an option does not.
NOT_FINITE = (NAN, INFINITY, -INFINITY)
NOT_POSITIVE = (*NOT_FINITE, 0.0, -1.0)


def cases():
    yield from _bad_positions()
    yield from _bad_lengths_and_segments()
    yield from _bad_blocks()
    yield from _bad_head_numbers()
    yield from _bad_biases()
    yield from _bad_returns()
    yield from _not_offered()


def _of(name, field, query_count=3, key_count=3, code=INVALID, **options):
    """Two heads of width 2."""
    return case(name, "CrossAttention", service.CrossAttentionRequest(
        query_embeddings=tensor(1, query_count, 4), memory_embeddings=tensor(1, key_count, 4),
        head_count=2, options=options_pb2.AttentionOptions(**options)), field, code)


def _bad_positions():
    window = {"window": {"left": 1}}
    offset = options_pb2.CAUSAL_ALIGNMENT_OFFSET
    positions = "options.query_positions"
    for value in NOT_POSITIVE:
        yield _of(f"softcap = {value}", "options.softcap", softcap=value)
    for bound in ("left", "right"):
        for value in (-1, -(2**63), 2**31 + 1, 2**63 - 1):
            yield _of(f"window.{bound} = {value}", f"options.window.{bound}",
                      window={bound: value})
    yield _of("positions that nothing counts from", positions, query_positions={"alignment": 1})
    yield _of("positions that an empty window does not count from", positions,
              query_positions={"alignment": 1}, window={})
    yield _of("positions without alignment where counts differ", f"{positions}.alignment",
              key_count=4, query_positions={}, **window)
    yield _of("positions' offset without its alignment", f"{positions}.offset",
              query_positions={"alignment": 1, "offset": 0}, **window)
    yield _of("positions' alignment without its offset", f"{positions}.offset",
              query_positions={"alignment": offset}, **window)
    for value in (2**31 + 1, -(2**31) - 1):
        yield _of(f"positions' offset = {value}", f"{positions}.offset",
                  query_positions={"alignment": offset, "offset": value}, **window)
    for name, distances in (
            ("window", window), ("alibi", {"alibi": {"slopes": tensor(2)}}),
            ("relative_position_bias", {"relative_position_bias": {"table": tensor(8, 2)}}),
            ("rotary_embedding", {"rotary_embedding": {}})):
        yield _of(f"{name} where counts differ", f"options.{name}", key_count=4, **distances)
    for name, options in (("causal", {}), ("query_positions", window)):
        by_length = {name: {"alignment": options_pb2.CAUSAL_ALIGNMENT_KEY_LENGTHS}}
        yield _of(f"{name} by lengths that are not there", "options.key_lengths",
                  **by_length, **options)


def _bad_lengths_and_segments():
    prefix = "options.prefix_lengths"
    yield _of("prefixes without causal", prefix, prefix_lengths=to_tensor([1], INT32))
    for lengths in ([4], [-1], [2**31 - 1]):
        yield _of(f"prefix_lengths {lengths}", prefix, causal={},
                  prefix_lengths=to_tensor(lengths, INT32))
    yield _of("two prefixes for one entry", f"{prefix}.shape", causal={},
              prefix_lengths=to_tensor([1, 1], INT64))
    yield _of("prefixes in F32", f"{prefix}.data_type", causal={},
              prefix_lengths=to_tensor([1], F32))

    good = tensor(1, 3, data_type=INT32)
    segments = "options.query_segments"
    yield _of("segments of keys alone", segments, key_segments=good)
    yield _of("segments of queries alone where counts differ", "options.key_segments",
              key_count=4, query_segments=good)
    for shape in ((3,), (1, 1, 3), (2, 3), (1, 2), (1, 0)):
        wrong = tensor(*shape, data_type=INT32)
        yield _of(f"query_segments {shape}", f"{segments}.shape", query_segments=wrong)
        yield _of(f"key_segments {shape}", "options.key_segments.shape", query_segments=good,
                  key_segments=wrong)
    for data_type in (INT64, F32, BOOL):
        yield _of(f"query_segments of type {data_type}", f"{segments}.data_type",
                  query_segments=tensor(1, 3, data_type=data_type))


def _bad_blocks():
    def blocks(name, field, mask=tensor(2, 2, data_type=BOOL), query=2, key=2, **options):
        of_blocks = {"query_block_size": query, "key_block_size": key}
        if mask is not None:
            of_blocks["mask"] = mask
        return _of(name, f"options.block_mask.{field}", block_mask=of_blocks, **options)

    yield blocks("no mask of blocks", "mask", mask=None)
    for value in (0, -1, 2**20 + 1, 2**63 - 1, -(2**63)):
        yield blocks(f"query_block_size = {value}", "query_block_size", query=value)
        yield blocks(f"key_block_size = {value}", "key_block_size", key=value)
    for shape in ((2, 3), (3, 2), (0, 2), (3, 2, 2), (2, 1, 2, 2)):
        yield blocks(f"mask of blocks {shape}", "mask.shape", tensor(*shape, data_type=BOOL))
    yield blocks("a short mask of blocks", "mask.shape", query=1, key=1, short_masks=True)
    for data_type in (F32, INT32):
        yield blocks(f"mask of blocks of type {data_type}", "mask.data_type",
                     tensor(2, 2, data_type=data_type))
    twos = tensor_pb2.Tensor(data_type=BOOL, shape=[2, 2], raw=b"\1\2\0\1")
    yield blocks("block of byte 2", "mask.raw", twos)
    for name, shape in (("too long", (4,)), ("of too many queries", (4, 2))):
        yield _of(f"a short mask {name}", "options.additive_mask.shape", short_masks=True,
                  additive_mask=tensor(*shape))


def _bad_head_numbers():
    fields = {
        "options.sinks": (lambda t: {"sinks": t}, (NAN,)),
        "options.head_mask": (lambda t: {"head_mask": t}, NOT_FINITE),
        "options.temperature": (lambda t: {"temperature": t}, NOT_POSITIVE),
        "options.alibi.slopes": (lambda t: {"alibi": {"slopes": t}}, NOT_FINITE),
    }
    for field, (options, wrong) in fields.items():
        for value in wrong:
            for data_type in (F32, F64):
                numbers = to_tensor([1.0, value], data_type)
                yield _of(f"{field} {value} of type {data_type}", field, **options(numbers))
        for shape in ((1,), (3,), (0,), (1, 2)):
            yield _of(f"{field} {shape}", f"{field}.shape", **options(tensor(*shape)))
        for data_type in (F16, BF16, BOOL, INT32, INT64):
            yield _of(f"{field} of type {data_type}", f"{field}.data_type",
                      **options(tensor(2, data_type=data_type)))


def _bad_biases():
    def table(name, field, content=tensor(8, 2), **more):
        bias = {"table": content} | more if content is not None else more
        return _of(name, f"options.relative_position_bias.{field}", relative_position_bias=bias)

    def rotary(name, field, **more):
        return _of(name, f"options.rotary_embedding.{field}", rotary_embedding=more)

    yield _of("alibi without slopes", "options.alibi.slopes", alibi={})
    yield table("no table", "table", content=None)
    for shape in ((16,), (8, 3), (8, 1), (7, 2), (1, 2), (0, 2), (4098, 2), (1, 8, 2)):
        yield table(f"table {shape}", "table.shape", tensor(*shape))
    yield table("two buckets in two directions", "table.shape", tensor(2, 2), bidirectional=True)
    for data_type in (F16, BF16, BOOL, INT64):
        yield table(f"table of type {data_type}", "table.data_type",
                    tensor(8, 2, data_type=data_type))
    for value in NOT_FINITE:
        yield table(f"{value} in the table", "table", to_tensor([[0, 0], [0, value]], F64))
    for value in (-1, -(2**63), 4, 2**31 + 1, 2**63 - 1):
        yield table(f"maximum_distance = {value}", "maximum_distance", maximum_distance=value)
    for value in NOT_POSITIVE:
        yield rotary(f"base = {value}", "base", base=value)
    for value in NOT_FINITE:
        yield rotary(f"position_scale = {value}", "position_scale", position_scale=value)
    for value in (-2, 1, 3, 4, 2**62):
        yield rotary(f"width = {value}", "width", width=value)
    yield case("rotary embedding of an odd width", "SelfAttention", service.SelfAttentionRequest(
        embeddings=tensor(2, 3), options={"rotary_embedding": {}}),
        "options.rotary_embedding.width")


def _bad_returns():
    for value in (-1, 257, 2**31 - 1, -(2**31)):
        yield _of(f"return_top_weights = {value}", "options.return_top_weights",
                  return_top_weights=value)
    for data_type in (BOOL, INT32, INT64):
        yield _of(f"softmax in type {data_type}", "options.softmax_type", softmax_type=data_type)
    yield case("top weights of 400 MB", "SelfAttention", service.SelfAttentionRequest(
        embeddings=tensor(1048576, 1), options={
            "return_top_weights": 50, "window": {"left": 0, "right": 0}}), "max-response-bytes")


def _not_offered():
    """What has a meaning but is not computed: both fields are named."""
    def unimplemented(name, first, second, **options):
        return _of(name, f"{first}: not offered with {second}", code=UNIMPLEMENTED, **options)

    others = (options_pb2.NORMALIZATION_SOFTMAX_OVER_QUERIES, options_pb2.NORMALIZATION_NONE)
    for other in others:
        for name, value, words in (
                ("return_log_sum_exp", True, ""), ("return_top_weights", 1, ""),
                ("return_entropy", True, ""), ("return_key_mass", True, ""),
                ("return_maximum_weight", True, ""), ("sinks", tensor(2), ""),
                ("fully_masked", options_pb2.FULLY_MASKED_POLICY_NAN, " FULLY_MASKED_POLICY_NAN"),
                ("fully_masked", options_pb2.FULLY_MASKED_POLICY_UNIFORM,
                 " FULLY_MASKED_POLICY_UNIFORM")):
            yield unimplemented(
                f"{name}{words} under normalization {other}", f"options.{name}{words}",
                "options.normalization", normalization=other, **{name: value})
    parameters = {"query_weight": tensor(2, 3), "key_weight": tensor(2, 3), "vector": tensor(3)}
    for name, score in (("general_score", {"weight": tensor(2, 2)}),
                        ("additive_score", parameters)):
        yield unimplemented(
            f"rotary embedding with {name}", "options.rotary_embedding", f"options.{name}",
            rotary_embedding={}, **{name: score})
    yield unimplemented(
        "two alignments that differ", "options.causal.alignment", "options.query_positions",
        causal={"alignment": 1}, query_positions={"alignment": 3, "offset": 1},
        window={"left": 1})
