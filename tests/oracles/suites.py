"""Every suite, and how many cases have to agree with each library."""

import keras_layers
import keras_scores
import onnx_attention
import onnx_rotary
import pytorch_flex
import pytorch_layer
import pytorch_merge
import pytorch_ragged
import pytorch_rotary
import pytorch_scores
import pytorch_sdpa
import pytorch_statistics
from suite import Suite


def _suite(module, library, count):
    return Suite(module.__name__, library, module.RECIPES, module.question, count)


SUITES = [
    _suite(pytorch_sdpa, "PyTorch", 1000),
    _suite(pytorch_layer, "PyTorch", 400),
    _suite(pytorch_flex, "PyTorch", 200),
    _suite(pytorch_statistics, "PyTorch", 300),
    _suite(pytorch_scores, "PyTorch", 150),
    _suite(pytorch_rotary, "PyTorch", 150),
    _suite(pytorch_ragged, "PyTorch", 150),
    _suite(pytorch_merge, "PyTorch", 100),
    _suite(keras_scores, "Keras", 250),
    _suite(keras_layers, "Keras", 300),
    _suite(onnx_attention, "ONNX", 500),
    _suite(onnx_rotary, "ONNX", 100),
]

# SDPA alone is one half; the plain formulas come on top.
WANTED = {"PyTorch": 2000, "Keras": 500, "ONNX": 500}
