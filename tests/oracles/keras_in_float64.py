"""Keras that computes in float64. Import it in place of keras.

Inputs of float64 are rounded to `floatx` by default, and, but for TensorFlow's, the results of
Keras' operations to float32.
"""

import keras
from keras.src.backend.common import dtypes

keras.config.set_floatx("float64")
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

__all__ = ["keras"]
