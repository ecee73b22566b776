#!/usr/bin/env python3
"""Prefill, then decode: a prompt attends causally, then new tokens one after the other.

The server keeps nothing between calls. What earlier steps have computed travels with the request
(past_key, past_value) and comes back longer (present_key, present_value).

Needs NumPy. Make the stubs in stubs/ as proto/README.md says, then run from the top of the source
tree:

  PYTHONPATH=stubs python3 client/python/decode.py 127.0.0.1:8001
"""

import sys

import grpc
import numpy

from attention.v1 import attention_service_pb2 as api
from attention.v1 import attention_service_pb2_grpc as service
from attention.v1 import options_pb2, tensor_pb2

HEADS, KEY_VALUE_HEADS, WIDTH = 8, 2, 64
PROMPT, NEW = 40, 8

# The last query sees the last key, however many keys came before.
OPTIONS = options_pb2.AttentionOptions(
    causal=options_pb2.Causal(alignment=options_pb2.CAUSAL_ALIGNMENT_BOTTOM_RIGHT))


def to_tensor(array):
    return tensor_pb2.Tensor(shape=array.shape, raw=array.astype("<f4").tobytes())


def to_array(tensor):
    return numpy.frombuffer(tensor.raw, "<f4").reshape(tensor.shape)


def attend(stub, query, key, value, past=None):
    """Returns the output and the answer, whose present keys and values are the next call's past."""
    request = api.ScaledDotProductAttentionRequest(
        query=to_tensor(query), key=to_tensor(key), value=to_tensor(value), options=OPTIONS,
        return_present=True)
    if past is not None:
        request.past_key.CopyFrom(past.present_key)
        request.past_value.CopyFrom(past.present_value)
    answer = stub.ScaledDotProductAttention(request, timeout=10)
    return to_array(answer.output), answer


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8001"
    stub = service.AttentionServiceStub(grpc.insecure_channel(address))
    random = numpy.random.default_rng(1)
    query, key, value = (random.standard_normal((heads, PROMPT + NEW, WIDTH))
                         for heads in (HEADS, KEY_VALUE_HEADS, KEY_VALUE_HEADS))
    try:
        output, past = attend(stub, query[:, :PROMPT], key[:, :PROMPT], value[:, :PROMPT])
        outputs = [output]
        for token in range(PROMPT, PROMPT + NEW):
            now = slice(token, token + 1)
            output, past = attend(stub, query[:, now], key[:, now], value[:, now], past)
            outputs.append(output)
        at_once, _ = attend(stub, query, key, value)
    except grpc.RpcError as error:
        sys.exit(error.details())  # one sentence: the field, what it was, what it should be
    difference = numpy.abs(numpy.concatenate(outputs, axis=1) - at_once).max()
    print(f"{NEW} steps after {PROMPT} tokens differ from all at once by {difference:.1e} at most")


main()
