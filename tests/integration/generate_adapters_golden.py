#!/usr/bin/env python3
"""Prints what PyTorch and Keras answer to the layers of client_adapters_golden_test.cc.

Run with the libraries of `deploy/test oracles`, its folder on PYTHONPATH and KERAS_BACKEND=torch.
All parameters and inputs are sines of whole numbers, so that both sides have the same.
"""

import numpy
import torch

from keras_in_float64 import keras


def sines(first, *shape):
    return numpy.sin(numpy.arange(first, first + int(numpy.prod(shape)), dtype="f8")).reshape(shape)


def show(title, numbers):
    print(title, ", ".join(repr(float(number)) for number in numpy.ravel(numbers)), sep="\n")


def torch_layer(bias_kv):
    torch.set_default_dtype(torch.float64)
    layer = torch.nn.MultiheadAttention(
        4, 2, add_bias_kv=bias_kv, add_zero_attn=True, kdim=3, vdim=5)
    parameters = {"q_proj_weight": sines(0, 4, 4), "k_proj_weight": sines(100, 4, 3),
                  "v_proj_weight": sines(200, 4, 5), "in_proj_bias": sines(300, 12),
                  "out_proj.weight": sines(400, 4, 4), "out_proj.bias": sines(500, 4)}
    if bias_kv:
        parameters |= {"bias_k": sines(600, 1, 1, 4), "bias_v": sines(700, 1, 1, 4)}
    layer.load_state_dict({name: torch.tensor(array) for name, array in parameters.items()})
    output, weights = layer(
        torch.tensor(sines(800, 3, 2, 4)), torch.tensor(sines(900, 4, 2, 3)),
        torch.tensor(sines(1000, 4, 2, 5)), attn_mask=torch.tensor(sines(1100, 4, 3, 4)),
        key_padding_mask=torch.tensor([[0, 0, 0, 1], [0, 1, 0, 0]], dtype=torch.bool))
    show(f"PyTorch {torch.__version__}, bias_kv {bias_kv}: output", output.detach().numpy())
    show("weights", weights.detach().numpy())


def keras_layer():
    layer = keras.layers.GroupQueryAttention(3, 4, 2)
    layer.build((2, 3, 5), (2, 4, 5), (2, 4, 5))
    layer.set_weights([
        sines(0, 5, 4, 3), sines(100, 4, 3), sines(200, 5, 2, 3), sines(300, 2, 3),
        sines(400, 5, 2, 3), sines(500, 2, 3), sines(600, 4, 3, 5), sines(700, 5)])
    attention_mask = numpy.ones((2, 3, 4), bool)
    attention_mask[0, 1, 0] = attention_mask[1, 2, 2] = False
    output = layer(
        sines(800, 2, 3, 5), sines(900, 2, 4, 5), sines(1000, 2, 4, 5),
        value_mask=numpy.array([[1, 1, 1, 1], [1, 1, 0, 1]], bool),
        key_mask=numpy.array([[1, 1, 0, 1], [1, 1, 1, 1]], bool),
        attention_mask=attention_mask, use_causal_mask=True)
    show(f"Keras {keras.__version__}: output", keras.ops.convert_to_numpy(output))


if __name__ == "__main__":
    torch_layer(False)
    torch_layer(True)
    keras_layer()
