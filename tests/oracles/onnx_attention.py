"""ONNX's reference evaluator on the operator Attention, opset 23 to 25."""

import dataclasses

import numpy
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import draws
from onnx_case import Case
from onnx_mapping import to_request
from question import Expected, Question
from tensors import BOOL, INT64

_INPUTS = ("query", "key", "value", "mask", "past_key", "past_value", "lengths")
_OUTPUTS = ("output", "present_key", "present_value", "scores")
_DOUBLE = TensorProto.DOUBLE


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int
    data_type: int
    opset: int
    batch: int
    key_value_heads: int
    group: int
    queries: int
    keys: int
    key_width: int
    value_width: int
    packed: bool
    cache: str  # "none", "past", "lengths"
    past: int
    return_present: bool

    mask: str  # "none", "boolean", "float"
    mask_broadcast: tuple
    mask_rank: int
    mask_short: int  # keys that the mask does not reach
    causal: bool
    windows: tuple  # left and right, -1 for no bound

    scale: float | None
    softcap: float
    softmax_precision: int  # 0 to leave it out
    output_mode: int | None  # of the fourth output; None without it


# The evaluator takes the root of the scale in float32, so it has to be one of that type.
_SCALES = st.one_of(st.none(), st.integers(1, 24).map(lambda sixteenths: (sixteenths / 16) ** 2))

RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES, opset=st.sampled_from([23, 24, 25]),
    batch=draws.BATCHES, key_value_heads=draws.HEADS, group=st.integers(1, 3),
    queries=draws.QUERIES, keys=draws.KEYS, key_width=draws.WIDTHS,
    value_width=draws.WIDTHS, packed=st.booleans(),
    cache=st.sampled_from(["none", "past", "lengths"]), past=st.integers(1, 40),
    return_present=st.booleans(), mask=st.sampled_from(["none", "boolean", "float"]),
    mask_broadcast=st.tuples(*[st.booleans()] * 3), mask_rank=st.integers(1, 4),
    mask_short=st.sampled_from([0, 0, 1, 3]), causal=st.booleans(),
    windows=st.tuples(*[st.sampled_from([-1, -1, 0, 1, 7, 40])] * 2),
    scale=_SCALES,
    softcap=st.sampled_from([0.0, 0.5, 2.0, 30.0]),
    softmax_precision=st.sampled_from(
        [0, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE]),
    output_mode=st.sampled_from([None, 0, 1, 2, 3]))


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    arrays = _inputs(recipe, numbers)
    attributes = _attributes(recipe)
    outputs = [
        "output",
        *(["present_key", "present_value"] if recipe.return_present else ["", ""]),
        *(["scores"] if recipe.output_mode is not None else []),
    ]
    wire_types = {"mask": BOOL if recipe.mask == "boolean" else None, "lengths": INT64}
    case = Case(
        "Attention", recipe.opset,
        [numbers.tensor(arrays[name], wire_types.get(name)) if name in arrays else None
         for name in _INPUTS],
        [name or None for name in outputs], attributes)
    request, fields = to_request(case)
    theirs = _evaluate(recipe, arrays, attributes, outputs)
    expected = {
        field: Expected(theirs[outputs[slot]].astype("f8")) for slot, field in fields.items()}
    return Question("ONNX's reference", request, expected)


def _inputs(recipe, numbers):
    """Arrays by input; the operands packed if the recipe says so."""
    heads, groups = recipe.key_value_heads * recipe.group, recipe.key_value_heads
    arrays = {}
    for name, count, rows, width in (
            ("query", heads, recipe.queries, recipe.key_width),
            ("key", groups, recipe.keys, recipe.key_width),
            ("value", groups, recipe.keys, recipe.value_width)):
        shape = (rows, count * width) if recipe.packed else (count, rows, width)
        arrays[name] = numbers.normal(recipe.batch, *shape)
    total = recipe.keys
    if recipe.cache == "past":
        total += recipe.past
        for name, width in (("key", recipe.key_width), ("value", recipe.value_width)):
            arrays[f"past_{name}"] = numbers.normal(recipe.batch, groups, recipe.past, width)
    elif recipe.cache == "lengths" and recipe.opset >= 24:
        arrays["lengths"] = numbers.integers(0, recipe.keys, recipe.batch)
    if recipe.mask != "none":
        short = recipe.mask_short if recipe.opset >= 24 else 0
        extents = (recipe.batch, heads, recipe.queries, max(1, total - short))
        # With causality the evaluator takes the number of queries from the mask.
        over_batch, over_heads, over_queries = recipe.mask_broadcast
        shape = draws.broadcast_extents(
            extents, (over_batch, over_heads, over_queries and not recipe.causal, False),
            max(recipe.mask_rank, 2 if recipe.causal else 1))
        boolean = recipe.mask == "boolean"
        arrays["mask"] = (
            numbers.chance(0.7, *shape) if boolean else numbers.float_mask(*shape))
    return arrays


def _attributes(recipe):
    attributes = {}
    if recipe.causal:
        attributes["is_causal"] = 1
    if recipe.packed:
        attributes["q_num_heads"] = recipe.key_value_heads * recipe.group
        attributes["kv_num_heads"] = recipe.key_value_heads
    if recipe.scale is not None:
        attributes["scale"] = recipe.scale
    if recipe.softcap:
        attributes["softcap"] = recipe.softcap
    if recipe.softmax_precision:
        attributes["softmax_precision"] = recipe.softmax_precision
    if recipe.output_mode is not None:
        # The evaluator returns capped scores in mode 0, too, where the operator's text and its
        # function body say raw ones.
        mode = 1 if recipe.output_mode == 0 and recipe.softcap else recipe.output_mode
        attributes["qk_matmul_output_mode"] = mode
    if recipe.opset >= 25:
        attributes["left_window_size"], attributes["right_window_size"] = recipe.windows
    return attributes


def _evaluate(recipe, arrays, attributes, outputs):
    """The evaluator's outputs by name, in float64 throughout."""
    attributes = dict(attributes)
    attributes.pop("softmax_precision", None)
    names = [name if name in arrays else "" for name in _INPUTS]
    while not names[-1]:
        names.pop()
    node = helper.make_node("Attention", names, outputs, **attributes)
    types = {numpy.dtype("f8"): _DOUBLE, numpy.dtype("i8"): TensorProto.INT64,
             numpy.dtype(bool): TensorProto.BOOL}
    graph = helper.make_graph(
        [node], "one_node",
        [helper.make_tensor_value_info(name, types[array.dtype], array.shape)
         for name, array in arrays.items()],
        [helper.make_tensor_value_info(name, _DOUBLE, None) for name in outputs if name])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", recipe.opset)])
    wanted = [name for name in outputs if name]
    with numpy.errstate(invalid="ignore"):
        results = ReferenceEvaluator(model).run(wanted, arrays)
    return dict(zip(wanted, results))


assert onnx.defs.get_schema("Attention", 25).since_version == 25
