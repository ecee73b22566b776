"""Every suite, and how many cases have to agree with each library."""

import keras_layers
import keras_scores
import onnx_attention
import onnx_rotary
import pytorch_flex
import pytorch_layer
import pytorch_sdpa
from suite import Suite


def _suite(module, library, count):
    return Suite(module.__name__, library, module.RECIPES, module.question, count)


SUITES = [
    _suite(pytorch_sdpa, "PyTorch", 1000),
    _suite(pytorch_layer, "PyTorch", 500),
    _suite(pytorch_flex, "PyTorch", 250),
    _suite(keras_scores, "Keras", 250),
    _suite(keras_layers, "Keras", 350),
    _suite(onnx_attention, "ONNX", 500),
    _suite(onnx_rotary, "ONNX", 100),
]

WANTED = {"PyTorch": 2000, "Keras": 500, "ONNX": 500}
