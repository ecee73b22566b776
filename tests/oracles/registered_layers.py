"""Layers that PyTorch and Keras saved to safetensors, registered with the server: requests name
them, the libraries still have them."""

import dataclasses
import functools
import json
import pathlib

import numpy
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import strategies as st

import draws
import keras_layers
import pytorch_layer
from keras_in_float64 import keras
from question import Question
from tensors import BF16, F16, F32, F64

_TORCH_TYPES = {F32: torch.float32, F16: torch.float16, BF16: torch.bfloat16, F64: torch.float64}
_COUNT = 12  # layers of each library


@functools.cache
def _pytorch_layer(number):
    """The recipe and the layer; numbers that its data type holds."""
    recipe = pytorch_layer.Recipe(
        seed=number, data_type=[F32, F64, BF16, F32][number % 4], batch=0,
        heads=[1, 2, 4][number % 3], head_width=[4, 8, 13, 16][number // 3], queries=1, keys=1,
        self_attention=False, key_source_width=[None, 10][number % 2],
        value_source_width=[None, None, 7][number % 3], bias=number % 5 != 0,
        add_bias_kv=number % 4 == 1, add_zero_attn=number % 3 == 2, batch_first=number % 2 == 0,
        need_weights=False, average_weights=False, mask="none", mask_per_head=False,
        key_padding=False)
    return recipe, pytorch_layer.make_layer(recipe, draws.Numbers(number, recipe.data_type))


@functools.cache
def _keras_layer(number):
    recipe = keras_layers.Recipe(
        seed=number, data_type=[F32, F64][number % 2], grouped=number % 3 == 0, batch=1,
        heads=[1, 2, 3][number % 3], group=[2, 3, 1, 4][number // 3], queries=1, keys=1,
        source_width=[6, 11][number % 2], memory_width=[9, 5, 12][number % 3],
        head_width=[4, 8, 13][number % 3], value_width=[5, 8][number % 2],
        output_width=[None, 14][number % 2], self_attention=number % 4 == 0,
        use_bias=number % 5 != 0, sliding_window=None, causal=False, attention_mask=False,
        value_mask=False, key_mask=False, blind_queries=False, return_scores=False)
    return recipe, keras_layers.make_layer(recipe, draws.Numbers(number, recipe.data_type))


def save(folder):
    """Writes all layers below `folder`, as --layers-directory wants them; returns it."""
    for number in range(_COUNT):
        recipe, layer = _pytorch_layer(number)
        place = _place(folder, f"pytorch.{number}", {
            "format": "pytorch", "head_count": recipe.heads,
            "add_zero_attn": recipe.add_zero_attn})
        tensors = {name: tensor.to(_TORCH_TYPES[recipe.data_type]).contiguous()
                   for name, tensor in layer.state_dict().items()}
        safetensors.torch.save_file(tensors, place)
        recipe, layer = _keras_layer(number)
        place = _place(
            folder, f"keras.{number}", {"format": "keras", "prefix": f"{layer.name}/"})
        numpy_type = {F32: "f4", F64: "f8"}[recipe.data_type]
        safetensors.numpy.save_file(
            {each.path: numpy.ascontiguousarray(keras.ops.convert_to_numpy(each), numpy_type)
             for each in layer.weights}, place)
    return folder


def _place(folder, name, description):
    place = pathlib.Path(folder) / name
    place.mkdir()
    (place / "layer.json").write_text(json.dumps(description), encoding="utf-8")
    return place / "weights.safetensors"


@dataclasses.dataclass(frozen=True)
class PyTorchRecipe:
    number: int
    seed: int
    batch: int
    queries: int
    keys: int
    need_weights: bool
    average_weights: bool
    mask: str
    mask_per_head: bool
    key_padding: bool


PYTORCH_RECIPES = st.builds(
    PyTorchRecipe, number=st.integers(0, _COUNT - 1), seed=draws.SEEDS, batch=st.integers(0, 3),
    queries=draws.SEQUENCES, keys=draws.SEQUENCES, need_weights=st.booleans(),
    average_weights=st.booleans(),
    mask=st.sampled_from(["none", "boolean", "float", "causal"]), mask_per_head=st.booleans(),
    key_padding=st.booleans())


def pytorch_question(recipe):
    made, layer = _pytorch_layer(recipe.number)
    asked = {name: value for name, value in dataclasses.asdict(recipe).items() if name != "number"}
    whole = dataclasses.replace(made, **asked)
    question = pytorch_layer.ask(whole, layer, draws.Numbers(recipe.seed, made.data_type))
    return _by_name(question, f"pytorch.{recipe.number}")


@dataclasses.dataclass(frozen=True)
class KerasRecipe:
    number: int
    seed: int
    batch: int
    queries: int
    keys: int
    causal: bool
    attention_mask: bool
    value_mask: bool
    blind_queries: bool
    return_scores: bool


KERAS_RECIPES = st.builds(
    KerasRecipe, number=st.integers(0, _COUNT - 1), seed=draws.SEEDS, batch=draws.BATCHES,
    queries=draws.SEQUENCES, keys=draws.SEQUENCES, causal=st.booleans(),
    attention_mask=st.booleans(), value_mask=st.booleans(), blind_queries=st.booleans(),
    return_scores=st.booleans())


def keras_question(recipe):
    made, layer = _keras_layer(recipe.number)
    asked = {name: value for name, value in dataclasses.asdict(recipe).items() if name != "number"}
    whole = dataclasses.replace(made, **asked)
    question = keras_layers.ask(whole, layer, draws.Numbers(recipe.seed, made.data_type))
    return _by_name(question, f"keras.{recipe.number}")


def _by_name(question, name):
    """The question with the layer's name in place of what the layer is."""
    request = type(question.request)()
    request.CopyFrom(question.request)
    for field in ("projections", "head_count", "key_value_head_count"):
        request.ClearField(field)
    request.options.ClearField("sinks")  # a layer with add_zero_attn has its own
    request.layer = name
    return Question(question.library, request, question.expected, spelled_out=question.request)
