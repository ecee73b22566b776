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
import registered_layers
from suite import Suite


def _suite(module, library, count):
    return Suite(module.__name__, library, module.RECIPES, module.question, count)


SUITES = [
    _suite(pytorch_sdpa, "PyTorch", 1200),
    _suite(pytorch_layer, "PyTorch", 400),
    _suite(pytorch_flex, "PyTorch", 200),
    _suite(pytorch_statistics, "Formulas", 300),
    _suite(pytorch_scores, "Formulas", 150),
    _suite(pytorch_rotary, "PyTorch", 150),
    _suite(pytorch_ragged, "PyTorch", 150),
    _suite(pytorch_merge, "Formulas", 100),
    _suite(keras_scores, "Keras", 250),
    _suite(keras_layers, "Keras", 300),
    _suite(onnx_attention, "ONNX", 500),
    _suite(onnx_rotary, "ONNX", 100),
    Suite("registered_pytorch", "PyTorch", registered_layers.PYTORCH_RECIPES,
          registered_layers.pytorch_question, 100, can_be_replayed=False),
    Suite("registered_keras", "Keras", registered_layers.KERAS_RECIPES,
          registered_layers.keras_question, 100, can_be_replayed=False),
]

# "Formulas" is what PyTorch has no attention for, written plainly with its operations.
WANTED = {"PyTorch": 2000, "Formulas": 500, "Keras": 500, "ONNX": 500}
