"""ONNX's reference evaluator on the operator RotaryEmbedding."""

import dataclasses

import numpy
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import draws
from onnx_case import Case
from onnx_mapping import to_request
from question import Expected, Question
from tensors import INT64

_INPUTS = ("input", "cos", "sin", "position_ids")


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int
    data_type: int
    batch: int
    heads: int
    sequence: int
    half_width: int
    packed: bool
    partial_width: int | None  # as a part of the half width
    interleaved: bool
    positions: int  # rows of the tables that position_ids choose from; 0 to leave the ids out


RECIPES = st.builds(
    Recipe, seed=draws.SEEDS, data_type=draws.DATA_TYPES, batch=draws.BATCHES, heads=draws.HEADS,
    sequence=draws.SEQUENCES, half_width=st.integers(1, 40), packed=st.booleans(),
    partial_width=st.one_of(st.none(), st.integers(1, 40)), interleaved=st.booleans(),
    positions=st.sampled_from([0, 1, 7, 300]))


def question(recipe):
    numbers = draws.Numbers(recipe.seed, recipe.data_type)
    width = 2 * recipe.half_width
    half = recipe.half_width
    attributes = {"interleaved": int(recipe.interleaved)}
    if recipe.partial_width is not None:
        half = 1 + (recipe.partial_width - 1) % recipe.half_width
        attributes["rotary_embedding_dim"] = 2 * half
    shape = (recipe.heads, recipe.sequence, width)
    if recipe.packed:
        shape = (recipe.sequence, recipe.heads * width)
        attributes["num_heads"] = recipe.heads
    arrays = {"input": numbers.normal(recipe.batch, *shape)}
    rows = (recipe.positions,) if recipe.positions else (recipe.batch, recipe.sequence)
    angles = numbers.random.uniform(-4, 4, (*rows, half))
    arrays["cos"] = draws.round_to(numpy.cos(angles), recipe.data_type)
    arrays["sin"] = draws.round_to(numpy.sin(angles), recipe.data_type)
    if recipe.positions:
        arrays["position_ids"] = numbers.integers(
            0, recipe.positions - 1, recipe.batch, recipe.sequence)
    inputs = [
        numbers.tensor(arrays[name], INT64 if name == "position_ids" else None)
        if name in arrays else None
        for name in _INPUTS]
    request, _ = to_request(Case("RotaryEmbedding", 23, inputs, ["output"], attributes))
    theirs = _evaluate(arrays, attributes)
    return Question("ONNX's reference", request, {"output": Expected(theirs)})


def _evaluate(arrays, attributes):
    node = helper.make_node("RotaryEmbedding", list(arrays), ["output"], **attributes)
    types = {"f": TensorProto.DOUBLE, "i": TensorProto.INT64}
    graph = helper.make_graph(
        [node], "one_node",
        [helper.make_tensor_value_info(name, types[array.dtype.kind], array.shape)
         for name, array in arrays.items()],
        [helper.make_tensor_value_info("output", TensorProto.DOUBLE, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
    return ReferenceEvaluator(model).run(None, arrays)[0]
